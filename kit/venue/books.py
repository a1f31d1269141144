"""Books that are proven or in doubt, never silently wrong.

Each instrument's book is a small state machine. Updates and snapshots go in; what is to be
published comes out: updates that join without a hole, snapshots, and gaps.

EMPTY      nothing yet: updates are held until a snapshot comes
PROVEN     every update since the snapshot was applied, none is missing
IN_DOUBT   an update is missing: updates are held until the missing one comes late, or a newer
           snapshot bridges to them; then the whole book is published again, with a new epoch
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit.book import Book, Side
from kit.columns import Scale
from kit.numbers import DIGITS_MAX, NumberError
from kit.venue.contract import Join, SequenceRule, UpdateNumbers

HELD_UPDATES_MAX = 50_000
LEVELS_MAX = 20_000


class BookState(Enum):
    """Whether a book can be relied on."""

    EMPTY = "empty"
    PROVEN = "proven"
    IN_DOUBT = "in_doubt"


class Update(NamedTuple):
    """One update or snapshot, at the book's scale."""

    numbers: UpdateNumbers
    venue_time_ns: int
    received_time_ns: int
    bids: Side
    asks: Side


@dataclass(frozen=True, slots=True)
class Changed:
    """Publish this update."""

    update: Update
    snapshot: bool
    epoch: int


@dataclass(frozen=True, slots=True)
class Doubted:
    """Publish this gap."""

    gap: types_pb2.Gap


Outcome = Changed | Doubted


