"""Whether the peer replica covers what our own connections miss.

While it does, a lost connection is no gap: its rows come from the peer. The instruments rely on the
peer until rows come over their own connection again. When the peer is lost meanwhile, the gap is
published then.
"""

from collections.abc import Callable, Collection, Iterable

from kit.base.cursor import Channel

ReportLoss = Callable[[list[str], Collection[Channel], str], None]


class PeerCoverage:
    """Which channels of which instruments rely on the peer."""

    def __init__(self, report_loss: ReportLoss, changed: Callable[[bool], None]) -> None:
        """``report_loss`` publishes a loss that is no longer covered; ``changed`` is called when
        the cover starts or stops."""
        self.is_active = False
        """Whether the peer brings everything that our connections would bring."""
        self.on_own_loss: Callable[[], None] = lambda: None
        """Called when a connection of our own was lost."""
        self._report_loss = report_loss
        self._changed = changed
        self._relying: dict[Channel, dict[str, None]] = {}

    def rely_on_peer(self, symbols: Iterable[str], channels: Iterable[Channel]) -> None:
        """The own connection of these instruments is lost."""
        names = list(symbols)
        for channel in channels:
            self._relying.setdefault(channel, {}).update(dict.fromkeys(names))

    def relies_on_peer(self, symbol: str, channel: Channel) -> bool:
        """Whether only the peer brings this."""
        return symbol in self._relying.get(channel, ())

    def on_own_rows(self, symbols: Iterable[str], channel: Channel) -> None:
        """Rows of these instruments came over our own connection."""
        relying = self._relying.get(channel)
        if relying:
            for symbol in symbols:
                relying.pop(symbol, None)

    def start(self) -> None:
        """The peer brings everything from now on."""
        if not self.is_active:
            self.is_active = True
            self._changed(True)

    def stop(self, why: str) -> None:
        """The peer no longer covers anything: report what relied on it."""
        if not self.is_active:
            return
        self.is_active = False
        self._changed(False)
        relying, self._relying = self._relying, {}
        for channel, symbols in relying.items():
            if symbols:
                self._report_loss(list(symbols), [channel], f"no connection of its own, and {why}")
