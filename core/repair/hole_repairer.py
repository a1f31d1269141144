"""Fills one hole: fetches the venue's trades, joins them to the record and publishes them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from venuemesh.catalog.v1 import catalog_pb2
from venuemesh.common.v1 import types_pb2

from core.repair.context import RepairContext
from core.repair.holes import Hole, HoleSpan
from core.repair.record_reader import TradedInstrument
from core.repair.trade_merge import (
    AHEAD_MAX_NS,
    ExactTrade,
    TradeConflict,
    TradeMergeResult,
    VenueTrades,
    in_order,
    join_equals,
    join_numbers,
)
from core.repair.venue_clients import Features, PermanentVenueError, RetryableVenueError
from kit.base.cursor import Cursor
from kit.base.numbers import NumberError

SEGMENT = 20_000
"""Trades of the venue that are joined at a time."""
BEHIND_MAX_NS = 2 * AHEAD_MAX_NS
"""How late a venue's history may be."""
BEHIND_WAIT_S = 1.0

ID_MAX = 2**63 - 1

COMPLETE = types_pb2.FILL_OUTCOME_COMPLETE
PARTIAL = types_pb2.FILL_OUTCOME_PARTIAL
GONE = types_pb2.FILL_OUTCOME_UNAVAILABLE

AnswerT = TypeVar("AnswerT")
RetryingCall = Callable[[Callable[[], Awaitable[AnswerT]]], Awaitable[AnswerT]]
"""Repeats a call until it succeeds; raises RetryableVenueError when that takes too long."""


@dataclass(frozen=True, slots=True)
class HoleRepairResult:
    """The outcome of a hole, valid once all consumers have read the entry at the cursor."""

    hole: Hole
    outcome: "types_pb2.FillOutcome.ValueType"
    detail: str
    cursor: Cursor
    known_count: int
    """Trades recorded within the hole before anything was fetched."""
    published: int
    """Missing trades that were published."""
    left: HoleSpan | None = None
    """The part that is still missing."""


@dataclass(frozen=True, slots=True)
class HoleAssessment:
    """What the venue's trades mean for a hole."""

    outcome: "types_pb2.FillOutcome.ValueType"
    missing: Sequence[ExactTrade]
    detail: str
    left: HoleSpan | None = None


