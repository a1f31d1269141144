"""Names of Examplex's streams: ``trades:BTC-USD``, and the same of quotes and book.

To change: how the exchange names what can be subscribed to.
"""

from kit.simulator.dialect import Channel, Stream

CHANNELS = {"trades": Channel.TRADES, "quotes": Channel.QUOTES, "book": Channel.BOOK}
NAMES_MAX = 100_000
"""More names than these come from garbage, and are not remembered."""


class Streams:
    """Every stream that was ever named, one object per name."""

    def __init__(self) -> None:
        self._by_name: dict[tuple[str, str], Stream] = {}

    def get(self, channel: str, symbol: str) -> Stream:
        """One that the exchange does not have is of the channel OTHER."""
        stream = self._by_name.get((channel, symbol))
        if stream is None:
            kind = CHANNELS.get(channel, Channel.OTHER)
            stream = Stream(f"{channel}:{symbol}", kind, symbol)
            if len(self._by_name) < NAMES_MAX:
                self._by_name[channel, symbol] = stream
        return stream
