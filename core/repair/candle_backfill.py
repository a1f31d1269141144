"""Fetches the venues' own candles of the time before the first start into the record.

Without them a chart of a new data folder is empty for hours. They are kept as the venue's candles
(table ``candle_rows``), where those of its feed and of imported files are, too: never as bars of
ours, and never over what is recorded. What is recorded tells where to go on after a restart.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from core.repair.context import RepairContext
from core.repair.record_reader import MinuteCandle, RecordedInstrument
from core.repair.venue_clients import PermanentVenueError, RetryableVenueError
from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import StoreUnavailable
from kit.base.intervals import BY_NAME, BarInterval

LOOK_SECONDS = 1.0
"""Between two looks for instruments that have nothing yet."""
CLOSED_AFTER_NS = 2 * NANOSECONDS_PER_SECOND
"""A candle is asked for when its end is this long ago: clocks differ a little."""
WINDOW_NS = 60 * NANOSECONDS_PER_SECOND

_MAKE_DAY = "SELECT make_days('candle_rows', %s)"
_MISSING = """
    SELECT min(open_time_ns) FROM generate_series(%(start_ns)s, %(end_ns)s, %(length_ns)s)
        AS wanted (open_time_ns)
    WHERE NOT EXISTS (
        SELECT FROM candle_rows WHERE instrument_id = %(instrument_id)s
            AND interval_s = %(interval_s)s AND open_time_ns = wanted.open_time_ns AND closed)
        AND NOT EXISTS (
        SELECT FROM bars WHERE venue = %(venue)s AND symbol = %(symbol)s
            AND interval = %(interval)s AND open_time_ns = wanted.open_time_ns
            AND covered_ns = %(length_ns)s)
