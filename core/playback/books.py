"""The order books of a playback after the last published window, for paper orders."""

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal

from core.playback.recorded_channel import ChannelWindow
from kit.base import telemetry
from kit.base.numbers import NumberError, to_decimal
from kit.marketdata.book.local_book import LocalBook, LocalBooks
from kit.storage.archive.book_events import BookEvents

WAITING_MAX = 1_000

_log = telemetry.logger("playback.books")


class PlaybackBooks:
    """A ``VerifiedBooks`` of the played books."""

    def __init__(self, wanted: Collection[str]) -> None:
        """``wanted`` are the symbols whose levels are kept: the record has them, and an account may
        trade them."""
        self.doubted: set[str] = set()
        """Symbols of books with a gap and no snapshot since."""
        self._wanted = frozenset(wanted)
        self._levels = LocalBooks()
        self._waiting: list[BookEvents] = []
        """Updates that are applied together when a book is read, which is cheaper."""

    def play(self, taken: ChannelWindow, symbols: Iterable[str]) -> None:
        """Add the book channel of the next window. ``symbols`` are all that are played."""
        for symbol in taken.doubted:
            self.doubted.update([symbol] if symbol else symbols)
        self.doubted -= taken.whole_books
        if self._wanted and taken.book_events is not None:
            self._waiting.append(taken.book_events)
            if sum(map(len, self._waiting)) >= WAITING_MAX:
                self._apply()

    def keeps(self, symbol: str) -> bool:
        return symbol in self._wanted

    def levels(
        self, symbol: str, is_bid: bool, count: int | None
    ) -> Sequence[tuple[Decimal, Decimal]] | None:
        known = self._known(symbol)
        if known is None or symbol in self.doubted:
            return None
        side = known.bids(count) if is_bid else known.asks(count)
        scale = known.scale
        return [(to_decimal(at, scale.price), to_decimal(size, scale.size)) for at, size in side]

    def time_ns(self, symbol: str) -> int:
        known = self._known(symbol)
        return 0 if known is None else known.venue_time_ns

    def _known(self, symbol: str) -> LocalBook | None:
        self._apply()
        return self._levels.get(symbol) if symbol in self._wanted else None

    def _apply(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        first, *others = waiting
        try:
            events = first.and_then(others) if others else first
            self._levels.apply(events.instruments, events.updates)
        except NumberError as error:
            # Without books no order is filled; market data continues.
            _log.error("no books for orders", extra={"detail": str(error)})
            self._wanted = frozenset()
