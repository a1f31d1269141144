"""Finds subscribed books without any update."""

from kit.base.clock import Clock
from kit.connector.books.book_manager import BookManager

FIRST_UPDATE_NS_MAX = 30_000_000_000
"""How long the first update or snapshot of a book may take after the subscription."""


class FirstUpdateMonitor:
    """Publishes a gap of each book that is overdue. Admin then shows it IN_DOUBT."""

    def __init__(self, book_manager: BookManager, clock: Clock) -> None:
        self._book_manager = book_manager
        self._clock = clock
        self._awaited_since_ns: dict[str, int] = {}

    def look(self) -> None:
        """Note which books are awaited. One counts as subscribed to from the first look on."""
        now_ns = self._clock.time_ns()
        known = self._awaited_since_ns
        self._awaited_since_ns = {
            symbol: known.get(symbol, now_ns) for symbol in self._book_manager.awaited()
        }
        overdue = [
            symbol
            for symbol, since_ns in self._awaited_since_ns.items()
            if now_ns - since_ns > FIRST_UPDATE_NS_MAX
        ]
        if overdue:
            self._book_manager.mark_overdue(overdue, now_ns)
