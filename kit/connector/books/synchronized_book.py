"""Books that are proven or in doubt, never silently wrong.

Each instrument's book is a small state machine. Updates and snapshots go in; what is to be
published comes out: updates that join without a hole, snapshots, and gaps.

EMPTY      nothing yet: updates are held until a snapshot comes
PROVEN     every update since the snapshot was applied, none is missing, each proof held; of a
           book that is not provable: nothing has shown it to be wrong
IN_DOUBT   something is missing or wrong: updates are held until the missing one comes late, or a
           newer snapshot bridges to them; then the whole book is published again, with a new epoch

Snapshots come over REST, beside the updates and maybe older than some of them, or over the feed
itself, where each begins the book anew.
"""

from collections.abc import Iterator, Sequence
from enum import Enum

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit.base.numbers import DIGITS_MAX, IntColumn, NumberError
from kit.connector.books.outcomes import Changed, Doubted, Outcome, Update
from kit.connector.contract.venue import BookRules, SequenceResult, SnapshotSource, UpdateNumbers
from kit.marketdata.book import ONLY, Book, Changes, Proof, Side, Verdict
from kit.marketdata.model.columns import Scale

HELD_UPDATES_MAX = 50_000
PATIENCE_NS = 300_000_000
"""So long a missing update may be on its way from the twin."""
AHEAD_NS = 5_000_000_000
"""So long updates are kept with which the twin is ahead of our own connection."""
LEVELS_MAX = 20_000

GapReason = types_pb2.GapReason
REASONS = {
    Verdict.CHECKSUM: types_pb2.GAP_REASON_CHECKSUM,
    Verdict.CROSSED: types_pb2.GAP_REASON_CROSSED,
}
BROKEN = frozenset({types_pb2.GAP_REASON_SEQUENCE, *REASONS.values()})
"""Reasons after which the venue sends no new book by itself."""


class BookState(Enum):
    """Whether a book can be relied on."""

    EMPTY = "empty"
    PROVEN = "proven"
    IN_DOUBT = "in_doubt"


