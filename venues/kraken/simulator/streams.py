"""Names of Kraken's streams: ``book-100 BTC/USDT``, ``ohlc-1 BTC/USDT``, ``ticker-bbo BTC/USDT``,
``trade BTC/USDT``. Kraken itself names none; these names say what a client subscribed to."""

from kit.simulator.dialect import Channel, ExchangeStream
from venues.kraken.simulator.candles import INTERVALS

CHANNELS = {
    "book": Channel.BOOK,
    "ohlc": Channel.CANDLES,
    "ticker": Channel.TICKERS,
    "trade": Channel.TRADES,
}
DEPTHS = (10, 25, 100, 500, 1000)
DEPTH_DEFAULT = 10
INTERVAL_DEFAULT = 1
TRIGGERS = ("trades", "bbo")
TRIGGER_DEFAULT = "trades"
VARIANTS = {
    "book": ("depth", DEPTHS, "Subscription depth not supported"),
    "ohlc": ("interval", tuple(INTERVALS), "Subscription ohlc interval not supported"),
    "ticker": ("event_trigger", TRIGGERS, "Subscription event_trigger not supported"),
    "trade": ("", (), ""),
}
"""By channel: the parameter that makes variants of it, its values, the error for any other."""
EXECUTIONS, BALANCES = "executions", "balances"
ACCOUNT_STREAMS = {name: ExchangeStream(name, Channel.OTHER, "") for name in (EXECUTIONS, BALANCES)}


def stream_name(channel: str, symbol: str, variant: object = "") -> str:
    """The name of a channel in a variant: a depth, an event trigger, or minutes."""
    return f"{channel}-{variant} {symbol}" if variant else f"{channel} {symbol}"


def make_stream(name: str) -> ExchangeStream:
    """The stream of a name."""
    kind, _, symbol = name.partition(" ")
    return ExchangeStream(name, CHANNELS.get(kind.partition("-")[0], Channel.OTHER), symbol)


def variant_of(stream: ExchangeStream) -> str:
    """``100`` for ``book-100 BTC/USDT``."""
    return stream.name.partition(" ")[0].partition("-")[2]
