"""Names of Binance's streams: ``btcusdt@trade``, ``btcusdt@depth@100ms``, ``btcusdt@kline_1m``."""

import re

from kit.simulator.dialect import Channel, ExchangeStream
from kit.simulator.exchange.streams import StreamRegistry
from venues.binance.simulator.candles import INTERVALS

NAME = re.compile(r"[a-z0-9_.]+@[a-zA-Z0-9_@]+|![a-zA-Z]+(@arr)?")
CHANNELS = {
    "trade": Channel.TRADES,
    "bookTicker": Channel.QUOTES,
    "depth": Channel.BOOK,
    "miniTicker": Channel.TICKERS,
    "ticker": Channel.TICKERS,
    "markPrice": Channel.MARKS,
    **{f"kline_{interval}": Channel.CANDLES for interval in INTERVALS},
}
"""By the first part of a name after the symbol."""
PUBLIC = re.compile(r"[a-z0-9_.]+@(trade|bookTicker|depth.*|rpiDepth.*)|!bookTicker")
"""Streams that futures serve on the route ``/public``; all others are on ``/market``."""


class BinanceStreamRegistry:
    """Every stream that was named so far, and those of a capture at the speed that it has."""

    def __init__(self) -> None:
        self._registry = StreamRegistry(make_stream)
        self._recorded: dict[str, ExchangeStream] = {}
        self.get = self._registry.get
        """The stream of a name."""
        self.known = self._registry.known
        """The stream of a name as bytes, if it was subscribed to or recorded before. Called for
        every frame of a capture."""

    def recorded(self, name: bytes) -> ExchangeStream:
        """The stream of a name in a capture."""
        stream = self._registry.named(name)
        self._recorded.setdefault(without_speed(stream.name), stream)
        return stream

    def subscribed(self, name: str) -> ExchangeStream:
        """The stream that a client receives for a name. A capture has each stream at one speed;
        clients that subscribe at another speed receive that one."""
        as_bytes = name.encode()
        found = self.known(as_bytes) or self._recorded.get(without_speed(name))
        return found or self._registry.named(as_bytes)


def without_speed(name: str) -> str:
    """``btcusdt@depth`` of ``btcusdt@depth@100ms``."""
    return "@".join(name.split("@")[:2])


def make_stream(name: str) -> ExchangeStream:
    """The stream of a name; its channel is OTHER when the name is unknown."""
    symbol, at, rest = name.partition("@")
    channel = CHANNELS.get(rest.partition("@")[0], Channel.OTHER)
    return ExchangeStream(name, channel, symbol.upper() if at and not name.startswith("!") else "")