class SynchronizedBook:
    """The book of one instrument, and whether it is right."""

    def __init__(self, symbol: str, rules: BookRules) -> None:
        self.symbol = symbol
        self.state = BookState.EMPTY
        self.epoch = 0
        self.last_sequence = 0
        self.venue_time_ns = 0
        self.received_time_ns = 0
        self.scale = Scale()
        self.book = Book(Proof(rules.checksum, rules.depth, rules.crossing_is_wrong))
        self.ignored_total = 0
        """Updates that were contained already."""
        self.wanted_since_ns = 0
        """Since when a snapshot is needed; 0 when none is."""
        self.wanted_because: GapReason.ValueType = types_pb2.GAP_REASON_UNSPECIFIED
        """Why it is needed; not said for a book that was never there."""
        self._rules = rules
        self._rule = rules.sequence
        self._held: list[Update] = []
        self._renewing = False
        self.is_patient = False
        """Whether a missing update may come from the twin: a hole is then told a bit later."""
        self.expects_snapshot = False
        """Whether the next whole book of the feed is one that our own new connection begins with,
        while the book has gone on from the twin."""
        self._misses = False
        """Whether an update of our own connection waits for one that may come from the twin."""
        self._waiting_since_ns = 0
        """Since when it is known that updates wait."""

    @property
    def provable(self) -> bool:
        """Whether a missed update would show."""
        return self._rules.provable

    @property
    def held_count(self) -> int:
        """Updates that wait for a snapshot."""
        return len(self._held)

    def forget(self) -> None:
        """A new beginning is coming: let go of the levels, of what is held, and of the scale."""
        self.book.replace(Side.of([]), Side.of([]))
        self.scale, self._held = Scale(), []

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

    def ignores(self, numbers: UpdateNumbers) -> bool:
        """Whether an update is contained already; it is counted then."""
        if self.state is not BookState.PROVEN:
            return False
        old = self._rule.after_update(self.last_sequence, numbers) is SequenceResult.OLD
        self.ignored_total += old
        return old

    def joins(self, firsts: IntColumn, lasts: IntColumn, previous: IntColumn) -> bool:
        """Whether all these updates may follow, each the one before it."""
        if self.state is not BookState.PROVEN or self._held:
            return False
        if len(lasts) > 1:
            return self._rule.run_joins(self.last_sequence, firsts, lasts, previous)
        numbers = UpdateNumbers(int(firsts[0]), int(lasts[0]), int(previous[0]))
        return self._rule.after_update(self.last_sequence, numbers) is SequenceResult.APPLY

    def follow_run(
        self, updates: IntColumn, bids: Changes, asks: Changes, checksums: IntColumn | None
    ) -> tuple[int, Verdict]:
        """Apply some updates of many, which are known to join. Returns how many were right; the one
        after them, if any, has broken the book, and must be told with ``broken``."""
        return self.book.follow(updates, bids, asks, checksums, self.scale)

    def on_update(self, update: Update, is_ahead: bool = False) -> Iterator[Outcome]:
        """The next update from the feed. ``is_ahead``: of the twin, whose updates may be ahead of
        those of our own connection; what is then missing comes."""
        if self.state is BookState.PROVEN:
            yield from self._follow(update, is_ahead)
            return
        self._hold(update)
        if self.state is BookState.EMPTY:
            self._want(update.received_time_ns, types_pb2.GAP_REASON_UNSPECIFIED)
        elif self._may_heal and self._rule.after_update(self.last_sequence, update.numbers) is (
            SequenceResult.APPLY
        ):
            yield from self._heal_from_held()

    def on_snapshot(self, snapshot: Update) -> Iterator[Outcome]:
        """A whole book from REST. One that does not bridge to the held updates is ignored."""
        last = snapshot.numbers.last
        if self.state is BookState.PROVEN or last < self.last_sequence:
            return
        held = self._held_after(last)
        if held and self._rule.after_snapshot(last, held[0].numbers) is SequenceResult.HOLE:
            return
        yield from self._begin(snapshot, held)

    def on_feed_snapshot(self, snapshot: Update) -> Iterator[Outcome]:
        """A whole book from the feed, which begins the book anew whatever was before."""
        is_new = snapshot.numbers.last != self.last_sequence
        if self.state is BookState.PROVEN and is_new and not self.expects_snapshot:
            reason = types_pb2.GAP_REASON_VENUE_RESET
            yield from self._break(reason, snapshot, snapshot.received_time_ns, "")
        yield from self._begin(snapshot, self._run_after(snapshot.numbers.last))

    def succeed(self, other: "SynchronizedBook") -> Iterator[Outcome]:
        """Go on with a proven book of the same instrument and scale, whatever was before."""
        self._held = []
        yield from self._begin(other.whole(), [])

    def renewing(self) -> None:
        """The feed was asked for this book anew. It may leave out updates until that has come, so
        nothing else can mend the book."""
        self._renewing = True

    def followed(self, update: Update) -> None:
        """This update is in the book."""
        self.last_sequence = update.numbers.last
        self.venue_time_ns = update.venue_time_ns or self.venue_time_ns
        self.received_time_ns = update.received_time_ns
        if self.book.level_count() > LEVELS_MAX:
            self.book.trim(LEVELS_MAX // 2)

    def broken(self, verdict: Verdict, update: Update) -> Iterator[Outcome]:
        """This update, applied, has proven the book wrong."""
        what = f"{verdict.name.lower()} at {update.numbers.last}"
        yield from self._break(REASONS[verdict], update, update.received_time_ns, what)

    def doubt(self, reason: "GapReason.ValueType", now_ns: int, detail: str) -> Iterator[Outcome]:
        """Something outside the numbering broke, such as the connection."""
        if self.state is BookState.PROVEN:
            yield from self._break(reason, None, now_ns, detail)

    def end_wait(self, now_ns: int) -> Iterator[Outcome]:
        """See whether something that was to come from the twin has not come in time."""
        if self.state is not BookState.PROVEN or not self._held:
            return
        self._waiting_since_ns = self._waiting_since_ns or now_ns
        waited_ns = now_ns - self._waiting_since_ns
        if self._misses and waited_ns > PATIENCE_NS:
            yield from self._break(types_pb2.GAP_REASON_SEQUENCE, self._held[0], now_ns, "")
        elif waited_ns > AHEAD_NS:
            self._held, self._waiting_since_ns = [], 0

    def _follow(self, update: Update, is_ahead: bool = False) -> Iterator[Outcome]:
        join = self._rule.after_update(self.last_sequence, update.numbers)
        if join is SequenceResult.APPLY:
            yield from self._apply(update)
            yield from self._catch_up()
        elif join is SequenceResult.OLD:
            self.ignored_total += 1
        elif self.is_patient:
            self._hold(update)
            self._misses = self._misses or not is_ahead
        else:
            self._hold(update)
            yield from self._break(
                types_pb2.GAP_REASON_SEQUENCE, update, update.received_time_ns, ""
            )

    def _catch_up(self) -> Iterator[Outcome]:
        """What a missing update was waited for has come: apply what joins now."""
        held, self._held = sorted(self._held, key=lambda update: update.numbers.first), []
        for place, update in enumerate(held):
            join = self._rule.after_update(self.last_sequence, update.numbers)
            if join is SequenceResult.APPLY and self.state is BookState.PROVEN:
                yield from self._apply(update)
            elif join is not SequenceResult.OLD:
                self._held = held[place:]
                break
        self._waiting_since_ns = 0
        self._misses = self._misses and bool(self._held)

    def _break(
        self,
        reason: "GapReason.ValueType",
        update: Update | None,
        now_ns: int,
        detail: str,
    ) -> Iterator[Outcome]:
        self.state = BookState.IN_DOUBT
        self._want(now_ns, reason)
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

    @property
    def _may_heal(self) -> bool:
        """Whether late updates can mend the book: it was right when they stopped to join, and their
        numbers are those of one unbroken row."""
        if self._renewing:
            return False
        if self.wanted_because == types_pb2.GAP_REASON_SEQUENCE:
            return True
        return self.wanted_because not in BROKEN and self._rules.snapshots is SnapshotSource.REST

    def _heal_from_held(self) -> Iterator[Outcome]:
        """The missing update came late: apply what joins now, and see whether all does."""
        waiting: list[Update] = []
        for update in sorted(self._held, key=lambda update: update.numbers.first):
            join = self._rule.after_update(self.last_sequence, update.numbers)
            if join is SequenceResult.HOLE:
                waiting.append(update)
            elif join is SequenceResult.APPLY and self._set(update) is not Verdict.GOOD:
                self.wanted_because = types_pb2.GAP_REASON_CHECKSUM
                return
        self._held = waiting
        if not waiting:
            yield self._proven(self.whole())

    def _held_after(self, last: int) -> list[Update]:
        """The held updates that a snapshot does not contain."""
        return [
            update
            for update in sorted(self._held, key=lambda update: update.numbers.first)
            if self._rule.after_snapshot(last, update.numbers) is not SequenceResult.OLD
        ]

    def _run_after(self, last: int) -> list[Update]:
        """The held updates that follow a snapshot of the feed without a hole. The others are from
        before it, when the venue may have counted otherwise; should they not be, the next update
        shows the hole."""
        run: list[Update] = []
        for update in self._held_after(last):
            join = self._rule.after_update if run else self._rule.after_snapshot
            verdict = join(last, update.numbers)
            if verdict is SequenceResult.HOLE:
                break
            if verdict is SequenceResult.APPLY:
                run.append(update)
                last = update.numbers.last
        return run

    def _begin(self, snapshot: Update, held: Sequence[Update]) -> Iterator[Outcome]:
        """From a snapshot, and the held updates that follow it."""
        self.book.replace(Side.of([]), Side.of([]))
        verdict = self._set(snapshot)
        if verdict is not Verdict.GOOD:
            yield from self.broken(verdict, snapshot)
            return
        yield self._proven(snapshot)
        self._held = []
        for position, update in enumerate(held):
            join = self._rule.after_snapshot if position == 0 else self._rule.after_update
            if join(self.last_sequence, update.numbers) is SequenceResult.APPLY:
                yield from self._apply(update)
            else:
                yield from self.on_update(update)

    def _apply(self, update: Update) -> Iterator[Outcome]:
        verdict = self._set(update)
        if verdict is Verdict.GOOD:
            yield Changed(self._told(update), snapshot=False, epoch=self.epoch)
        else:
            yield from self.broken(verdict, update)

    def _told(self, update: Update) -> Update:
        """The update that was set last, with the removal of what fell out of the depth."""
        sides = Changes.joined([update.bids]), Changes.joined([update.asks])
        bids, asks = map(Changes.removing, sides, self.book.fallen())
        return update._replace(bids=bids.of(0), asks=asks.of(0))

    def _set(self, update: Update) -> Verdict:
        """Set the levels of one update, and see what the proof says."""
        sides = Changes.joined([update.bids]), Changes.joined([update.asks])
        claimed = None if update.checksum is None else np.array([update.checksum], dtype=np.int64)
        _, verdict = self.book.follow(ONLY, *sides, claimed, self.scale)
        if verdict is Verdict.GOOD:
            self.followed(update)
        return verdict

    def _proven(self, snapshot: Update) -> Changed:
        self.state = BookState.PROVEN
        self.epoch += 1
        self.wanted_since_ns = 0
        self.wanted_because = types_pb2.GAP_REASON_UNSPECIFIED
        self._renewing = self.expects_snapshot = False
        self._misses, self._waiting_since_ns = False, 0
        return Changed(snapshot, snapshot=True, epoch=self.epoch)

    def whole(self) -> Update:
        """All levels, as one update."""
        return Update(
            UpdateNumbers(self.last_sequence, self.last_sequence, 0),
            self.venue_time_ns,
            self.received_time_ns,
            Side.of(self.book.bids()),
            Side.of(self.book.asks()),
        )

    def _want(self, now_ns: int, reason: "GapReason.ValueType") -> None:
        if not self.wanted_since_ns:
            self.wanted_since_ns = now_ns
        if self.wanted_because not in REASONS.values():
            self.wanted_because = reason

    def _hold(self, update: Update) -> None:
        """Keep an update for later. When there are too many, the oldest go: a snapshot to come is
        newer than they are."""
        self._held.append(update)
        if len(self._held) > HELD_UPDATES_MAX:
            del self._held[: HELD_UPDATES_MAX // 2]


def _times(side: Side, price_factor: np.int64, size_factor: np.int64) -> Side:
    return Side(side.price * price_factor, side.size * size_factor)
