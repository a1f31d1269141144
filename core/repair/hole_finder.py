"""Finds holes by trade ids, by recorded gaps and by the venue's candles.

The record is scanned once, in steps of bounded size; the position of the scan is stored.
"""

from collections.abc import Iterable, Sequence

from venuemesh.catalog.v1 import catalog_pb2
from venuemesh.common.v1 import types_pb2
from venuemesh.repair.v1 import repair_pb2

from core.repair.candle_comparison import CandleComparer
from core.repair.context import RepairContext
from core.repair.hole_store import TIME_MAX
from core.repair.holes import IN_REPAIR, OPEN, UNAVAILABLE, Hole, HoleSpan, new_hole
from core.repair.record_reader import RecordedGap, TradedInstrument
from core.repair.trade_merge import ExactTrade
from core.repair.venue_clients import Features, RetryableVenueError
from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import StoreUnavailable
from kit.marketdata.delivery.redis_streams import StreamAppendConflict

GAP_AGE_MAX_NS = 7 * 24 * 3600 * NANOSECONDS_PER_SECOND
"""Older gaps are examined only when a repair is requested."""
JUDGED_MAX = 10_000
"""Gaps that are remembered, so that none is examined twice."""

BY_IDS = repair_pb2.HOLE_SOURCE_TRADE_IDS
BY_GAP = repair_pb2.HOLE_SOURCE_GAP

_log = telemetry.logger("repair.finder")


