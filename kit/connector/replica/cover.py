"""Whether the twin stands in for what our own connections miss.

While it does, a lost connection is no loss: what would have come over it comes from the twin. Such
instruments lean on the twin until something comes over their own connection again. When the twin is
lost meanwhile, what was missed is told, as it would have been at once without it.
"""

from collections.abc import Callable, Collection, Iterable

from kit.base.cursor import Channel

Tell = Callable[[list[str], Collection[Channel], str], None]


class PeerCoverage:
    """Which channels of which instruments lean on the twin."""

    def __init__(self, tell: Tell, changed: Callable[[bool], None]) -> None:
        """``tell`` is told what was missed after all, ``changed`` when the cover begins or ends."""
        self.stands = False
        """Whether all that the exchange says comes from the twin as well."""
        self.on_own_loss: Callable[[], None] = lambda: None
        """Told when a connection of our own was lost."""
        self._tell = tell
        self._changed = changed
        self._leaning: dict[Channel, dict[str, None]] = {}

    def lean(self, symbols: Iterable[str], channels: Iterable[Channel]) -> None:
        """Their own connection is lost."""
        names = list(symbols)
        for channel in channels:
            self._leaning.setdefault(channel, {}).update(dict.fromkeys(names))

    def leans(self, symbol: str, channel: Channel) -> bool:
        """Whether this comes from the twin alone."""
        return symbol in self._leaning.get(channel, ())

    def heard(self, symbols: Iterable[str], channel: Channel) -> None:
        """This has come over a connection of our own."""
        leaning = self._leaning.get(channel)
        if leaning:
            for symbol in symbols:
                leaning.pop(symbol, None)

    def begin(self) -> None:
        """The twin brings everything from now on."""
        if not self.stands:
            self.stands = True
            self._changed(True)

    def end(self, why: str) -> None:
        """The twin cannot be relied on from now on."""
        if not self.stands:
            return
        self.stands = False
        self._changed(False)
        leaning, self._leaning = self._leaning, {}
        for channel, symbols in leaning.items():
            if symbols:
                self._tell(list(symbols), [channel], f"no connection of its own, and {why}")
