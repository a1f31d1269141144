"""The book of one instrument, and whether it equals the venue's book.

EMPTY         No snapshot has come yet. Updates are held for it.
SYNCHRONIZED  The snapshot and every update since were applied, and no check has failed. Whether a
              missing update would show depends on the venue: see Venue.book_proofs.
IN_DOUBT      An update is missing, or a check has failed. Updates are held until the missing one
              comes late, or until a newer snapshot covers the hole. Then the whole book is
              published again, with a new epoch.

A book that is not SYNCHRONIZED publishes each update as it comes, with epoch UNPROVEN_EPOCH, after
a gap: it is recorded, and belongs to no book.

Snapshots come over REST, older than some updates, or over the feed, where each replaces the book.
"""

from collections.abc import Iterator, Sequence
from enum import Enum

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit.base.number_columns import IntColumn
from kit.base.numbers import DIGITS_MAX, NumberError
from kit.connector.books.book_events import (
    BookEvent,
    GapEvent,
    UpdateEvent,
    VenueBookUpdate,
    unproven,
)
from kit.connector.books.buffered_updates import BufferedUpdates
from kit.connector.contract.venue import (
    BookRules,
    SequenceNumbers,
    SequenceResult,
    SnapshotSource,
    UpdateOrdering,
)
from kit.marketdata.book.book import Book
from kit.marketdata.book.levels import ONLY, BookCheck, BookConstraints, BookSide, SideChanges
from kit.marketdata.model.columns import Scale

PEER_DELAY_NS_MAX = 300_000_000
"""How long a missing update may take to come from the peer replica."""
PEER_LEAD_NS_MAX = 5_000_000_000
"""How long updates of the peer replica are kept that our own connection has not brought yet."""
LEVELS_MAX = 20_000

GapReason = types_pb2.GapReason
FAILED_CHECKS = {
    BookCheck.CHECKSUM: types_pb2.GAP_REASON_CHECKSUM,
    BookCheck.CROSSED: types_pb2.GAP_REASON_CROSSED,
}
NEEDS_REQUEST = frozenset({types_pb2.GAP_REASON_SEQUENCE, *FAILED_CHECKS.values()})
"""Gap reasons after which the venue sends a snapshot only on request."""


class BookState(Enum):
    """Whether a book can be relied on."""

    EMPTY = "empty"
    SYNCHRONIZED = "synchronized"
    IN_DOUBT = "in_doubt"