class GuardedBook:
    """The book of one instrument, and whether it is right."""

    def __init__(self, symbol: str, rule: SequenceRule) -> None:
        self.symbol = symbol
        self.state = BookState.EMPTY
        self.epoch = 0
        self.last_sequence = 0
        self.venue_time_ns = 0
        self.received_time_ns = 0
        self.scale = Scale()
        self.book = Book()
        self.ignored_total = 0
        """Updates that were contained already."""
        self.wanted_since_ns = 0
        """Since when a snapshot is needed; 0 when none is."""
        self._rule = rule
        self._held: list[Update] = []

    @property
    def held_count(self) -> int:
        """Updates that wait for a snapshot."""
        return len(self._held)

    def rescale(self, scale: Scale) -> None:
        """The scale of the instrument has grown. Raises NumberError when a level would not fit."""
        price_factor = 10 ** (scale.price - self.scale.price)
        size_factor = 10 ** (scale.size - self.scale.size)
        if not self.book.fits(price_factor, size_factor, 10**DIGITS_MAX):
            raise NumberError(f"the book of {self.symbol} does not fit {scale}")
        self.book.rescale(price_factor, size_factor)
        factors = np.int64(price_factor), np.int64(size_factor)
        self._held = [
            update._replace(bids=_times(update.bids, *factors), asks=_times(update.asks, *factors))
            for update in self._held
        ]
        self.scale = scale

    def on_update(self, update: Update) -> Iterator[Outcome]:
        """The next update from the feed."""
        if self.state is BookState.PROVEN:
            yield from self._follow(update)
            return
        self._hold(update)
        if self.state is BookState.EMPTY:
            self._want(update.received_time_ns)
        elif self._rule.after_update(self.last_sequence, update.numbers) is Join.APPLY:
            yield from self._heal_from_held()

    def follow_run(self, updates: Update) -> None:
        """Many updates as one, all of which are known to join; its ``numbers`` are the last's."""
        self._apply(updates)

    def on_snapshot(self, snapshot: Update) -> Iterator[Outcome]:
        """A whole book from the venue. One that does not bridge to the held updates is ignored."""
        last = snapshot.numbers.last
        if self.state is BookState.PROVEN or last < self.last_sequence:
            return
        held = [
            update
            for update in sorted(self._held, key=lambda update: update.numbers.first)
            if self._rule.after_snapshot(last, update.numbers) is not Join.OLD
        ]
        if held and self._rule.after_snapshot(last, held[0].numbers) is Join.HOLE:
            return
        self.book.replace(snapshot.bids, snapshot.asks)
        yield self._proven(snapshot)
        self._held = []
        for position, update in enumerate(held):
            join = self._rule.after_snapshot if position == 0 else self._rule.after_update
            if join(self.last_sequence, update.numbers) is Join.APPLY:
                yield self._apply(update)
            else:
                yield from self.on_update(update)

    def doubt(
        self, reason: "types_pb2.GapReason.ValueType", now_ns: int, detail: str
    ) -> Iterator[Outcome]:
        """Something outside the numbering broke, such as the connection."""
        if self.state is BookState.PROVEN:
            yield from self._break(reason, None, now_ns, detail)

    def _follow(self, update: Update) -> Iterator[Outcome]:
        join = self._rule.after_update(self.last_sequence, update.numbers)
        if join is Join.APPLY:
            yield self._apply(update)
        elif join is Join.OLD:
            self.ignored_total += 1
        else:
            self._hold(update)
            yield from self._break(
                types_pb2.GAP_REASON_SEQUENCE, update, update.received_time_ns, ""
            )

    def _break(
        self,
        reason: "types_pb2.GapReason.ValueType",
        update: Update | None,
        now_ns: int,
        detail: str,
    ) -> Iterator[Outcome]:
        self.state = BookState.IN_DOUBT
        self._want(now_ns)
        yield Doubted(
            types_pb2.Gap(
                symbol=self.symbol,
                reason=reason,
                last_id_before=self.last_sequence,
                first_id_after=update.numbers.first if update else 0,
                last_time_ns=self.venue_time_ns,
                first_time_ns=update.venue_time_ns if update else 0,
                detected_time_ns=now_ns,
                detail=detail,
            )
        )

    def _heal_from_held(self) -> Iterator[Outcome]:
        """The missing update came late: apply what joins now, and see whether all does."""
        waiting: list[Update] = []
        for update in sorted(self._held, key=lambda update: update.numbers.first):
            join = self._rule.after_update(self.last_sequence, update.numbers)
            if join is Join.APPLY:
                self._apply(update)
            elif join is Join.HOLE:
                waiting.append(update)
        self._held = waiting
        if not waiting:
            yield self._proven(self._whole())

    def _apply(self, update: Update) -> Changed:
        self.book.apply(update.bids, update.asks)
        if self.book.level_count() > LEVELS_MAX:
            self.book.trim(LEVELS_MAX // 2)
        self._note(update)
        return Changed(update, snapshot=False, epoch=self.epoch)

    def _proven(self, snapshot: Update) -> Changed:
        self.state = BookState.PROVEN
        self.epoch += 1
        self.wanted_since_ns = 0
        self._note(snapshot)
        return Changed(snapshot, snapshot=True, epoch=self.epoch)

    def _whole(self) -> Update:
        return Update(
            UpdateNumbers(self.last_sequence, self.last_sequence, 0),
            self.venue_time_ns,
            self.received_time_ns,
            Side.of(self.book.bids()),
            Side.of(self.book.asks()),
        )

    def _note(self, update: Update) -> None:
        self.last_sequence = update.numbers.last
        self.venue_time_ns = update.venue_time_ns or self.venue_time_ns
        self.received_time_ns = update.received_time_ns

    def _want(self, now_ns: int) -> None:
        if not self.wanted_since_ns:
            self.wanted_since_ns = now_ns

    def _hold(self, update: Update) -> None:
        """Keep an update for later. When there are too many, the oldest go: a snapshot to come is
        newer than they are."""
        self._held.append(update)
        if len(self._held) > HELD_UPDATES_MAX:
            del self._held[: HELD_UPDATES_MAX // 2]


def _times(side: Side, price_factor: np.int64, size_factor: np.int64) -> Side:
    return Side(side.price * price_factor, side.size * size_factor)
