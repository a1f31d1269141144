"""Compares our published book with the venue's REST book.

The two books are from different moments, so ours is followed like a reader follows it, from before
the REST request. If the answer has an update id, it is compared with our book after that update.
Without an id, levels that changed in ours around the request may match but do not count as
differences.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.errors import RateLimited
from kit.base.number_columns import most
from kit.base.numbers import NumberError, format_scaled
from kit.connector.books.synchronized_book import BookState, SynchronizedBook
from kit.connector.contract.venue import BookSnapshot
from kit.connector.publishing.feed_handler import FeedHandler
from kit.connector.publishing.hub import Hub, HubReader
from kit.marketdata.book.levels import Levels as Pairs
from kit.marketdata.model.columns import NumberColumn, PriceLevels, Scale

TOLERANCE_S = 1.0
"""The longest delay between the venue's feed and its REST API."""
TRIES = 3
COMING_S_MAX = 3.0
"""The longest delay of an update that the REST answer already contains."""
LOOK_AGAIN_S = 0.02
WAITING_MAX = 10
DIFFERENCES_MAX = 10

AGREES = market_data_pb2.BOOK_VERDICT_AGREES
DIFFERS = market_data_pb2.BOOK_VERDICT_DIFFERS
NOT_COMPARABLE = market_data_pb2.BOOK_VERDICT_NOT_COMPARABLE

Response = market_data_pb2.VerifyBookResponse


class BookVerifier:
    """Compares books, one at a time."""

    def __init__(self, feed_handler: FeedHandler) -> None:
        self._feed_handler = feed_handler
        self._clock = feed_handler.clock
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def verify(self, symbol: str, depth: int) -> Response:
        """Compare the best levels of a book. A difference is checked a second time, unless both
        books were at the same update. Raises VenueUnavailable, RateLimited, UnknownInstrument."""
        if self._waiting >= WAITING_MAX:
            text = "too many books wait to be verified"
            raise RateLimited(text, venue=self._feed_handler.venue.venue_id, retry_after_ms=1000)
        self._waiting += 1
        try:
            async with self._turn:
                return await self._verify(symbol, depth)
        finally:
            self._waiting -= 1

    async def _verify(self, symbol: str, depth: int) -> Response:
        found = BookComparison(NOT_COMPARABLE)
        for _ in range(TRIES):
            found = await self._compare(symbol, depth)
            if found.final:
                break
        return Response(
            venue=self._feed_handler.venue.venue_id,
            symbol=symbol,
            verdict=found.verdict,
            reason=found.reason,
            venue_sequence=found.venue_sequence,
            last_sequence=found.last_sequence,
            levels_compared=found.compared,
            levels_different=len(found.different),
            differences=found.different[:DIFFERENCES_MAX],
        )

    async def _compare(self, symbol: str, depth: int) -> "BookComparison":
        self._feed_handler.pipeline.flush()
        book = self._feed_handler.book_manager.books.get(symbol)
        if book is None or book.state is not BookState.SYNCHRONIZED:
            await self._clock.sleep(TOLERANCE_S)
            return BookComparison(NOT_COMPARABLE, "our book is in doubt")
        with _watching(self._feed_handler.hub, book) as watched:
            await self._clock.sleep(TOLERANCE_S)
            try:
                theirs = await self._feed_handler.venue.history.book(symbol)
            except NumberError as error:
                return BookComparison(
                    NOT_COMPARABLE, f"the venue's answer is not readable: {error}"
                )
            await self._come(watched, theirs.last_sequence)
        return compare(watched, theirs, depth, self._feed_handler.venue.book.depth)

    async def _come(self, watched: "ObservedBook", sequence: int) -> None:
        """Follow our book until it contains the venue's update; without an id, for the longest
        delay."""
        if not sequence:
            await self._clock.sleep(TOLERANCE_S)
        self._read(watched)
        for _ in range(round(COMING_S_MAX / LOOK_AGAIN_S)):
            if watched.last >= sequence or watched.broken:
                return
            await self._clock.sleep(LOOK_AGAIN_S)
            self._read(watched)

    def _read(self, watched: "ObservedBook") -> None:
        self._feed_handler.pipeline.flush()
        watched.read()


class BookUpdateRows(NamedTuple):
    """The rows of a book in one batch."""

    last: int
    scale: Scale
    bids: Pairs
    asks: Pairs


