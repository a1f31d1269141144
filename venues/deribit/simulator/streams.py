"""Names of Deribit's channels: ``trades.BTC-PERPETUAL.100ms``, ``book.BTC-PERPETUAL.100ms``,
``chart.trades.BTC-PERPETUAL.1``."""

import re

from kit.simulator.dialect import Channel, ExchangeStream
from venues.deribit.simulator.candles import INTERVALS

SYMBOL = r"([A-Za-z0-9_]+(?:-[A-Za-z0-9]+)+)"
NAME = re.compile(
    rf"(trades|book|ticker)\.{SYMBOL}\.(?:100ms|raw)"
    rf"|(quote)\.{SYMBOL}"
    rf"|(chart\.trades)\.{SYMBOL}\.({'|'.join(INTERVALS)})"
)
RAW, SLOW = ".raw", ".100ms"
"""Only clients that log in get each change; the others get them bundled."""
ACCOUNT_CHANNEL = re.compile(
    r"user\.(?P<topic>orders|trades|changes)\."
    r"(?:(?P<symbol>[A-Za-z0-9_]+(?:-[A-Za-z0-9]+)+)"
    r"|(?P<kind>any|future|option|spot)\.(?P<currency>[A-Za-z]+))"
    r"\.(?P<interval>raw|100ms)"
    r"|user\.portfolio\.(?P<portfolio>[A-Za-z]+)"
)
CHANNELS = {
    "trades": Channel.TRADES,
    "quote": Channel.QUOTES,
    "book": Channel.BOOK,
    "ticker": Channel.TICKERS,
    "chart.trades": Channel.CANDLES,
}


def bundled_name(name: str) -> str:
    """The name under which clients without a login subscribe. A raw channel is the same stream as
    its bundled one: a capture has the one, clients ask for the other."""
    return name.removesuffix(RAW) + SLOW if name.endswith(RAW) else name


def make_stream(name: str) -> ExchangeStream:
    """The stream of a name."""
    found = NAME.fullmatch(name)
    if found is None:
        return ExchangeStream(name, Channel.OTHER, "")
    kind, symbol, *_ = [part for part in found.groups() if part is not None]
    return ExchangeStream(name, CHANNELS[kind], symbol)
