"""Publishes the trades of all instruments: each once and in order, or inside a gap.

Where a trade is missing, later trades of that instrument alone are held back while it is requested
from the venue (kit/connector/process/trade_backfill.py), for a bounded time and up to a bound.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.number_columns import IntColumn
from kit.base.numbers import NumberError
from kit.connector.subscriptions import VenueSubscriptions
from kit.connector.trades.buffered_trades import (
    BufferedNumberedTrades,
    BufferedTextIdTrades,
    BufferedTrades,
)
from kit.connector.trades.continuity_checker import (
    CheckedRows,
    LastRow,
    TextIdContinuityChecker,
    times_of,
    trade_continuity,
    without_overtaken,
    without_spent,
)
from kit.marketdata.codec import encode
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.model.columns import TradeRows

HELD_ROWS_MAX = 50_000
"""Held trades of all instruments together; beyond that, a hole is published as a gap."""

NOT_THERE = "the venue does not have them"
TOO_MANY = f"more than {HELD_ROWS_MAX} trades would have to wait"
LOST_AGAIN = "the connection was lost again"


class TradeSequencer:
    """Checks every trade and publishes the new ones."""

    def __init__(
        self,
        publish: Callable[[BatchDraft], object],
        subscriptions: VenueSubscriptions,
        clock: Clock,
    ) -> None:
        self.held: dict[str, BufferedTrades] = {}
        """Held trades by symbol."""
        self.refill_wanted = asyncio.Event()
        self.patience_s = 0.0
        """How long trades may be held; 0 while nobody requests missing ones."""
        self._publish = publish
        self._subscriptions = subscriptions
        self._clock = clock
        self._numbered = trade_continuity()
        self._texts = TextIdContinuityChecker()
        self._waiting_until_ns: dict[BufferedTrades, int] = {}
        self._dropped = 0

    @property
    def dropped_total(self) -> int:
        return self._dropped + self._numbered.dropped_total + self._texts.dropped_total

    def on_rows(self, rows: TradeRows, overlapping: bool = False) -> None:
        """Publish or hold trades of the feed. ``overlapping``: whether many came before. Raises
        NumberError, and changes nothing, when a number cannot be written."""
        numbered = rows.trade_id_text is None and rows.previous_id is not None
        if overlapping and numbered and self.held.keys().isdisjoint(rows.symbols.names):
            rows = self._numbered.without_known(rows)
            if not len(rows):
                return
        # Encoded before the check: rows that cannot be written must not count as seen.
        whole = encode.rows(rows)
        for segment in self._checked(rows):
            if overlapping and rows.previous_id is None:
                segment = without_overtaken(segment)
            self._publish_segment(segment, rows, whole)
        if self.held:
            # Held trades are published after those that were not held.
            self._end_waits(rows.symbols.names)
            if overlapping:
                self._go_on(rows.symbols.names)

    def reconnected(self, symbols: Iterable[str], is_covered: bool = False) -> None:
        """These instruments have a new connection: some of their trades may have been missed.
        ``is_covered``: whether a peer replica brings them; then only a hole in ids counts."""
        names = set(symbols)
        if is_covered:
            self._numbered.reconnected(names)
            return
        for hold in [hold for hold in self.held.values() if hold.symbol in names]:
            if isinstance(hold, BufferedTextIdTrades):
                self.release(hold, LOST_AGAIN)
        self._numbered.reconnected(names)
        self._texts.reconnected(names)

    def connection_replaced(self) -> None:
        """Another connection delivers from now on; see ``Continuity.connection_replaced``."""
        self._numbered.connection_replaced()

    def left_s(self, hold: BufferedTrades) -> float:
        """How long these trades may still be held."""
        left_ns = self._waiting_until_ns.get(hold, 0) - self._clock.monotonic_ns()
        return left_ns / NANOSECONDS_PER_SECOND

    def release(self, hold: BufferedTrades, why: str = "") -> None:
        """Publish held trades. ``why`` is the detail of the gap where trades are still missing.
        Does nothing when they were released before."""
        if self.held.get(hold.symbol) is not hold:
            return
        del self.held[hold.symbol], self._waiting_until_ns[hold]
        self._dropped += hold.duplicates
        if self._subscriptions.not_subscribed([hold.symbol]) or not hold.row_count:
            return
        rows = hold.rows()
        if rows.trade_id_text is not None and hold.is_whole:
            self._texts.missed_nothing(hold.symbol)
        check = self._numbered if rows.trade_id_text is None else self._texts
        for segment in check.check(rows):
            for gap in segment.gaps:
                _explain(gap, hold, why or NOT_THERE)
            self._publish_segment(segment)

    def _checked(self, rows: TradeRows) -> list[CheckedRows[TradeRows]]:
        numbered = rows.trade_id_text is None
        nobody_waits = self.held.keys().isdisjoint(rows.symbols.names)
        if numbered and nobody_waits and self._numbered.is_whole(rows):
            return [CheckedRows([], rows)]
        if self.patience_s:
            rows = self._keep_back(rows)
        if not len(rows):
            return []
        return self._numbered.check(rows) if numbered else self._texts.check(rows)

    def _keep_back(self, rows: TradeRows) -> TradeRows:
        """Hold trades after a hole; return the others."""
        held: list[int] = []
        for symbol, part in list(rows.symbols.rows_of()):
            hold = self.held.get(symbol)
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

    def _hold_from(
        self, symbol: str, rows: TradeRows, part: IntColumn
    ) -> tuple[BufferedTrades | None, int]:
        """Where a hole is found: what holds the rows after it, and where they begin."""
        if rows.trade_id_text is not None:
            return self._hold_after_connection(symbol, rows.trade_id_text, part)
        if rows.previous_id is None:
            return None, 0
        last = self._numbered.last(symbol)
        times = times_of(rows)
        for place, row in enumerate(part.tolist()):
            number = int(rows.trade_id[row])
            if last is not None and rows.previous_id[row] > last.number:
                return BufferedNumberedTrades(symbol, last), place
            if last is None or number > last.number:
                last = LastRow(number, int(times[row]), False)
        return None, 0

    def _hold_after_connection(
        self, symbol: str, texts: list[str], part: IntColumn
    ) -> tuple[BufferedTrades | None, int]:
        if self._texts.may_miss(symbol):
            knows = partial(self._texts.knows, symbol)
            for place, row in enumerate(part.tolist()):
                if not knows(texts[row]):
                    return BufferedTextIdTrades(
                        symbol, knows, self._texts.gap_end_ns(symbol)
                    ), place
        return None, 0

    def _begin(self, hold: BufferedTrades) -> None:
        patience_ns = int(self.patience_s * NANOSECONDS_PER_SECOND)
        self._waiting_until_ns[hold] = self._clock.monotonic_ns() + patience_ns
        self.held[hold.symbol] = hold
        self.refill_wanted.set()

    def _end_waits(self, symbols: Iterable[str]) -> None:
        """Release trades that miss nothing more, and the largest groups beyond the bound."""
        for hold in [self.held[symbol] for symbol in symbols if symbol in self.held]:
            if hold.is_whole:
                self.release(hold)
        while sum(hold.row_count for hold in self.held.values()) > HELD_ROWS_MAX:
            self.release(max(self.held.values(), key=lambda hold: hold.row_count), TOO_MANY)

    def _go_on(self, symbols: Iterable[str]) -> None:
        """Publish held trades before the first missing one: the peer may be waiting for them while
        it holds what is missing here."""
        for hold in [self.held[symbol] for symbol in symbols if symbol in self.held]:
            ready = hold.ready() if isinstance(hold, BufferedNumberedTrades) else None
            if ready is not None:
                for segment in self._numbered.check(ready):
                    self._publish_segment(segment)

    def _publish_segment(
        self,
        segment: CheckedRows[TradeRows],
        rows: TradeRows | None = None,
        whole: BatchDraft | None = None,
    ) -> None:
        """``whole`` is the draft of ``rows``, of which the segment is a part."""
        real = without_spent(segment)
        if whole is not None and real.rows is rows:
            self._publish(whole)
        elif len(real.rows):
            for place, draft in enumerate(_drafts(real.rows)):
                self._publish(draft.after(real.gaps) if place == 0 else draft)
        elif real.gaps:
            self._publish(BatchDraft(gaps=real.gaps))


def _drafts(rows: TradeRows) -> list[BatchDraft]:
    """One draft, or one per row where their numbers do not fit one scale."""
    try:
        return [encode.rows(rows)]
    except NumberError:
        return [encode.rows(rows.take(np.array([row]))) for row in range(len(rows))]


def _explain(gap: types_pb2.Gap, hold: BufferedTrades, why: str) -> None:
    """Add to a gap why its trades are missing."""
    if gap.reason == types_pb2.GAP_REASON_OUT_OF_ORDER:
        return
    gap.detail = why
    if isinstance(hold, BufferedNumberedTrades) and hold.reconnected_before(gap.first_id_after):
        gap.reason = types_pb2.GAP_REASON_RECONNECT