class ObservedBook:
    """A book at one moment, and its later published updates."""

    def __init__(self, book: SynchronizedBook, reader: HubReader) -> None:
        self.symbol = book.symbol
        self.last = book.last_sequence
        self._epoch = book.epoch
        self.start = BookUpdateRows(self.last, book.scale, book.book.bids(), book.book.asks())
        self.updates: list[BookUpdateRows] = []
        self.broken = ""
        """Why the book cannot be followed further, or empty."""
        self._reader = reader

    @property
    def scale(self) -> Scale:
        """The scale at which all its numbers are integers."""
        scales = [update.scale for update in (self.start, *self.updates)]
        return Scale(max(one.price for one in scales), max(one.size for one in scales))

    def read(self) -> None:
        """Apply the batches that were published meanwhile."""
        response = market_data_pb2.SubscribeResponse.FromString(self._reader.take())
        for batch in response.batches:
            if batch.gaps:
                self.broken = "our book came into doubt meanwhile"
            columns, at = batch.book, 0
            for row, place in enumerate(columns.instrument):
                middle = at + columns.bid_count[row]
                end = middle + columns.ask_count[row]
                bids, asks = (
                    list(zip(columns.price[a:b], columns.size[a:b], strict=True))
                    for a, b in ((at, middle), (middle, end))
                )
                entry, at = batch.instruments[place], end
                scale = Scale(entry.price_scale, entry.size_scale)
                update = BookUpdateRows(columns.last_sequence[row], scale, bids, asks)
                if not columns.snapshot[row]:
                    self._follow(update, snapshot=False)
                elif columns.book_epoch[row] != self._epoch:
                    self._follow(update, snapshot=True)
                # A snapshot of the same epoch changes nothing.

    def _follow(self, update: BookUpdateRows, *, snapshot: bool) -> None:
        if snapshot or update.last < self.last:
            self.broken = "our book got a new epoch meanwhile"
        self.updates.append(update)
        self.last = update.last


class BookComparison(NamedTuple):
    """The result of comparing two books."""

    verdict: "market_data_pb2.BookVerdict.ValueType"
    reason: str = ""
    venue_sequence: int = 0
    last_sequence: int = 0
    compared: int = 0
    different: Sequence[market_data_pb2.LevelDifference] = ()
    exact: bool = False
    """Whether both books are at the same update."""

    @property
    def final(self) -> bool:
        """Whether a second comparison could not have another result."""
        return self.verdict == AGREES or (self.verdict == DIFFERS and self.exact)


def compare(
    watched: ObservedBook, theirs: BookSnapshot, depth: int, depth_kept: int
) -> BookComparison:
    """Compare the best ``depth`` levels of a side, as far as both books reach. ``depth_kept``: the
    depth of ours; 0: all levels."""
    sequence = theirs.last_sequence
    if watched.broken:
        return BookComparison(NOT_COMPARABLE, watched.broken, sequence, watched.last)
    if sequence and sequence < watched.start.last:
        reason = "the venue's answer is older than our book"
        return BookComparison(NOT_COMPARABLE, reason, sequence, watched.start.last)
    scale = Scale(
        max(
            watched.scale.price, most(theirs.bids.price.decimals), most(theirs.asks.price.decimals)
        ),
        max(watched.scale.size, most(theirs.bids.size.decimals), most(theirs.asks.size.decimals)),
    )
    cut = theirs.size_decimals
    grain = 1 if cut is None else 10 ** max(0, scale.size - cut)
    last, sides = _at(watched, sequence, scale)
    compared, different = 0, list[market_data_pb2.LevelDifference]()
    for side, ours, levels in zip(SIDES, sides, (theirs.bids, theirs.asks), strict=True):
        sizes = _sizes(levels, scale)
        for price in _common(side, ours.sizes, sizes, depth, depth_kept):
            size = sizes.get(price, 0)
            same = ours.has_been(price, size, grain)
            compared += same or price not in ours.also
            if not same and price not in ours.also:
                difference = _difference(side, price, ours.sizes.get(price, 0), size, scale)
                different.append(difference)
    if not compared:
        return BookComparison(NOT_COMPARABLE, "no level stands still", sequence, last)
    reached = bool(sequence) and watched.last >= sequence
    reason = "" if reached else BEHIND if sequence else UNNUMBERED
    verdict = DIFFERS if different else AGREES
    return BookComparison(verdict, reason, sequence, last, compared, different, reached)


