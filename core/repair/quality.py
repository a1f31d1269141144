"""Scores how good the record is, per instrument, over the last hour and the last day.

The score is the product of three parts, each from 0 to 1:

coverage    the part of the window that lies in no hole
freshness   the part of the window in which the newest trade was not older than it should be: than
            ``stale_after_s``, and than eight times the usual time between two trades
agreement   1 less the share of compared minutes that differ from the venue's candles without a
            reason that is known

What lies before the first trade that was recorded does not count.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from core.repair.context import RepairContext
from core.repair.holes import FILLED, HoleSpan
from core.repair.record_reader import TradedInstrument
from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.database import Connection
from kit.base.errors import StoreUnavailable

WINDOWS_NS = (3600 * NANOSECONDS_PER_SECOND, 24 * 3600 * NANOSECONDS_PER_SECOND)
USUAL_TIMES = 8
FORGET_EVERY = 60
"""So seldom old rows are looked for, in computations."""

_BARS = (
    "SELECT first_time_ns, last_time_ns, trade_count FROM bars WHERE venue = %s AND symbol = %s"
    " AND interval = '1m' AND open_time_ns >= %s AND open_time_ns < %s ORDER BY open_time_ns"
)
_HOLES = (
    "SELECT start_time_ns, end_time_ns FROM holes WHERE venue = %s AND symbol = %s"
    " AND state <> %s AND end_time_ns > %s AND start_time_ns < %s"
)
_CHECKS = (
    "SELECT count(*), count(*) FILTER (WHERE verdict <> 0 AND explanation = '') FROM bar_checks"
    " WHERE venue = %s AND symbol = %s AND open_time_ns >= %s AND open_time_ns < %s"
)
_SAVE = (
    "INSERT INTO quality_rows VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
    " ON CONFLICT DO NOTHING"
)

_log = telemetry.logger("repair.quality")


class ActivePeriod(NamedTuple):
    """A time in which there were trades, and how many."""

    start_ns: int
    end_ns: int
    trade_count: int


class QualityFactors(NamedTuple):
    """What a score is made of."""

    coverage: float
    freshness: float
    agreement: float

    @property
    def score(self) -> float:
        return self.coverage * self.freshness * self.agreement


def coverage(holes: Iterable[HoleSpan], start_ns: int, end_ns: int) -> float:
    """The part of a window that lies in no hole. 1 for an empty window."""
    if end_ns <= start_ns:
        return 1.0
    missing = reached = 0
    for hole in sorted(holes, key=lambda one: one.start_time_ns):
        begin = max(hole.start_time_ns, start_ns, reached)
        end = min(hole.end_time_ns, end_ns)
        if end > begin:
            missing += end - begin
            reached = end
    return 1 - missing / (end_ns - start_ns)


def freshness(
    active: Sequence[ActivePeriod], start_ns: int, end_ns: int, stale_after_s: float
) -> float:
    """The part of a window in which the newest trade was young enough. 0 where none was traded."""
    if end_ns <= start_ns:
        return 1.0
    count = sum(one.trade_count for one in active)
    usual_ns = (end_ns - start_ns) / count if count else 0.0
    allowed_ns = max(stale_after_s * NANOSECONDS_PER_SECOND, USUAL_TIMES * usual_ns)
    if not count:
        return 0.0
    stale, newest = 0.0, start_ns
    for one in active:
        stale += max(0.0, one.start_ns - newest - allowed_ns)
        newest = max(newest, one.end_ns)
    stale += max(0.0, end_ns - newest - allowed_ns)
    return 1 - stale / (end_ns - start_ns)


def agreement(compared: int, unexplained: int) -> float:
    """1 where nothing was compared."""
    return 1 - unexplained / compared if compared else 1.0


class QualityScorer:
    """Computes and keeps the scores."""

    def __init__(self, context: RepairContext, world: str) -> None:
        self._database = context.database
        self._record = context.record
        self._store = context.store
        self._settings = context.settings
        self._world = world
        self._clock = context.clock
        self._owns = context.ownership.owns

    async def run(self) -> None:
        computed = 0
        while True:
            try:
                await self.compute()
                if computed % FORGET_EVERY == 0:
                    keep_ns = int(self._settings.keep_s * NANOSECONDS_PER_SECOND)
                    await self._store.forget(self._clock.time_ns() - keep_ns)
                computed += 1
            except StoreUnavailable as error:
                _log.info("no scores", extra={"detail": error.message})
            await self._clock.sleep(self._settings.quality_interval_s)

    async def compute(self) -> None:
        """Compute and store the scores of all instruments, once."""
        now_ns = self._clock.time_ns()
        for instrument in await self._record.instruments():
            if not self._owns(instrument.venue):
                continue
            since_ns = await self._record.first_time_ns(instrument)
            end_ns = now_ns
            if self._world == "replay":
                # The past is played: its own time counts.
                end_ns = await self._record.venue_time_ns(instrument.venue)
            if since_ns is not None:
                async with self._database.transaction() as connection:
                    for length_ns in WINDOWS_NS:
                        window = end_ns - length_ns, end_ns
                        await self._save(connection, instrument, now_ns, window, since_ns)

    async def _save(
        self,
        connection: Connection,
        instrument: TradedInstrument,
        now_ns: int,
        window: tuple[int, int],
        since_ns: int,
    ) -> None:
        start_ns, end_ns = window
        counted = max(start_ns, since_ns), end_ns
        names = [instrument.venue, instrument.symbol]
        found = await connection.execute(_HOLES, [*names, FILLED, *counted])
        holes = [HoleSpan(*row) for row in await found.fetchall()]
        found = await connection.execute(_BARS, [*names, *counted])
        active = [ActivePeriod(*row) for row in await found.fetchall()]
        found = await connection.execute(_CHECKS, [*names, *counted])
        compared, unexplained = (await found.fetchall())[0]
        parts = QualityFactors(
            coverage(holes, *counted),
            freshness(active, *counted, self._settings.stale_after_s),
            agreement(compared, unexplained),
        )
        await connection.execute(_SAVE, [*names, now_ns, *window, parts.score, *parts, len(holes)])
