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
    "depth": Channel.BOOK,
    "miniTicker": Channel.TICKERS,
    "ticker": Channel.TICKERS,
    "markPrice": Channel.MARKS,
}
PUBLIC = re.compile(r"[a-z0-9_.]+@(trade|bookTicker|depth.*|rpiDepth.*)|!bookTicker")
"""Streams that futures serve on the route ``/public``; all others are on ``/market``."""


class BinanceStreams:
    """Every stream that was ever named, one object per name."""

    def __init__(self) -> None:
        self._by_name: dict[bytes, Stream] = {}
        self._recorded: dict[bytes, Stream] = {}
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

    def recorded(self, name: bytes) -> Stream:
        """The stream of this name, which a capture has."""
        stream = self.get(name)
        self._recorded.setdefault(without_speed(name), stream)
        return stream

    def asked(self, name: bytes) -> Stream:
        """What a client hears that asks for this name. A capture has a stream at the speed that was
        asked for when it was made, and whoever asks for another speed hears that one."""
        return self.known(name) or self._recorded.get(without_speed(name)) or self.get(name)


def without_speed(name: bytes) -> bytes:
    """``btcusdt@depth`` of ``btcusdt@depth@100ms``."""
    return b"@".join(name.split(b"@")[:2])


def make_stream(name: str) -> Stream:
    """What a name means."""
    symbol, at, rest = name.partition("@")
    kind = rest.partition("@")[0]
    channel = Channel.CANDLES if kind.startswith("kline") else CHANNELS.get(kind, Channel.OTHER)
    return Stream(name, channel, symbol.upper() if at and not name.startswith("!") else "")