class HoleRepairer:
    """Fills holes. Raises RetryableVenueError when the venue does not answer."""

    def __init__(self, context: RepairContext) -> None:
        self._record = context.record
        self._store = context.store
        self._venues = context.venues
        self._publisher = context.publisher
        self._clock = context.clock

    async def fill(
        self,
        instrument: TradedInstrument,
        hole: Hole,
        features: Features,
        retrying: RetryingCall[Sequence[ExactTrade]],
    ) -> HoleRepairResult:
        """Publish the missing trades, and a RepairOutcome with the outcome."""
        there = await self._record.count(instrument, hole.span)
        await self._store.begin_hole(hole, there)
        known = there if hole.known_count is None else hole.known_count
        # Trades that an interrupted run has published count too.
        published = there - known
        try:
            if hole.span.has_ids and not instrument.text_ids:
                finding, more = await self._by_ids(instrument, hole, features, retrying)
                published += more
            else:
                finding = await self._by_equals(instrument, hole, retrying)
        except (PermanentVenueError, TradeConflict) as error:
            finding = HoleAssessment(GONE, (), str(error), hole.span)
        try:
            cursor = await self._publish(instrument, hole, finding, published)
        except NumberError as error:
            finding = HoleAssessment(
                GONE, (), f"a number that cannot be recorded: {error}", hole.span
            )
            cursor = await self._publish(instrument, hole, finding, published)
        published += len(finding.missing)
        return HoleRepairResult(
            hole, finding.outcome, finding.detail, cursor, known, published, finding.left
        )

    async def _publish(
        self, instrument: TradedInstrument, hole: Hole, finding: HoleAssessment, published: int
    ) -> Cursor:
        count = published + len(finding.missing)
        fills = [_fill(hole, hole.span, finding.outcome, count, finding.detail)]
        if finding.outcome == PARTIAL and finding.left is not None:
            fills.append(_fill(hole, finding.left, GONE, 0, finding.detail))
        return await self._publisher.publish(instrument, finding.missing, fills)

    async def _by_ids(
        self,
        instrument: TradedInstrument,
        hole: Hole,
        features: Features,
        retrying: RetryingCall[Sequence[ExactTrade]],
    ) -> tuple[HoleAssessment, int]:
        """The finding of the last part, and how many trades were published before it."""
        span, consecutive = hole.span, _is_consecutive(features)
        recorded = await self._record.numbered(instrument, span)
        if not recorded or recorded[0].number != span.last_id_before:
            raise TradeConflict(f"trade {span.last_id_before} before it is not recorded")
        after = recorded[-1].number
        if after < span.first_id_after:
            raise RetryableVenueError("the trade after it is not recorded", BEHIND_WAIT_S)
        if consecutive and len(recorded) == span.first_id_after - span.last_id_before + 1:
            return HoleAssessment(
                COMPLETE, (), "nothing is missing: both sides join by their ids"
            ), 0
        published, begin = 0, max(hole.told_id, span.last_id_before)
        proven = begin > span.last_id_before
        while True:
            answer = await self._reported_from(instrument, hole, begin, after, features, retrying)
            reported_to = answer.trades[-1].number if answer.trades else begin
            is_end = reported_to >= after or len(answer.trades) < SEGMENT
            end = span.first_id_after if is_end else reported_to + 1
            part = HoleSpan(span.start_time_ns, span.end_time_ns, begin, end)
            known = [trade for trade in recorded if trade.number >= begin]
            joined = join_numbers(answer, known, part, after, consecutive)
            proven = proven or joined.before
            if is_end:
                return self._judged(hole, joined, answer, proven, begin), published
            if not (consecutive and proven and joined.lost is None):
                raise TradeConflict(f"{SEGMENT} trades from {begin} on do not join")
            await self._publisher.publish(instrument, joined.missing)
            await self._store.note_reported(hole, reported_to)
            published, begin = published + len(joined.missing), reported_to

    async def _reported_from(
        self,
        instrument: TradedInstrument,
        hole: Hole,
        begin: int,
        after: int,
        features: Features,
        retrying: RetryingCall[Sequence[ExactTrade]],
    ) -> VenueTrades:
        """The venue's trades from one id to another, up to the size of a segment."""
        by_id = catalog_pb2.TRADE_HISTORY_BY_ID in features.trade_history
        reported: list[ExactTrade] = []
        newest, start_ns = begin - 1, hole.span.start_time_ns
        while len(reported) < SEGMENT and newest < after:
            first = newest + 1 if by_id else 0

            def ask(
                first: int = first, start_ns: int = start_ns
            ) -> Awaitable[Sequence[ExactTrade]]:
                return self._venues.trades(instrument.venue, instrument.symbol, first, start_ns)

            page = _numbered(await retrying(ask))
            fresh = [trade for trade in page if trade.number > newest]
            if not fresh:
                break
            reported += fresh
            last = max(fresh, key=lambda trade: trade.number)
            newest = last.number
            start_ns = start_ns if by_id else max(start_ns, last.time_ns)
        return in_order(reported, numbered=True, now_ns=self._clock.time_ns())

    def _judged(
        self, hole: Hole, joined: TradeMergeResult, answer: VenueTrades, before: bool, begin: int
    ) -> HoleAssessment:
        span, notes = hole.span, list(joined.notes)
        if not joined.after:
            self._require_reported(span, answer)
        if before and joined.after and joined.lost is None:
            found = f"{len(joined.missing)} trades were missing, both sides join by their ids"
            return HoleAssessment(COMPLETE, joined.missing, _words(found, notes))
        if not (before or joined.after):
            detail = _words("the venue does not have them: " + _range(answer), notes)
            return HoleAssessment(GONE, (), detail, span)
        numbers = [trade.number for trade in answer.trades]
        first, last = joined.lost or (numbers[-1] + 1, numbers[0] - 1)
        first = first if before else begin + 1
        last = last if joined.after else span.first_id_after - 1
        left = _left(span, first, last, answer)
        detail = _words(f"the venue does not have {first} to {last}: {_range(answer)}", notes)
        return HoleAssessment(PARTIAL if joined.missing else GONE, joined.missing, detail, left)

    def _require_reported(self, span: HoleSpan, answer: VenueTrades) -> None:
        """Raises RetryableVenueError where the end of a hole is too new to be reported already."""
        reported_ns = answer.trades[-1].time_ns if answer.trades else 0
        is_young = span.end_time_ns > self._clock.time_ns() - BEHIND_MAX_NS
        if is_young and reported_ns < span.end_time_ns:
            raise RetryableVenueError("the venue's history is not as far yet", BEHIND_WAIT_S)

    async def _by_equals(
        self, instrument: TradedInstrument, hole: Hole, retrying: RetryingCall[Sequence[ExactTrade]]
    ) -> HoleAssessment:
        span = hole.span
        reported: dict[str, ExactTrade] = {}
        start_ns = span.start_time_ns
        while len(reported) < SEGMENT:

            def ask(start_ns: int = start_ns) -> Awaitable[Sequence[ExactTrade]]:
                return self._venues.trades(instrument.venue, instrument.symbol, 0, start_ns)

            page = await retrying(ask)
            count, newest_ns = len(reported), max((trade.time_ns for trade in page), default=0)
            in_order([*reported.values(), *page], numbered=False, now_ns=self._clock.time_ns())
            reported |= {trade.trade_id: trade for trade in page}
            if len(reported) == count or newest_ns > span.end_time_ns or newest_ns <= start_ns:
                break
            start_ns = newest_ns
        answer = in_order(reported.values(), numbered=False, now_ns=self._clock.time_ns())
        recorded = await self._record.between(instrument, span.start_time_ns, span.end_time_ns)
        joined = join_equals(answer, recorded, span.start_time_ns, span.end_time_ns)
        return self._judged_equals(span, joined, answer)

    def _judged_equals(
        self, span: HoleSpan, joined: TradeMergeResult, answer: VenueTrades
    ) -> HoleAssessment:
        if not joined.after:
            self._require_reported(span, answer)
        notes, missing = joined.notes, joined.missing
        if joined.before and joined.after:
            found = f"{len(missing)} trades were missing, equal trades stand on both sides"
            return HoleAssessment(COMPLETE, missing, _words(found, notes))
        detail = _words(f"the venue tells only {_range(answer)}", notes)
        if joined.after and missing:
            return HoleAssessment(
                PARTIAL, missing, detail, HoleSpan(span.start_time_ns, missing[0].time_ns)
            )
        return HoleAssessment(GONE, (), detail, span)