class SynchronizedBook:
    """Keeps the book of one instrument from a snapshot and the updates after it."""

    def __init__(self, symbol: str, rules: BookRules) -> None:
        self.symbol = symbol
        self.state = BookState.EMPTY
        self.epoch = 0
        self.last_sequence = 0
        self.venue_time_ns = 0
        self.received_time_ns = 0
        self.scale = Scale()
        self.book = Book(BookConstraints(rules.checksum, rules.depth, rules.crossing_is_wrong))
        self.ignored_total = 0
        """Updates that the book contained already."""
        self.wanted_since_ns = 0
        """Since when a snapshot is needed; 0 when none is."""
        self.wanted_because: GapReason.ValueType = types_pb2.GAP_REASON_UNSPECIFIED
        """Why a snapshot is needed; unspecified for the first one."""
        self.is_overdue = False
        """Whether nothing has come in time after the subscription, and nothing since."""
        self._rules = rules
        self._rule = rules.sequence
        self.held = BufferedUpdates(rules.sequence)
        self._snapshot_requested = False
        self.waits_for_peer = False
        """Whether a missing update may come from the peer replica, before it counts as a gap."""
        self.expects_snapshot = False
        """Whether the next snapshot is that of our own new connection, and no reset."""
        self._misses_update = False
        """Whether an update of our own connection waits for one that the peer may bring."""
        self._waiting_since_ns = 0

    @property
    def needs_update_first(self) -> bool:
        """Whether a REST snapshot is of no use before the next update has come."""
        needs_held = self._rule.ordering is UpdateOrdering.TIME and not self.held
        return needs_held or self.held.snapshot_waits

    def reset(self) -> None:
        """Drop the levels, the held updates and the scale, before a snapshot replaces them."""
        self.book.replace(BookSide.of([]), BookSide.of([]))
        self.scale = Scale()
        self.held.clear()

    def rescale(self, scale: Scale) -> None:
        """Move to a larger scale. Raises NumberError when a level would not fit."""
        price_factor = 10 ** (scale.price - self.scale.price)
        size_factor = 10 ** (scale.size - self.scale.size)
        if not self.book.fits(price_factor, size_factor, 10**DIGITS_MAX):
            raise NumberError(f"the book of {self.symbol} does not fit {scale}")
        self.book.rescale(price_factor, size_factor)
        self.held.rescale(price_factor, size_factor)
        self.scale = scale

    def ignores(self, numbers: SequenceNumbers) -> bool:
        """Whether the book contains an update already. Counts it in that case."""
        if self.state is not BookState.SYNCHRONIZED:
            return False
        old = self._rule.after_update(self.last_sequence, numbers) is SequenceResult.STALE
        self.ignored_total += old
        return old

    def joins(self, firsts: IntColumn, lasts: IntColumn, previous: IntColumn) -> bool:
        """Whether all these updates may be applied, each after the one before it."""
        if self.state is not BookState.SYNCHRONIZED or self.held:
            return False
        if len(lasts) > 1:
            return self._rule.run_joins(self.last_sequence, firsts, lasts, previous)
        numbers = SequenceNumbers(int(firsts[0]), int(lasts[0]), int(previous[0]))
        return self._rule.after_update(self.last_sequence, numbers) is SequenceResult.APPLY

    def apply_run(
        self, updates: IntColumn, bids: SideChanges, asks: SideChanges, checksums: IntColumn | None
    ) -> tuple[int, BookCheck]:
        """Apply updates that join. Returns how many passed the checks; the update after them, if
        any, has failed one: pass it to ``on_failed_check``."""
        return self.book.follow(updates, bids, asks, checksums, self.scale)

    def on_update(self, update: VenueBookUpdate, is_ahead: bool = False) -> Iterator[BookEvent]:
        """Take the next update. ``is_ahead``: it is from the peer replica, which may be ahead of
        our own connection; updates missing before it will still come."""
        if self.state is BookState.SYNCHRONIZED:
            yield from self._follow(update, is_ahead)
            return
        if self.state is BookState.EMPTY and not self.wanted_since_ns:
            if not self.is_overdue:
                detail, now_ns = "no snapshot yet", update.received_time_ns
                yield self._gap(types_pb2.GAP_REASON_UNPROVEN, update, now_ns, detail)
            self._want(update.received_time_ns, types_pb2.GAP_REASON_UNSPECIFIED)
        yield from self._hold_unproven(update)
        if joined := self.held.join_waiting():
            yield from self._begin(*joined)
        elif self._can_repair_from_held and (
            self._rule.after_update(self.last_sequence, update.numbers) is SequenceResult.APPLY
        ):
            yield from self._repair_from_held()

    def on_snapshot(self, snapshot: VenueBookUpdate) -> Iterator[BookEvent]:
        """Take a snapshot from REST, unless updates between it and the held ones are missing."""
        is_numbered = self._rule.ordering is UpdateOrdering.SEQUENCE
        is_older = is_numbered and snapshot.numbers.last < self.last_sequence
        if self.state is BookState.SYNCHRONIZED or is_older:
            return
        if joined := self.held.join(snapshot):
            yield from self._begin(*joined)

    def on_feed_snapshot(self, snapshot: VenueBookUpdate) -> Iterator[BookEvent]:
        """Take a snapshot from the feed, which replaces the book in every state."""
        is_new = snapshot.numbers.last != self.last_sequence
        if self.state is BookState.SYNCHRONIZED and is_new and not self.expects_snapshot:
            reason = types_pb2.GAP_REASON_VENUE_RESET
            yield self._break(reason, snapshot, snapshot.received_time_ns, "")
        yield from self._begin(snapshot, self.held.run_after_snapshot(snapshot.numbers.last))

    def succeed(self, other: "SynchronizedBook") -> Iterator[BookEvent]:
        """Take over a synchronized book of the same instrument and scale."""
        self.held.clear()
        yield from self._begin(other.snapshot(), [])

    def snapshot_requested(self) -> None:
        """The feed was asked for a snapshot, and may leave out updates before it: late updates
        cannot repair the book any more."""
        self._snapshot_requested = True

    def note_applied(self, update: VenueBookUpdate) -> None:
        """Record the last update that the book contains."""
        self.last_sequence = update.numbers.last
        self.venue_time_ns = update.venue_time_ns or self.venue_time_ns
        self.received_time_ns = update.received_time_ns
        if self.book.level_count() > LEVELS_MAX:
            self.book.trim(LEVELS_MAX // 2)

    def on_failed_check(self, verdict: BookCheck, update: VenueBookUpdate) -> Iterator[BookEvent]:
        """The book failed a check after this update was applied."""
        detail = f"{verdict.name.lower()} at {update.numbers.last}"
        yield self._break(FAILED_CHECKS[verdict], update, update.received_time_ns, detail)
        yield from unproven(update)

    def mark_in_doubt(
        self, reason: "GapReason.ValueType", now_ns: int, detail: str
    ) -> Iterator[BookEvent]:
        """Updates may have been missed, for example with a lost connection."""
        if self.state is BookState.SYNCHRONIZED:
            yield self._break(reason, None, now_ns, detail)
        elif self._rule.ordering is not UpdateOrdering.SEQUENCE:
            # Nothing would show that updates are missing after the held ones.
            self.held.clear()

    def expire_wait(self, now_ns: int) -> Iterator[BookEvent]:
        """Stop waiting for an update that the peer replica has not brought in time."""
        if self.state is not BookState.SYNCHRONIZED or not self.held:
            return
        self._waiting_since_ns = self._waiting_since_ns or now_ns
        waited_ns = now_ns - self._waiting_since_ns
        if self._misses_update and waited_ns > PEER_DELAY_NS_MAX:
            yield self._break(types_pb2.GAP_REASON_SEQUENCE, self.held.first, now_ns, "")
            for update in self.held.take():
                yield from self._hold_unproven(update)
        elif waited_ns > PEER_LEAD_NS_MAX:
            self.held.clear()
            self._waiting_since_ns = 0

    def mark_overdue(self, now_ns: int) -> GapEvent:
        """Nothing has come in time after the subscription."""
        self.is_overdue = True
        return self._gap(types_pb2.GAP_REASON_UNPROVEN, None, now_ns, "no update has come yet")

    def snapshot(self) -> VenueBookUpdate:
        """All levels, as one update."""
        return VenueBookUpdate(
            SequenceNumbers(self.last_sequence, self.last_sequence, 0),
            self.venue_time_ns,
            self.received_time_ns,
            BookSide.of(self.book.bids()),
            BookSide.of(self.book.asks()),
        )

    def _follow(self, update: VenueBookUpdate, is_ahead: bool = False) -> Iterator[BookEvent]:
        join = self._rule.after_update(self.last_sequence, update.numbers)
        if join is SequenceResult.APPLY:
            yield from self._apply(update)
            yield from self._apply_held()
        elif join is SequenceResult.STALE:
            self.ignored_total += 1
        elif self.waits_for_peer:
            self.held.add(update)
            self._misses_update = self._misses_update or not is_ahead
        else:
            yield self._break(types_pb2.GAP_REASON_SEQUENCE, update, update.received_time_ns, "")
            if self._rule.ordering is UpdateOrdering.SEQUENCE:
                yield from self._hold_unproven(update)
            else:
                yield from unproven(update)

    def _apply_held(self) -> Iterator[BookEvent]:
        """Apply the held updates that join after a missing update has come from the peer."""
        for update in self.held.take():
            join = self._rule.after_update(self.last_sequence, update.numbers)
            if self.state is not BookState.SYNCHRONIZED:
                yield from self._hold_unproven(update)
            elif join is SequenceResult.APPLY and not self.held:
                yield from self._apply(update)
            elif join is not SequenceResult.STALE:
                self.held.add(update)
        self._waiting_since_ns = 0
        self._misses_update = self._misses_update and bool(self.held)

    def _break(
        self,
        reason: "GapReason.ValueType",
        update: VenueBookUpdate | None,
        now_ns: int,
        detail: str,
    ) -> GapEvent:
        self.state = BookState.IN_DOUBT
        self._want(now_ns, reason)
        return self._gap(reason, update, now_ns, detail)

    def _gap(
        self,
        reason: "GapReason.ValueType",
        update: VenueBookUpdate | None,
        now_ns: int,
        detail: str,
    ) -> GapEvent:
        return GapEvent(
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

    @property
    def _can_repair_from_held(self) -> bool:
        """Whether late updates can repair the book without a snapshot: it was right when updates
        stopped to join, and their numbers show whether one is missing."""
        if (
            self.state is BookState.EMPTY
            or self._snapshot_requested
            or self._rule.ordering is not UpdateOrdering.SEQUENCE
        ):
            return False
        if self.wanted_because == types_pb2.GAP_REASON_SEQUENCE:
            return True
        is_from_rest = self._rules.snapshots is SnapshotSource.REST
        return self.wanted_because not in NEEDS_REQUEST and is_from_rest

    def _repair_from_held(self) -> Iterator[BookEvent]:
        """The missing update has come late: apply the updates that join now. The book is
        synchronized again when all of them do."""
        held = self.held.take()
        waiting = []
        for update in held:
            join = self._rule.after_update(self.last_sequence, update.numbers)
            if join is SequenceResult.GAP:
                waiting.append(update)
            elif join is SequenceResult.APPLY and self._set(update) is not BookCheck.GOOD:
                self.wanted_because = types_pb2.GAP_REASON_CHECKSUM
                waiting = held
                break
        for update in waiting:
            self.held.add(update)
        if not waiting:
            yield self._synchronize(self.snapshot())

    def _begin(
        self, snapshot: VenueBookUpdate, held: Sequence[VenueBookUpdate]
    ) -> Iterator[BookEvent]:
        """Start from a snapshot and the held updates that follow it."""
        self.book.replace(BookSide.of([]), BookSide.of([]))
        verdict = self._set(snapshot)
        if verdict is not BookCheck.GOOD:
            yield from self.on_failed_check(verdict, snapshot._replace(is_published=True))
            return
        yield self._synchronize(snapshot)
        self.held.clear()
        for position, update in enumerate(held):
            join = self._rule.after_snapshot if position == 0 else self._rule.after_update
            if self.state is not BookState.SYNCHRONIZED:
                yield from self._hold_unproven(update)
            elif join(self.last_sequence, update.numbers) is SequenceResult.APPLY:
                yield from self._apply(update)
            else:
                yield from self._follow(update)

    def _apply(self, update: VenueBookUpdate) -> Iterator[BookEvent]:
        verdict = self._set(update)
        if verdict is BookCheck.GOOD:
            yield UpdateEvent(self._with_dropped_levels(update), snapshot=False, epoch=self.epoch)
        else:
            yield from self.on_failed_check(verdict, update)

    def _with_dropped_levels(self, update: VenueBookUpdate) -> VenueBookUpdate:
        """The update that was set last, with the removal of levels beyond the depth."""
        sides = SideChanges.joined([update.bids]), SideChanges.joined([update.asks])
        bids, asks = map(SideChanges.removing, sides, self.book.dropped_levels())
        return update._replace(bids=bids.of(0), asks=asks.of(0))

    def _set(self, update: VenueBookUpdate) -> BookCheck:
        """Set the levels of one update, and check the book."""
        sides = SideChanges.joined([update.bids]), SideChanges.joined([update.asks])
        claimed = None if update.checksum is None else np.array([update.checksum], dtype=np.int64)
        _, verdict = self.book.follow(ONLY, *sides, claimed, self.scale)
        if verdict is BookCheck.GOOD:
            self.note_applied(update)
        return verdict

    def _synchronize(self, snapshot: VenueBookUpdate) -> UpdateEvent:
        self.state = BookState.SYNCHRONIZED
        self.epoch += 1
        self.wanted_since_ns = 0
        self.wanted_because = types_pb2.GAP_REASON_UNSPECIFIED
        self._snapshot_requested = self.expects_snapshot = self.is_overdue = False
        self._misses_update, self._waiting_since_ns = False, 0
        return UpdateEvent(snapshot, snapshot=True, epoch=self.epoch)

    def _want(self, now_ns: int, reason: "GapReason.ValueType") -> None:
        if not self.wanted_since_ns:
            self.wanted_since_ns = now_ns
        if self.wanted_because not in FAILED_CHECKS.values():
            self.wanted_because = reason

    def _hold_unproven(self, update: VenueBookUpdate) -> Iterator[BookEvent]:
        """Hold an update while there is no book to apply it to, and publish it as it came."""
        yield from unproven(update)
        self.held.add(update._replace(is_published=True))
