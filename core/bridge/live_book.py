"""One order book, spliced from a snapshot of the venue and the entries of the stream after it."""

from enum import Enum

from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.cursor import START, Cursor
from kit.base.number_columns import most, parse_column, rescale
from kit.base.numbers import NumberError
from kit.marketdata.book.levels import BookSide
from kit.marketdata.book.local_book import LocalBook, LocalBookUpdate
from kit.marketdata.delivery.conflated_state import BookTop
from kit.marketdata.model.columns import Scale

HELD_MAX = 20_000
"""Updates and gaps that are held for a snapshot."""
CONTINUED = (market_data_pb2.BOOK_STATE_PROVEN, market_data_pb2.BOOK_STATE_UNPROVEN)
"""States in which the venue keeps its book up to date, update by update."""


class LiveBookState(Enum):
    """What a book waits for."""

    NEEDS_SNAPSHOT = "needs a snapshot"
    """A snapshot has to be fetched from the venue. Updates are held meanwhile."""
    IN_DOUBT = "in doubt"
    """The venue has reported a gap, and will publish a snapshot."""
    PROVEN = "proven"
    """Equal to the venue's own book."""


class LiveBook:
    """The book of one instrument."""

    def __init__(self, position: Cursor) -> None:
        self.state = LiveBookState.NEEDS_SNAPSHOT
        self._held_after = position
        """Everything after this entry of the stream has been seen."""
        self._contained = START
        """The book includes all entries up to this one."""
        self._held: list[tuple[Cursor, LocalBookUpdate | None]] = []
        """Updates and (None) gaps that wait for a snapshot."""
        self._book = LocalBook()
        self._tops: dict[int, BookTop] = {}

    def require_snapshot(self, position: Cursor) -> None:
        """Drop the book: entries after ``position`` were missed."""
        self.state = LiveBookState.NEEDS_SNAPSHOT
        self._held_after = position
        self._held.clear()

    def on_gap(self, cursor: Cursor) -> None:
        """The venue has reported a gap in this entry."""
        if self.state is LiveBookState.NEEDS_SNAPSHOT:
            self._hold(cursor, None)
        elif cursor > self._contained:
            self.state = LiveBookState.IN_DOUBT

    def on_update(self, cursor: Cursor, update: LocalBookUpdate) -> None:
        """Apply or hold the next update of the stream."""
        if cursor <= self._contained:
            return
        if update.snapshot:
            self._replace(update)
        elif self.state is LiveBookState.NEEDS_SNAPSHOT:
            self._hold(cursor, update)
        elif self.state is LiveBookState.PROVEN and not self._apply(update):
            self.require_snapshot(cursor)

    def on_snapshot(self, response: market_data_pb2.GetOrderBookResponse) -> bool:
        """Apply a snapshot that was fetched from the venue, and the updates held since. Returns
        False when it is older than the first update that is held."""
        cursor = Cursor.of(response.cursor)
        if self.state is not LiveBookState.NEEDS_SNAPSHOT:
            return True
        if cursor < self._held_after:
            return False
        held, self._held = self._held, []
        self._contained = cursor
        if response.state in CONTINUED:
            self._replace(_update_of(response))
        else:
            self.state = LiveBookState.IN_DOUBT
        for held_cursor, update in held:
            if update is None:
                self.on_gap(held_cursor)
            else:
                self.on_update(held_cursor, update)
        return True

    def top(self, depth: int) -> BookTop | None:
        """The best ``depth`` levels, or None while the book is not proven."""
        if self.state is not LiveBookState.PROVEN:
            return None
        if depth not in self._tops:
            book = self._book
            self._tops[depth] = BookTop(
                book.scale,
                book.epoch,
                book.last_sequence,
                book.venue_time_ns,
                book.received_time_ns,
                book.bids(depth),
                book.asks(depth),
            )
        return self._tops[depth]

    def _replace(self, snapshot: LocalBookUpdate) -> None:
        self.state = LiveBookState.PROVEN
        self._held.clear()
        self._tops.clear()
        self._book.apply(snapshot)

    def _apply(self, update: LocalBookUpdate) -> bool:
        """Returns False for an update of another book epoch, or with numbers that do not fit."""
        if update.epoch != self._book.epoch:
            return False
        try:
            self._book.apply(update)
        except NumberError:
            return False
        self._tops.clear()
        return True

    def _hold(self, cursor: Cursor, update: LocalBookUpdate | None) -> None:
        """Hold it for the snapshot. When too much is held, start over from here."""
        if len(self._held) >= HELD_MAX:
            self.require_snapshot(cursor)
        else:
            self._held.append((cursor, update))


def _update_of(response: market_data_pb2.GetOrderBookResponse) -> LocalBookUpdate:
    levels = [*response.bids, *response.asks]
    price, price_places = parse_column([level.price for level in levels])
    size, size_places = parse_column([level.size for level in levels])
    scale = Scale(most(price_places), most(size_places))
    price = rescale(price, price_places, scale.price)
    size = rescale(size, size_places, scale.size)
    split = len(response.bids)
    return LocalBookUpdate(
        scale=scale,
        snapshot=True,
        epoch=response.book_epoch,
        last_sequence=response.last_sequence,
        venue_time_ns=response.venue_time_ns,
        received_time_ns=0,
        bids=BookSide(price[:split], size[:split]),
        asks=BookSide(price[split:], size[split:]),
    )
