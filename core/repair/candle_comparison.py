"""Compares our bars of one minute with the venue's own candles.

Each minute is compared once, some time after its end, and again when a hole in it was filled. The
candles come from the record, or, where the venue's feed has none, from a few calls per minute. A
minute with missing trades that no known hole explains is a hole.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from itertools import pairwise

from venuemesh.catalog.v1 import catalog_pb2
from venuemesh.repair.v1 import repair_pb2

from core.repair.context import RepairContext
from core.repair.hole_store import TIME_MAX
from core.repair.holes import Hole, HoleSpan, new_hole
from core.repair.record_reader import MINUTE_NS, MinuteCandle, TradedInstrument
from core.repair.trade_merge import ExactTrade
from core.repair.venue_clients import Features, PermanentVenueError, RetryableVenueError
from kit.base import telemetry
from kit.base.errors import StoreUnavailable

SETTLED_NS = 2 * MINUTE_NS
"""A minute is compared when its end is this long ago: the venue may still correct it."""
MINUTES_MAX = 500
"""Minutes of one instrument in one step."""
DIFFERENCES_SHOWN = 3
BY_CANDLES = repair_pb2.HOLE_SOURCE_CANDLES
CONSECUTIVE = catalog_pb2.TRADE_NUMBERING_CONSECUTIVE

_SAVE = (
    "INSERT INTO bar_checks SELECT %s, %s, * FROM unnest(%s::bigint[], %s::smallint[], %s::text[])"
    " ON CONFLICT (venue, symbol, open_time_ns) DO UPDATE SET verdict = excluded.verdict,"
    " explanation = excluded.explanation"
)

_log = telemetry.logger("repair.candles")


class CandleComparisonResult(IntEnum):
    """The result of the comparison of our bar with the venue's candle."""

    EQUAL = 0
    LESS = 1
    """It is missing, or has less volume."""
    MORE = 2
    OTHER = 3
    """It has other prices."""


def compare(
    ours: MinuteCandle | None, theirs: MinuteCandle, sums_trades: bool
) -> CandleComparisonResult:
    """``sums_trades``: whether the venue's volume is the sum of its trades' sizes."""
    if ours is None:
        return CandleComparisonResult.LESS if theirs.volume else CandleComparisonResult.EQUAL
    if sums_trades and ours.volume != theirs.volume:
        return (
            CandleComparisonResult.LESS
            if ours.volume < theirs.volume
            else CandleComparisonResult.MORE
        )
    return CandleComparisonResult.EQUAL if ours[:4] == theirs[:4] else CandleComparisonResult.OTHER