"""
_SAVE = """
    INSERT INTO candle_rows AS known (instrument_id, interval_s, open_time_ns, venue_time_ns,
        received_time_ns, open, high, low, close, volume, closed)
    SELECT %s, %s, open_time_ns, open_time_ns + %s, %s, open, high, low, close, volume, true
    FROM unnest(%s::bigint[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[],
        %s::numeric[]) AS reported (open_time_ns, open, high, low, close, volume)
    ON CONFLICT (instrument_id, interval_s, open_time_ns) DO UPDATE SET
        venue_time_ns = excluded.venue_time_ns, received_time_ns = excluded.received_time_ns,
        open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
        volume = excluded.volume, closed = true
    WHERE NOT known.closed
"""

_log = telemetry.logger("repair.past_candles")


@dataclass(frozen=True, slots=True)
class CandleLookback:
    """How many candles of an interval are fetched."""

    interval: BarInterval
    count: int

    def range_ns(self, now_ns: int) -> tuple[int, int]:
        """Open time of the first candle, and of the first one that has not closed."""
        end_ns = self.interval.open_ns(now_ns)
        return end_ns - self.count * self.interval.length_ns, end_ns


DEPTHS = tuple(
    CandleLookback(BY_NAME[name], count)
    for name, count in (
        ("1m", 1440),
        ("1h", 720),
        ("15m", 672),
        ("5m", 576),
        ("1d", 30),
        ("4h", 180),
        ("30m", 672),
    )
)
"""In the order in which they are fetched: each of all instruments before the next."""


class CandleBackfill:
    """Fetches them venue by venue, one call at a time each, and keeps to the bound of calls."""

    def __init__(self, context: RepairContext) -> None:
        self._database = context.database
        self._record = context.record
        self._venues = context.venues
        self._calls_max = context.settings.past_candle_calls_max
        self._metrics = context.metrics
        self._clock = context.clock
        self._owns = context.ownership.owns
        self._done: set[tuple[int, str]] = set()
        """Instrument id and interval of what was fetched, or cannot be."""
        self._called_ns: dict[str, deque[int]] = {}
        """Times of the last calls, by venue."""

    async def run(self) -> None:
        """Endless: instruments may be added at any time."""
        running: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    for venue in {one.venue for one in await self._record.listed()}:
                        busy = venue in running and not running[venue].done()
                        if self._owns(venue) and self._venues.runs(venue) and not busy:
                            running[venue] = group.create_task(self._fetch_patiently(venue))
                except StoreUnavailable as error:
                    _log.info("no candles are fetched", extra={"detail": error.message})
                await self._clock.sleep(LOOK_SECONDS)

    async def fetch(self, venue: str) -> None:
        """All that is missing of a venue. Raises RetryableVenueError and StoreUnavailable."""
        listed = [one for one in await self._record.listed() if one.venue == venue]
        for depth in DEPTHS:
            for instrument in listed:
                key = instrument.instrument_id, depth.interval.name
                if key not in self._done:
                    try:
                        await self._fetch(instrument, depth)
                    except PermanentVenueError as error:
                        about = {"venue": venue, "symbol": instrument.symbol, "interval": key[1]}
                        _log.info("no past candles", extra={**about, "detail": str(error)})
                    self._done.add(key)

    async def _fetch_patiently(self, venue: str) -> None:
        try:
            await self.fetch(venue)
        except RetryableVenueError as error:
            await self._clock.sleep(error.seconds)
        except StoreUnavailable as error:
            _log.info("no candles are fetched", extra={"venue": venue, "detail": error.message})
            await self._clock.sleep(LOOK_SECONDS)

    async def _fetch(self, instrument: RecordedInstrument, depth: CandleLookback) -> None:
        now_ns = self._clock.time_ns()
        start_ns, end_ns = depth.range_ns(now_ns)
        if now_ns - end_ns < CLOSED_AFTER_NS:
            await self._clock.sleep(CLOSED_AFTER_NS / NANOSECONDS_PER_SECOND)
        while True:
            missing_ns = await self._missing_ns(instrument, depth.interval, start_ns, end_ns)
            if missing_ns is None:
                return
            await self._wait_for_room(instrument.venue)
            reported = await self._venues.candles(
                instrument.venue, instrument.symbol, missing_ns, depth.interval.name
            )
            closed = {at: one for at, one in reported.items() if missing_ns <= at < end_ns}
            if not closed:
                return
            await self._save(instrument, depth.interval, closed)
            start_ns = max(closed) + depth.interval.length_ns

    async def _missing_ns(
        self, instrument: RecordedInstrument, interval: BarInterval, start_ns: int, end_ns: int
    ) -> int | None:
        values = {
            **instrument._asdict(),
            "interval": interval.name,
            "interval_s": interval.length_ns // NANOSECONDS_PER_SECOND,
            "length_ns": interval.length_ns,
            "start_ns": start_ns,
            "end_ns": end_ns - interval.length_ns,
        }
        async with self._database.transaction() as connection:
            row = await (await connection.execute(_MISSING, values)).fetchone()
        return None if row is None else row[0]

    async def _save(
        self,
        instrument: RecordedInstrument,
        interval: BarInterval,
        candles: Mapping[int, MinuteCandle],
    ) -> None:
        for day in sorted({at // BY_NAME["1d"].length_ns for at in candles}):
            # Each by itself, so that nobody waits long.
            async with self._database.transaction() as connection:
                await connection.execute(_MAKE_DAY, [[day * BY_NAME["1d"].length_ns]])
        about = [
            instrument.instrument_id,
            interval.length_ns // NANOSECONDS_PER_SECOND,
            interval.length_ns,
            self._clock.time_ns(),
        ]
        columns = map(list, zip(*candles.values(), strict=True))
        async with self._database.transaction() as connection:
            saved = await connection.execute(_SAVE, [*about, list(candles), *columns])
        self._metrics.past_candles(instrument.venue, saved.rowcount)

    async def _wait_for_room(self, venue: str) -> None:
        """Wait until one more call is within the bound."""
        called = self._called_ns.setdefault(venue, deque(maxlen=self._calls_max))
        if len(called) == self._calls_max:
            wait_ns = called[0] + WINDOW_NS - self._clock.monotonic_ns()
            if wait_ns > 0:
                await self._clock.sleep(wait_ns / NANOSECONDS_PER_SECOND)
        called.append(self._clock.monotonic_ns())
