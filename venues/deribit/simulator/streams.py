"""Names of Deribit's channels: ``trades.BTC-PERPETUAL.100ms``, ``book.BTC-PERPETUAL.100ms``,
``chart.trades.BTC-PERPETUAL.1``."""

import re

from kit.simulator.dialect import Channel, Stream
from venues.deribit.simulator.candles import RESOLUTIONS

SYMBOL = r"([A-Za-z0-9_]+(?:-[A-Za-z0-9]+)+)"
NAME = re.compile(
    rf"(trades|book|ticker)\.{SYMBOL}\.(?:100ms|raw)"
    rf"|(quote)\.{SYMBOL}"
    rf"|(book)\.{SYMBOL}\.none\.(1|10|20)\.100ms"
    rf"|(chart\.trades)\.{SYMBOL}\.({'|'.join(RESOLUTIONS)})"
)
NAMES_MAX = 100_000
"""More names than these come from garbage, and are not remembered."""
RAW, SLOW = ".raw", ".100ms"
"""Every single change is for those who log in; all others get them in bundles."""
CHANNELS = {
    "trades": Channel.TRADES,
    "quote": Channel.QUOTES,
    "book": Channel.BOOK,
    "ticker": Channel.TICKERS,
    "chart.trades": Channel.CANDLES,
}


class DeribitStreams:
    """Every stream that was ever named, one object per name."""

    def __init__(self) -> None:
        self._by_name: dict[str, Stream] = {}

    def get(self, name: str) -> Stream:
        """The stream of this name, known or not to the exchange: a name is all that it needs.
        A raw channel is the same stream as its bundled one: a capture has the one, clients of now
        ask for the other."""
        stream = self._by_name.get(name)
        if stream is None:
            usual = name.removesuffix(RAW) + SLOW if name.endswith(RAW) else name
            stream = make_stream(name) if usual == name else self.get(usual)
            if len(self._by_name) < NAMES_MAX:
                self._by_name[name] = stream
        return stream


def make_stream(name: str) -> Stream:
    """What a name means."""
    found = NAME.fullmatch(name)
    if found is None:
        return Stream(name, Channel.OTHER, "")
    kind, symbol, *more = [part for part in found.groups() if part is not None]
    grouped = kind == "book" and bool(more)
    return Stream(name, Channel.OTHER if grouped else CHANNELS[kind], symbol)
