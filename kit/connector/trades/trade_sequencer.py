"""Trades of all instruments: rows in, published batches out. Every trade comes once and in order,
or lies inside a gap.

Where one is missing, the later trades of that instrument alone wait while the venue is asked for it
(kit/connector/process/trade_refill.py). They wait for a bounded time, and only so many of them.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.numbers import IntColumn, NumberError
from kit.connector.subscriptions import Subscriptions
from kit.connector.trades.continuity import (
    Last,
    Segment,
    TextIds,
    times_of,
    trade_continuity,
    without_overtaken,
    without_spent,
)
from kit.connector.trades.holds import Hold, NumberedHold, TextHold
from kit.marketdata.codec import encode
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.model.columns import TradeRows

HELD_ROWS_MAX = 50_000
"""Trades that wait, of all instruments together; with more, the hole stays one."""

NOT_THERE = "the venue does not have them"
TOO_MANY = f"more than {HELD_ROWS_MAX} trades would have to wait"
LOST_AGAIN = "the connection was lost again"


class TradeSequencer:
    """Judges every trade and publishes those that are new."""

    def __init__(
        self, publish: Callable[[BatchDraft], object], subscriptions: Subscriptions, clock: Clock
    ) -> None:
        self.holds: dict[str, Hold] = {}
        """What waits, by symbol."""
        self.refill_wanted = asyncio.Event()
        self.patience_s = 0.0
        """So long trades may wait; 0: there is nobody who asks for the missing ones."""
        self._publish = publish
        self._subscriptions = subscriptions
        self._clock = clock
        self._numbered = trade_continuity()
        self._texts = TextIds()
        self._waiting_until_ns: dict[Hold, int] = {}
        self._dropped = 0

    @property
    def dropped_total(self) -> int:
        """Duplicates."""
        return self._dropped + self._numbered.dropped_total + self._texts.dropped_total

    def on_rows(self, rows: TradeRows, overlapping: bool = False) -> None:
        """Trades of the feed. ``overlapping``: many have come already. Raises NumberError before
        any change."""
        numbered = rows.trade_id_text is None and rows.previous_id is not None
        if overlapping and numbered and self.holds.keys().isdisjoint(rows.symbols.names):
            rows = self._numbered.without_known(rows)
            if not len(rows):
                return
        # Written before the check: rows that cannot be written must not count as seen.
        whole = encode.rows(rows)
        for segment in self._checked(rows):
            if overlapping and rows.previous_id is None:
                segment = without_overtaken(segment)
            self._publish_segment(segment, rows, whole)
        if self.holds:
            # What waits comes after those that did not have to.
            self._end_waits(rows.symbols.names)
            if overlapping:
                self._go_on(rows.symbols.names)

    def reconnected(self, symbols: Iterable[str], is_covered: bool = False) -> None:
        """These instruments have a new connection; some of their trades may have been missed.
        ``is_covered``: the twin brings them; only a hole in their numbers is one."""
        names = set(symbols)
        if is_covered:
            self._numbered.reconnected(names)
            return
        for hold in [hold for hold in self.holds.values() if hold.symbol in names]:
            if isinstance(hold, TextHold):
                self.release(hold, LOST_AGAIN)
        self._numbered.reconnected(names)
        self._texts.reconnected(names)

    def connection_replaced(self) -> None:
        """Another connection delivers from now on; see ``Continuity.connection_replaced``."""
        self._numbered.connection_replaced()

    def left_s(self, hold: Hold) -> float:
        """For how long it may wait."""
        left_ns = self._waiting_until_ns.get(hold, 0) - self._clock.monotonic_ns()
        return left_ns / NANOSECONDS_PER_SECOND

    def release(self, hold: Hold, why: str = "") -> None:
        """Publish what waits. ``why``: what became of the trades that are still missing. A hold
        that has ended already is left alone."""
        if self.holds.get(hold.symbol) is not hold:
            return
        del self.holds[hold.symbol], self._waiting_until_ns[hold]
        self._dropped += hold.duplicates
        if self._subscriptions.unlisted([hold.symbol]) or not hold.row_count:
            return
        rows = hold.rows()
        if rows.trade_id_text is not None and hold.is_whole:
            self._texts.missed_nothing(hold.symbol)
        check = self._numbered if rows.trade_id_text is None else self._texts
        for segment in check.check(rows):
            for gap in segment.gaps:
                _explain(gap, hold, why or NOT_THERE)
            self._publish_segment(segment)

    def _checked(self, rows: TradeRows) -> list[Segment[TradeRows]]:
        numbered = rows.trade_id_text is None
        nobody_waits = self.holds.keys().isdisjoint(rows.symbols.names)
        if numbered and nobody_waits and self._numbered.is_whole(rows):
            return [Segment([], rows)]
        if self.patience_s:
            rows = self._keep_back(rows)
        if not len(rows):
            return []
        return self._numbered.check(rows) if numbered else self._texts.check(rows)

    def _keep_back(self, rows: TradeRows) -> TradeRows:
        """Without those that have to wait."""
        held: list[int] = []
        for symbol, part in list(rows.symbols.rows_of()):
            hold = self.holds.get(symbol)
            start = 0
            if hold is None:
                hold, start = self._hold_from(symbol, rows, part)
                if hold is None:
                    continue
                self._begin(hold)
            hold.add(rows.take(part[start:]))
            held += part[start:].tolist()
        if not held:
            return rows
        return rows.take(np.delete(np.arange(len(rows)), held))

    def _hold_from(self, symbol: str, rows: TradeRows, part: IntColumn) -> tuple[Hold | None, int]:
        """A hold for the part of the rows that is after a hole, and where that begins."""
        if rows.trade_id_text is not None:
            return self._hold_after_connection(symbol, rows.trade_id_text, part)
        if rows.previous_id is None:
            return None, 0
        last = self._numbered.last(symbol)
        times = times_of(rows)
        for place, row in enumerate(part.tolist()):
            number = int(rows.trade_id[row])
            if last is not None and rows.previous_id[row] > last.number:
                return NumberedHold(symbol, last), place
            if last is None or number > last.number:
                last = Last(number, int(times[row]), False)
        return None, 0

    def _hold_after_connection(
        self, symbol: str, texts: list[str], part: IntColumn
    ) -> tuple[Hold | None, int]:
        if self._texts.may_miss(symbol):
            knows = partial(self._texts.knows, symbol)
            for place, row in enumerate(part.tolist()):
                if not knows(texts[row]):
                    return TextHold(symbol, knows, self._texts.gap_end_ns(symbol)), place
        return None, 0

    def _begin(self, hold: Hold) -> None:
        patience_ns = int(self.patience_s * NANOSECONDS_PER_SECOND)
        self._waiting_until_ns[hold] = self._clock.monotonic_ns() + patience_ns
        self.holds[hold.symbol] = hold
        self.refill_wanted.set()

    def _end_waits(self, symbols: Iterable[str]) -> None:
        """Where nothing is missing any more, and where the most wait when too many do."""
        for hold in [self.holds[symbol] for symbol in symbols if symbol in self.holds]:
            if hold.is_whole:
                self.release(hold)
        while sum(hold.row_count for hold in self.holds.values()) > HELD_ROWS_MAX:
            self.release(max(self.holds.values(), key=lambda hold: hold.row_count), TOO_MANY)

    def _go_on(self, symbols: Iterable[str]) -> None:
        """Publish what waits before the first that is missing: the twin may wait for it, and hold
        what is missing here."""
        for hold in [self.holds[symbol] for symbol in symbols if symbol in self.holds]:
            ready = hold.ready() if isinstance(hold, NumberedHold) else None
            if ready is not None:
                for segment in self._numbered.check(ready):
                    self._publish_segment(segment)

    def _publish_segment(
        self,
        segment: Segment[TradeRows],
        rows: TradeRows | None = None,
        whole: BatchDraft | None = None,
    ) -> None:
        """``whole``: the draft of ``rows``, of which the segment is a part."""
        real = without_spent(segment)
        if whole is not None and real.rows is rows:
            self._publish(whole)
        elif len(real.rows):
            for place, draft in enumerate(_drafts(real.rows)):
                self._publish(draft.after(real.gaps) if place == 0 else draft)
        elif real.gaps:
            self._publish(BatchDraft(gaps=real.gaps))


def _drafts(rows: TradeRows) -> list[BatchDraft]:
    """One, or one of each row where their numbers do not fit into a common scale."""
    try:
        return [encode.rows(rows)]
    except NumberError:
        return [encode.rows(rows.take(np.array([row]))) for row in range(len(rows))]


def _explain(gap: types_pb2.Gap, hold: Hold, why: str) -> None:
    """Say in a gap what became of its trades."""
    if gap.reason == types_pb2.GAP_REASON_OUT_OF_ORDER:
        return
    gap.detail = why
    if isinstance(hold, NumberedHold) and hold.reconnected_before(gap.first_id_after):
        gap.reason = types_pb2.GAP_REASON_RECONNECT
