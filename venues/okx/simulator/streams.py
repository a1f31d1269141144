"""Names of OKX's channels. A stream is a channel of an instrument: ``trades:BTC-USDT``."""

import msgspec

from kit.simulator.dialect import Channel, ExchangeStream
from venues.okx.simulator.candles import INTERVALS
from venues.okx.simulator.instruments import SUFFIX

CANDLE = "candle"
PUBLIC = {
    "trades": Channel.TRADES,
    "bbo-tbt": Channel.QUOTES,
    "books": Channel.BOOK,
    "tickers": Channel.TICKERS,
    "mark-price": Channel.MARKS,
    "index-tickers": Channel.MARKS,
    "funding-rate": Channel.MARKS,
}
BUSINESS = {f"{CANDLE}{name}": Channel.CANDLES for name in INTERVALS}
CHANNELS = PUBLIC | BUSINESS
ACCOUNT_CHANNELS = {
    "account": "private",
    "positions": "private",
    "orders": "private",
    "orders-algo": "business",
}
"""The channels of an account, each with its address."""
ADDRESSES = {
    **dict.fromkeys(PUBLIC, "public"),
    **dict.fromkeys(BUSINESS, "business"),
    **ACCOUNT_CHANNELS,
}
"""The address of each channel: the last part of the path."""


def make_stream(name: str) -> ExchangeStream:
    """The stream of a channel of an instrument. The symbol of an index is the one of its swap."""
    channel, _, instrument = name.partition(":")
    symbol = instrument + SUFFIX if channel == "index-tickers" else instrument
    return ExchangeStream(name, CHANNELS.get(channel, Channel.OTHER), symbol)


def argument(stream: ExchangeStream) -> bytes:
    """``{"channel":"trades","instId":"BTC-USDT"}``, as in frames."""
    channel, _, instrument = stream.name.partition(":")
    return msgspec.json.encode({"channel": channel, "instId": instrument})