BEHIND = "the venue's last update is not in our book"
UNNUMBERED = "the venue's answer has no sequence: levels were compared with a tolerance for time"
SIDES = (types_pb2.SIDE_BUY, types_pb2.SIDE_SELL)


class _Seen(NamedTuple):
    """One side of our book at the compared moment."""

    sizes: dict[int, int]
    """Sizes by price."""
    also: dict[int, set[int]]
    """Earlier sizes of levels that changed about that moment; 0: no level. Such levels may
    match one of the sizes, but do not count as differences."""

    def take(self, levels: Pairs, keep: bool) -> None:
        """Set levels; ``keep``: remember the earlier sizes."""
        for price, size in levels:
            if keep:
                self.also.setdefault(price, set()).add(self.sizes.get(price, 0))
            self.sizes[price] = size

    def has_been(self, price: int, size: int, grain: int) -> bool:
        """Whether the level had this size. Sizes are rounded to steps of ``grain``."""
        ours = {self.sizes.get(price, 0), *self.also.get(price, ())}
        return any(abs(one - size) < grain for one in ours)


def _at(watched: ObservedBook, sequence: int, scale: Scale) -> tuple[int, list[_Seen]]:
    """Our book after an update (0: during the whole time), and its last update id."""
    last = watched.start.last
    seen = [_Seen(dict(side), {}) for side in _scaled(watched.start, scale)]
    for update in watched.updates:
        exact = bool(sequence) and update.last <= sequence
        if sequence and not exact and last == sequence:
            break
        for one, levels in zip(seen, _scaled(update, scale), strict=True):
            one.take(levels, keep=not exact)
        if sequence and not exact:
            # It combines several changes, and the venue's book contains only some of them.
            break
        last = update.last
    return last, seen


def _common(
    side: "types_pb2.Side.ValueType",
    ours: Mapping[int, int],
    theirs: Mapping[int, int],
    depth: int,
    depth_kept: int,
) -> list[int]:
    """Prices that at least one book has, from the best to where the first of both ends."""
    sign = -1 if side == types_pb2.SIDE_BUY else 1
    held = sorted(sign * price for price, size in ours.items() if size)
    answered = sorted(sign * price for price in theirs)
    ends = [keys[:depth][-1] for keys in (held, answered) if keys]
    if len(held) < depth and not (depth_kept and len(held) >= depth_kept):
        # The side has no more levels; it was not truncated here.
        ends = ends[1:] if held else ends
    reach = min(ends, default=None)
    keys = sorted({*held, *answered})
    return [sign * key for key in keys if reach is None or key <= reach]


def _scaled(update: BookUpdateRows, scale: Scale) -> Iterator[Pairs]:
    price_factor = 10 ** (scale.price - update.scale.price)
    size_factor = 10 ** (scale.size - update.scale.size)
    for side in (update.bids, update.asks):
        yield [(price * price_factor, size * size_factor) for price, size in side]


def _sizes(levels: PriceLevels, scale: Scale) -> dict[int, int]:
    prices, sizes = _whole(levels.price, scale.price), _whole(levels.size, scale.size)
    return dict(zip(prices, sizes, strict=True))


def _whole(numbers: NumberColumn, scale: int) -> list[int]:
    unscaled = numbers.unscaled.tolist()
    places = np.broadcast_to(numbers.decimals, len(unscaled)).tolist()
    return [one * 10 ** (scale - place) for one, place in zip(unscaled, places, strict=True)]


def _difference(
    side: "types_pb2.Side.ValueType", price: int, ours: int, theirs: int, scale: Scale
) -> market_data_pb2.LevelDifference:
    return market_data_pb2.LevelDifference(
        side=side,
        price=format_scaled(price, scale.price),
        size=format_scaled(ours, scale.size),
        venue_size=format_scaled(theirs, scale.size),
    )


@contextmanager
def _watching(hub: Hub, book: SynchronizedBook) -> Iterator[ObservedBook]:
    at = {types_pb2.CHANNEL_BOOK: hub.cursor(types_pb2.CHANNEL_BOOK)}
    reader = hub.reader(at, earliest=(), latest=(), symbols=frozenset([book.symbol]))
    try:
        yield ObservedBook(book, reader)
    finally:
        hub.leave(reader)
