"""Names of Binance's streams: ``btcusdt@trade``, ``btcusdt@depth@100ms``, ``btcusdt@kline_1m``."""

import re

from kit.simulator.dialect import Channel, Stream

NAME = re.compile(r"[a-z0-9_.]+@[a-zA-Z0-9_@]+|![a-zA-Z]+(@arr)?")
NAMES_MAX = 100_000
"""More names than these come from garbage, and are not remembered."""
CHANNELS = {
    "trade": Channel.TRADES,
    "aggTrade": Channel.OTHER,
    "bookTicker": Channel.QUOTES,
    "miniTicker": Channel.TICKERS,
    "ticker": Channel.TICKERS,
}


class Streams:
    """Every stream that was ever named, one object per name."""

    def __init__(self) -> None:
        self._by_name: dict[bytes, Stream] = {}
        self.known = self._by_name.get
        """The stream of this name, if it was named before. Called for every frame of a capture."""

    def get(self, name: bytes) -> Stream:
        """The stream of this name, known or not to the exchange: a name is all that it needs."""
        stream = self._by_name.get(name)
        if stream is None:
            stream = make_stream(name.decode(errors="replace"))
            if len(self._by_name) < NAMES_MAX:
                self._by_name[name] = stream
        return stream


def make_stream(name: str) -> Stream:
    """What a name means."""
    symbol, at, rest = name.partition("@")
    kind = rest.partition("@")[0]
    if kind.startswith("kline"):
        channel = Channel.CANDLES
    elif kind == "depth":
        channel = Channel.BOOK
    else:
        channel = CHANNELS.get(kind, Channel.OTHER)
    return Stream(name, channel, symbol.upper() if at and not name.startswith("!") else "")