def _numbered(trades: Sequence[ExactTrade]) -> Sequence[ExactTrade]:
    for trade in trades:
        if not trade.trade_id.isdecimal() or int(trade.trade_id) > ID_MAX:
            raise TradeConflict(f"trade {trade.trade_id!r} has no number")
    return trades


def _is_consecutive(features: Features) -> bool:
    return bool(features.trade_numbering == catalog_pb2.TRADE_NUMBERING_CONSECUTIVE)


def _left(span: HoleSpan, first: int, last: int, answer: VenueTrades) -> HoleSpan:
    """What is missing still, between the trades that are there."""
    times = {trade.number: trade.time_ns for trade in answer.trades}
    return HoleSpan(
        times.get(first - 1, span.start_time_ns),
        times.get(last + 1, span.end_time_ns),
        first - 1,
        last + 1,
    )


def _range(answer: VenueTrades) -> str:
    if not answer.trades:
        return "nothing"
    first, last = answer.trades[0], answer.trades[-1]
    return f"trades {first.trade_id} to {last.trade_id}, from {first.time_ns} ns on"


def _words(found: str, notes: Sequence[str]) -> str:
    return "; ".join([found, *notes])


def _fill(
    hole: Hole,
    span: HoleSpan,
    outcome: "types_pb2.FillOutcome.ValueType",
    trade_count: int,
    detail: str,
) -> types_pb2.HoleFill:
    return types_pb2.HoleFill(
        symbol=hole.symbol,
        outcome=outcome,
        start_time_ns=span.start_time_ns,
        end_time_ns=span.end_time_ns,
        last_id_before=span.last_id_before,
        first_id_after=span.first_id_after,
        trade_count=trade_count,
        repair_id=hole.repair_id,
        detail=detail,
    )
