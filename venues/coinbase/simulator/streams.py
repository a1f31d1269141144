"""Coinbase's streams: a channel of one of its feeds, of one product."""

import re
from collections.abc import Mapping

from kit.simulator.dialect import Channel, Stream

ADVANCED = "advanced"
EXCHANGE = "exchange"
PRODUCT = re.compile(r"[A-Z0-9]+-[A-Z0-9-]+")
PRODUCTS_MAX = 100_000
"""More names than these come from garbage, and are not remembered."""
HEARTBEATS = "heartbeats"
"""A channel of Advanced Trade that is about the connection, not about products."""
ADVANCED_CHANNELS: Mapping[str, Channel] = {
    "level2": Channel.BOOK,
    "market_trades": Channel.TRADES,
    "ticker": Channel.TICKERS,
    "ticker_batch": Channel.TICKERS,
    "candles": Channel.CANDLES,
    HEARTBEATS: Channel.OTHER,
}
EXCHANGE_CHANNELS: Mapping[str, Channel] = {
    "level2": Channel.BOOK,
    "matches": Channel.TRADES,
    "ticker": Channel.TICKERS,
    "ticker_batch": Channel.TICKERS,
    "heartbeat": Channel.OTHER,
}
CHANNELS = {ADVANCED: ADVANCED_CHANNELS, EXCHANGE: EXCHANGE_CHANNELS}
SAME = {"level2_batch": "level2", "level2_50": "level2"}
"""Other names of channels of Exchange. On the real one level2 needs a key and comes as it happens,
the others every 50 ms; here all are what needs no key."""


class CoinbaseStreams:
    """Every stream that was ever named, one object per feed, channel and product."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str, str], Stream] = {}

    def get(self, feed: str, channel: str, product: str) -> Stream | None:
        """The stream, known or not to the exchange: a name is all that it needs. None: the feed
        has no such channel."""
        if feed == EXCHANGE:
            channel = SAME.get(channel, channel)
        key = feed, channel, product
        stream = self._made.get(key)
        if stream is None and channel in CHANNELS[feed]:
            name = ".".join(filter(None, key))
            stream = Stream(name, CHANNELS[feed][channel], product)
            if len(self._made) < PRODUCTS_MAX:
                self._made[key] = stream
        return stream
