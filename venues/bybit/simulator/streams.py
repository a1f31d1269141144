"""Names of Bybit's topics: ``publicTrade.BTCUSDT``, ``orderbook.50.BTCUSDT`` and others."""

from kit.simulator.dialect import Channel, Stream
from venues.bybit.simulator.candles import INTERVALS

NAMES_MAX = 100_000
"""More names than these come from garbage, and are not remembered."""
BOOK_DEPTHS = (1, 50, 200, 1000)
CHANNELS = {
    "publicTrade": Channel.TRADES,
    "tickers": Channel.TICKERS,
    "orderbook.1": Channel.QUOTES,
    **{f"orderbook.{depth}": Channel.BOOK for depth in BOOK_DEPTHS[1:]},
    **{f"kline.{interval}": Channel.CANDLES for interval in INTERVALS},
}
"""By what stands before the symbol."""


class BybitStreams:
    """Every topic that was ever named, one object per name."""

    def __init__(self) -> None:
        self._by_name: dict[bytes, Stream] = {}
        self.known = self._by_name.get
        """The stream of this name, if it was named before. Called for every frame of a capture."""

    def get(self, name: bytes) -> Stream:
        """The stream of this name; one that the exchange does not have is of the channel OTHER."""
        stream = self._by_name.get(name)
        if stream is None:
            stream = make_stream(name.decode(errors="replace"))
            if len(self._by_name) < NAMES_MAX:
                self._by_name[name] = stream
        return stream


def make_stream(name: str) -> Stream:
    """What a name means."""
    kind, _, symbol = name.rpartition(".")
    return Stream(name, CHANNELS.get(kind, Channel.OTHER), symbol)


def book_depth(stream: Stream) -> int:
    """Levels per side of an ``orderbook`` topic; 0 for any other."""
    kind, _, rest = stream.name.partition(".")
    return int(rest.partition(".")[0]) if kind == "orderbook" else 0