class HoleFinder:
    """Finds holes and adds them to the store."""

    def __init__(self, context: RepairContext, candles: CandleComparer) -> None:
        self._record = context.record
        self._store = context.store
        self._venues = context.venues
        self._candles = candles
        self._publisher = context.publisher
        self._settings = context.settings
        self._metrics = context.metrics
        self._degraded_reasons = context.degraded_reasons
        self._clock = context.clock
        self._owns = context.ownership.owns
        self._judged: dict[RecordedGap, dict[str, Hole | None]] = {}
        """By symbol: the hole, or None where nothing was recorded before the gap."""
        self._closed: set[RecordedGap] = set()
        """Gaps of all instruments whose end was published."""

    async def run(self) -> None:
        while True:
            try:
                await self.look()
                self._degraded_reasons.clear("holes")
            except StoreUnavailable as error:
                self._degraded_reasons.report("holes", error.message)
            except StreamAppendConflict as error:
                _log.info("begins again", extra={"detail": str(error)})
            await self._clock.sleep(self._settings.find_interval_s)

    async def look(self) -> None:
        """Scan everything that is new, once."""
        scanned = await self._store.scanned()
        by_venue: dict[str, list[TradedInstrument]] = {}
        for instrument in await self._record.instruments():
            if not self._owns(instrument.venue):
                continue
            by_venue.setdefault(instrument.venue, []).append(instrument)
        for venue, instruments in by_venue.items():
            try:
                features = await self._venues.features(venue)
            except RetryableVenueError as error:
                _log.info("not looked at", extra={"venue": venue, "detail": str(error)})
                continue
            for instrument in instruments:
                from_ns = scanned.get((venue, instrument.symbol), (0, 0))[0]
                if _is_consecutive(features) and not instrument.text_ids:
                    await self._scan(instrument, from_ns, TIME_MAX)
            oldest_ns = self._clock.time_ns() - GAP_AGE_MAX_NS
            for gap in await self._look_at_gaps(venue, instruments, features, oldest_ns):
                if not gap.symbol and len(self._judged[gap]) == len(instruments):
                    await self._close(venue, gap)
            for gap in list(self._judged)[:-JUDGED_MAX]:
                del self._judged[gap]
                self._closed.discard(gap)

    async def look_at(self, instrument: TradedInstrument, start_ns: int, end_ns: int) -> None:
        """Scan one instrument over a time range; an end of 0 is now, a start of 0 where the search
        has got to. Raises RetryableVenueError."""
        features = await self._venues.features(instrument.venue)
        scanned = (await self._store.scanned()).get((instrument.venue, instrument.symbol), (0, 0))
        if _is_consecutive(features) and not instrument.text_ids:
            await self._scan(instrument, start_ns or scanned[0], end_ns or TIME_MAX, is_asked=True)
        await self._look_at_gaps(instrument.venue, [instrument], features, 0)
        await self._candles.compare_asked(instrument, start_ns, end_ns)

    async def _scan(
        self, instrument: TradedInstrument, from_ns: int, until_ns: int, is_asked: bool = False
    ) -> None:
        """Jumps of ids, from a time on, in steps."""
        settled_ns = self._settled_ns()
        while from_ns < until_ns:
            scan = await self._record.scan(instrument, from_ns, settled_ns)
            now_ns = self._clock.time_ns()
            holes = [
                new_hole(instrument.venue, instrument.symbol, BY_IDS, span, now_ns)
                for span in scan.jumps
            ]
            await self._add(instrument, holes)
            if not is_asked and scan.scanned_time_ns > from_ns:
                await self._store.save_scan(
                    instrument.venue, instrument.symbol, "scanned_time_ns", scan.scanned_time_ns
                )
            if not scan.is_full or scan.scanned_time_ns <= from_ns:
                break
            from_ns = scan.scanned_time_ns

    async def _look_at_gaps(
        self,
        venue: str,
        instruments: Sequence[TradedInstrument],
        features: Features,
        oldest_ns: int,
    ) -> Sequence[RecordedGap]:
        gaps = await self._record.gaps(venue, oldest_ns, self._settled_ns())
        for gap in gaps:
            judged = self._judged.setdefault(gap, {})
            for instrument in instruments:
                if gap.symbol in ("", instrument.symbol) and instrument.symbol not in judged:
                    await self._judge(instrument, gap, features)
        return gaps

    async def _judge(
        self, instrument: TradedInstrument, gap: RecordedGap, features: Features
    ) -> None:
        numbered = features.trade_numbering != catalog_pb2.TRADE_NUMBERING_UNSPECIFIED
        if numbered and gap.last_id_before and gap.first_id_after and not instrument.text_ids:
            times = gap.last_time_ns or gap.first_time_ns, gap.first_time_ns
            span = HoleSpan(*times, gap.last_id_before, gap.first_id_after)
        else:
            before, after = await self._sides(instrument, gap)
            if after is None:
                # The end of the gap is not known yet.
                return
            if before is None:
                self._judged[gap][instrument.symbol] = None
                return
            ids = (0, 0)
            if numbered and not instrument.text_ids:
                ids = before.number, after.number
            span = HoleSpan(before.time_ns, after.time_ns, *ids)
        now_ns = self._clock.time_ns()
        hole = new_hole(instrument.venue, instrument.symbol, BY_GAP, span, now_ns, gap.reason)
        await self._add(instrument, [hole])
        self._judged[gap][instrument.symbol] = hole

    async def _close(self, venue: str, gap: RecordedGap) -> None:
        """Publish the end of a gap of all instruments when its holes have ended."""
        if gap in self._closed:
            return
        judged = self._judged[gap]
        states = await self._store.states([hole for hole in judged.values() if hole is not None])
        if {OPEN, IN_REPAIR} & states:
            return
        outcome = types_pb2.FILL_OUTCOME_COMPLETE
        if UNAVAILABLE in states:
            outcome = types_pb2.FILL_OUTCOME_PARTIAL
        fill = types_pb2.HoleFill(
            outcome=outcome,
            start_time_ns=gap.detected_time_ns,
            end_time_ns=gap.detected_time_ns,
            detail=f"{len(judged)} instruments were looked at",
        )
        await self._publisher.close_gap(venue, fill)
        self._closed.add(gap)

    async def _sides(
        self, instrument: TradedInstrument, gap: RecordedGap
    ) -> tuple[ExactTrade | None, ExactTrade | None]:
        if gap.last_time_ns and gap.first_time_ns:
            return await self._record.edges(instrument, gap.last_time_ns + 1, gap.first_time_ns)
        return await self._record.around(instrument, gap.detected_time_ns)

    async def _add(self, instrument: TradedInstrument, holes: Iterable[Hole]) -> None:
        self._metrics.found(instrument.venue, await self._store.add_holes(holes))

    def _settled_ns(self) -> int:
        return self._clock.time_ns() - int(self._settings.settle_s * NANOSECONDS_PER_SECOND)


def _is_consecutive(features: Features) -> bool:
    return bool(features.trade_numbering == catalog_pb2.TRADE_NUMBERING_CONSECUTIVE)