class CandleComparer:
    """Compares minutes and stores the verdicts."""

    def __init__(self, context: RepairContext) -> None:
        self._database = context.database
        self._record = context.record
        self._store = context.store
        self._venues = context.venues
        self._settings = context.settings
        self._metrics = context.metrics
        self._clock = context.clock
        self._owns = context.ownership.owns

    async def run(self) -> None:
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                _log.info("not compared", extra={"detail": error.message})
            await self._clock.sleep(self._settings.candles_interval_s)

    async def look(self) -> None:
        """Once: the minutes that have settled since. Those that wait for longest go first."""
        checked = await self._store.scanned()
        calls: dict[str, int] = {}
        instruments = [one for one in await self._record.instruments() if self._owns(one.venue)]
        froms = {one: checked.get((one.venue, one.symbol), (0, 0))[1] for one in instruments}
        for instrument, from_ns in sorted(froms.items(), key=lambda pair: pair[1]):
            may_ask = calls.get(instrument.venue, 0) < self._settings.candle_calls_max
            try:
                before = self._venues.call_counts.get(instrument.venue, 0)
                await self._step(instrument, from_ns, may_ask)
                asked = self._venues.call_counts.get(instrument.venue, 0) - before
                calls[instrument.venue] = calls.get(instrument.venue, 0) + asked
            except (RetryableVenueError, PermanentVenueError) as error:
                calls[instrument.venue] = self._settings.candle_calls_max
                _log.info("not compared", extra={"venue": instrument.venue, "detail": str(error)})

    async def compare_asked(self, instrument: TradedInstrument, start_ns: int, end_ns: int) -> None:
        """The minutes of a time, as far as they have settled; an end of 0 is now. At most
        MINUTES_MAX, the newest."""
        first_ns = await self._first_minute_ns(instrument)
        until_ns = min(await self._until_ns(instrument), end_ns or TIME_MAX)
        since_ns = max(first_ns, _up(start_ns), until_ns - MINUTES_MAX * MINUTE_NS)
        if since_ns < until_ns:
            try:
                await self._compare(instrument, since_ns, until_ns, may_ask=True)
            except (RetryableVenueError, PermanentVenueError) as error:
                _log.info("not compared", extra={"venue": instrument.venue, "detail": str(error)})

    async def compare_again(self, instrument: TradedInstrument, hole: Hole) -> str:
        """The minutes of a hole that was filled. Returns what is to be said of them."""
        span = hole.span
        since_ns = max(_down(span.start_time_ns), await self._first_minute_ns(instrument))
        ended_ns = _down(span.end_time_ns) + MINUTE_NS
        until_ns = min(
            ended_ns, await self._until_ns(instrument), since_ns + MINUTES_MAX * MINUTE_NS
        )
        if since_ns >= until_ns:
            return "its minutes are compared with the venue's candles when they have settled"
        try:
            found = await self._compare(instrument, since_ns, until_ns, True, hole)
        except (RetryableVenueError, PermanentVenueError) as error:
            return f"not compared with the venue's candles: {error}"
        unequal = {at: words for at, (verdict, words) in found.items() if verdict}
        if not found:
            return "the venue has no candles of its minutes"
        if not unequal:
            return f"{len(found)} bars of 1m equal the venue's candles"
        reported = [f"{at}: {words or 'unexplained'}" for at, words in sorted(unequal.items())]
        return f"{len(unequal)} of {len(found)} bars of 1m differ: " + "; ".join(
            reported[:DIFFERENCES_SHOWN]
        )

    async def _step(self, instrument: TradedInstrument, from_ns: int, may_ask: bool) -> None:
        since_ns = max(from_ns, await self._first_minute_ns(instrument))
        until_ns = min(await self._until_ns(instrument), since_ns + MINUTES_MAX * MINUTE_NS)
        if since_ns >= until_ns:
            return
        found = await self._compare(instrument, since_ns, until_ns, may_ask)
        if found or may_ask:
            await self._store.save_scan(
                instrument.venue, instrument.symbol, "checked_time_ns", until_ns
            )

    async def _compare(
        self,
        instrument: TradedInstrument,
        since_ns: int,
        until_ns: int,
        may_ask: bool,
        filled: Hole | None = None,
    ) -> Mapping[int, tuple[CandleComparisonResult, str]]:
        """Verdict and explanation of each minute of which there is a candle of the venue's. What is
        ``filled`` explains nothing any more."""
        features = await self._venues.features(instrument.venue)
        theirs = await self._record.venue_minutes(instrument, since_ns, until_ns)
        if len(theirs) < (until_ns - since_ns) // MINUTE_NS and may_ask:
            reported = await self._venues.candles(instrument.venue, instrument.symbol, since_ns)
            theirs |= {at: one for at, one in reported.items() if since_ns <= at < until_ns}
        ours = await self._record.minutes(instrument, since_ns, until_ns)
        verdicts = {
            at: compare(ours.get(at), one, features.candles_sum_trades)
            for at, one in theirs.items()
        }
        unfilled = await self._store.unfilled(
            instrument.venue, instrument.symbol, since_ns, until_ns
        )
        holes = [one for one in unfilled if filled is None or one.hole_id != filled.hole_id]
        found = {at: (verdict, _explanation(at, holes)) for at, verdict in verdicts.items()}
        for at in [at for at, seen in found.items() if seen == (CandleComparisonResult.LESS, "")]:
            if not _explanation(at, holes):
                holes += await self._find(instrument, at, features)
            found[at] = CandleComparisonResult.LESS, _explanation(at, holes)
        await self._save(instrument, found)
        return found

    async def _find(
        self, instrument: TradedInstrument, open_ns: int, features: Features
    ) -> list[Hole]:
        """The holes of a minute in which something is missing. None where every id is recorded: the
        candle is then at odds with the venue's own trades."""
        before, after = await self._record.edges(instrument, open_ns, open_ns + MINUTE_NS)
        if before is None or after is None:
            return []
        spans = [HoleSpan(before.time_ns, after.time_ns)]
        if features.trade_numbering and not instrument.text_ids:
            spans = [HoleSpan(before.time_ns, after.time_ns, before.number, after.number)]
        if features.trade_numbering == CONSECUTIVE and not instrument.text_ids:
            spans = jumps(await self._record.numbered(instrument, spans[0]))
        detail = f"the bar at {open_ns} ns is less than the venue's candle"
        names, now_ns = (instrument.venue, instrument.symbol), self._clock.time_ns()
        holes = [new_hole(*names, BY_CANDLES, span, now_ns, detail=detail) for span in spans]
        self._metrics.found(instrument.venue, await self._store.add_holes(holes))
        return holes

    async def _save(
        self, instrument: TradedInstrument, found: Mapping[int, tuple[CandleComparisonResult, str]]
    ) -> None:
        columns = [
            list(found),
            [int(verdict) for verdict, _ in found.values()],
            [words if verdict else "" for verdict, words in found.values()],
        ]
        async with self._database.transaction() as connection:
            await connection.execute(_SAVE, [instrument.venue, instrument.symbol, *columns])

    async def _first_minute_ns(self, instrument: TradedInstrument) -> int:
        """The first that was recorded as a whole."""
        first_ns = await self._record.first_time_ns(instrument)
        return TIME_MAX if first_ns is None else _down(first_ns) + MINUTE_NS

    async def _until_ns(self, instrument: TradedInstrument) -> int:
        """The begin of the first minute that has not settled."""
        newest_ns = await self._record.venue_time_ns(instrument.venue)
        return _down(min(newest_ns, self._clock.time_ns()) - SETTLED_NS)


def jumps(trades: Sequence[ExactTrade]) -> list[HoleSpan]:
    """Where the ids of trades in order jump."""
    return [
        HoleSpan(one.time_ns, other.time_ns, one.number, other.number)
        for one, other in pairwise(trades)
        if other.number > one.number + 1
    ]


def _explanation(open_ns: int, holes: Iterable[Hole]) -> str:
    ids: Sequence[str] = [
        hole.hole_id
        for hole in holes
        if hole.span.start_time_ns < open_ns + MINUTE_NS and hole.span.end_time_ns >= open_ns
    ]
    return f"hole {', '.join(ids)}" if ids else ""


def _down(time_ns: int) -> int:
    return time_ns - time_ns % MINUTE_NS


def _up(time_ns: int) -> int:
    return -(-time_ns // MINUTE_NS) * MINUTE_NS
