"""One order book, kept from a snapshot and the updates after it."""

from enum import Enum
from typing import NamedTuple

from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.cursor import START, Cursor
from kit.base.numbers import DIGITS_MAX, NumberError, most, parse_column, rescale
from kit.marketdata.book import Book, Side
from kit.marketdata.delivery.conflated_state import BookTop
from kit.marketdata.model.columns import Scale

HELD_MAX = 20_000
NUMBER_BOUND = 10**DIGITS_MAX
FOLLOWED = (market_data_pb2.BOOK_STATE_PROVEN, market_data_pb2.BOOK_STATE_UNPROVEN)
"""States of a venue's book that it goes on from, update by update."""


class FollowerState(Enum):
    """What a book waits for."""

    WANTED = "wanted"
    """A snapshot has to be fetched from the venue. Meanwhile what happens is held."""
    IN_DOUBT = "in doubt"
    """The venue has said that an update is missing, and will publish a snapshot."""
    PROVEN = "proven"
    """As good as the venue's own."""


class BookUpdate(NamedTuple):
    """One row of a BOOK batch, its levels at this scale."""

    scale: Scale
    snapshot: bool
    epoch: int
    last_sequence: int
    venue_time_ns: int
    received_time_ns: int
    bids: Side
    asks: Side


class Follower:
    """The book of one instrument."""

    def __init__(self, position: Cursor) -> None:
        self.state = FollowerState.WANTED
        self._held_after = position
        """Everything after this entry of the stream has been seen."""
        self._contained = START
        """What stands in the stream up to here is in the book already."""
        self._held: list[tuple[Cursor, BookUpdate | None]] = []
        self._book = Book()
        self._scale = Scale()
        self._epoch = 0
        self._last_sequence = 0
        self._venue_time_ns = 0
        self._received_time_ns = 0
        self._tops: dict[int, BookTop] = {}

    def want(self, position: Cursor) -> None:
        """Entries after this one were missed: only a snapshot helps."""
        self.state = FollowerState.WANTED
        self._held_after = position
        self._held.clear()

    def on_gap(self, cursor: Cursor) -> None:
        """The venue has missed something."""
        if self.state is FollowerState.WANTED:
            self._hold(cursor, None)
        elif cursor > self._contained:
            self.state = FollowerState.IN_DOUBT

    def on_update(self, cursor: Cursor, update: BookUpdate) -> None:
        """The next row of the stream."""
        if cursor <= self._contained or not update.epoch:
            # Epoch 0: an update that the venue could not apply to a book.
            return
        if update.snapshot:
            self._replace(cursor, update)
        elif self.state is FollowerState.WANTED:
            self._hold(cursor, update)
        elif self.state is FollowerState.PROVEN and not self._apply(update):
            self.want(cursor)

    def on_fetched(self, response: market_data_pb2.GetOrderBookResponse) -> bool:
        """A snapshot from the venue. Returns whether it is of use: not older than what was held."""
        cursor = Cursor.of(response.cursor)
        if self.state is not FollowerState.WANTED:
            return True
        if cursor < self._held_after:
            return False
        held, self._held = self._held, []
        self._contained = cursor
        if response.state in FOLLOWED:
            self._replace(cursor, _update_of(response))
        else:
            self.state = FollowerState.IN_DOUBT
        for held_cursor, update in held:
            if update is None:
                self.on_gap(held_cursor)
            else:
                self.on_update(held_cursor, update)
        return True

    def top(self, depth: int) -> BookTop | None:
        """The best levels, None while the book is not proven."""
        if self.state is not FollowerState.PROVEN:
            return None
        if depth not in self._tops:
            self._tops[depth] = BookTop(
                self._scale,
                self._epoch,
                self._last_sequence,
                self._venue_time_ns,
                self._received_time_ns,
                self._book.bids(depth),
                self._book.asks(depth),
            )
        return self._tops[depth]

    def _replace(self, cursor: Cursor, update: BookUpdate) -> None:
        self.state = FollowerState.PROVEN
        self._held.clear()
        self._scale = update.scale
        self._epoch = update.epoch
        self._book.replace(update.bids, update.asks)
        self._note(update)

    def _apply(self, update: BookUpdate) -> bool:
        """Returns False for an update that does not belong to this book."""
        if update.epoch != self._epoch:
            return False
        try:
            self._grow(update.scale)
            bids, asks = (
                _at_scale(side, update.scale, self._scale) for side in (update.bids, update.asks)
            )
        except NumberError:
            return False
        self._book.apply(bids, asks)
        self._note(update)
        return True

    def _grow(self, scale: Scale) -> None:
        """The scale of a book is the largest that came, so that every level is an integer.

        Raises NumberError when its numbers would not fit.
        """
        grown = Scale(max(scale.price, self._scale.price), max(scale.size, self._scale.size))
        if grown == self._scale:
            return
        price_factor = 10 ** (grown.price - self._scale.price)
        size_factor = 10 ** (grown.size - self._scale.size)
        if not self._book.fits(price_factor, size_factor, NUMBER_BOUND):
            raise NumberError(f"the book does not fit {grown}")
        self._book.rescale(price_factor, size_factor)
        self._scale = grown

    def _note(self, update: BookUpdate) -> None:
        self._last_sequence = update.last_sequence
        self._venue_time_ns = update.venue_time_ns or self._venue_time_ns
        self._received_time_ns = update.received_time_ns or self._received_time_ns
        self._tops.clear()

    def _hold(self, cursor: Cursor, update: BookUpdate | None) -> None:
        """Keep it for when the snapshot comes. When there is too much, the snapshot has to be newer
        than all that was held so far."""
        if len(self._held) >= HELD_MAX:
            self.want(cursor)
        else:
            self._held.append((cursor, update))


def _at_scale(side: Side, scale: Scale, wanted: Scale) -> Side:
    """Raises NumberError when a number would not fit."""
    return Side(
        rescale(side.price, scale.price, wanted.price),
        rescale(side.size, scale.size, wanted.size),
    )


def _update_of(response: market_data_pb2.GetOrderBookResponse) -> BookUpdate:
    levels = [*response.bids, *response.asks]
    price, price_places = parse_column([level.price for level in levels])
    size, size_places = parse_column([level.size for level in levels])
    scale = Scale(most(price_places), most(size_places))
    price = rescale(price, price_places, scale.price)
    size = rescale(size, size_places, scale.size)
    split = len(response.bids)
    return BookUpdate(
        scale=scale,
        snapshot=True,
        epoch=response.book_epoch,
        last_sequence=response.last_sequence,
        venue_time_ns=response.venue_time_ns,
        received_time_ns=0,
        bids=Side(price[:split], size[:split]),
        asks=Side(price[split:], size[split:]),
    )
