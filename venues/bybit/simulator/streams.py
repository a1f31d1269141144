"""Names of Bybit's topics: ``publicTrade.BTCUSDT``, ``orderbook.50.BTCUSDT`` and others."""

from kit.simulator.dialect import Channel, ExchangeStream
from venues.bybit.simulator.candles import INTERVALS

BOOK_DEPTHS = (1, 50, 200, 1000)
CHANNELS = {
    "publicTrade": Channel.TRADES,
    "tickers": Channel.TICKERS,
    "orderbook.1": Channel.QUOTES,
    **{f"orderbook.{depth}": Channel.BOOK for depth in BOOK_DEPTHS[1:]},
    **{f"kline.{interval}": Channel.CANDLES for interval in INTERVALS},
}
"""By what stands before the symbol."""
ACCOUNT_KINDS = ("order", "execution", "execution.fast", "wallet", "position")
ACCOUNT_TOPICS = {
    name: ExchangeStream(name, Channel.OTHER, "")
    for kind in ACCOUNT_KINDS
    for name in (kind, *(f"{kind}.{category}" for category in ("spot", "linear", "inverse")))
} | {
    name: ExchangeStream(name, Channel.OTHER, "")
    for name in ("dcp.spot", "dcp.future", "dcp.option")
}


def make_stream(name: str) -> ExchangeStream:
    """The stream of a public topic."""
    kind, _, symbol = name.rpartition(".")
    return ExchangeStream(name, CHANNELS.get(kind, Channel.OTHER), symbol)


def book_depth(stream: ExchangeStream) -> int:
    """Levels per side of an ``orderbook`` topic; 0 for any other."""
    kind, _, rest = stream.name.partition(".")
    return int(rest.partition(".")[0]) if kind == "orderbook" else 0
