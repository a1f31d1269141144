"""Holes and jobs in the database."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from venuemesh.repair.v1 import repair_pb2

from core.repair.holes import (
    CANCELLED,
    DONE,
    FILLED,
    IN_REPAIR,
    INCOMPLETE,
    LIVE,
    OPEN,
    QUEUED,
    RUNNING,
    UNAVAILABLE,
    Hole,
    HoleSpan,
    HoleState,
    RepairJob,
)
from kit.base import paging
from kit.base.database import Connection, Database
from kit.base.errors import BadPageToken, RateLimited

TIME_MAX = 2**63 - 1
BUSY_RETRY_MS = 10_000

_HOLE = (
    "hole_id, venue, symbol, source, state, start_time_ns, end_time_ns, last_id_before,"
    " first_id_after, reason, found_time_ns, attempt_count, told_id, known_count,"
    " coalesce(repair_id, ''), detail"
)
_JOB = (
    "repair_id, venue, symbol, state, automatic, start_time_ns, end_time_ns, hole_count,"
    " filled_count, unavailable_count, trade_count, call_count, created_time_ns, started_time_ns,"
    " ended_time_ns, detail"
)
_INSERT_HOLE = (
    "INSERT INTO holes (hole_id, venue, symbol, source, state, start_time_ns, end_time_ns,"
    " last_id_before, first_id_after, reason, found_time_ns, detail)"
    " SELECT %(hole_id)s, %(venue)s, %(symbol)s, %(source)s, %(state)s, %(start)s, %(end)s,"
    " %(before)s, %(after)s, %(reason)s, %(found)s, %(detail)s"
    " WHERE NOT EXISTS (SELECT FROM holes WHERE venue = %(venue)s AND symbol = %(symbol)s"
    "  AND state <> %(filled)s AND %(before)s > 0 AND last_id_before > 0"
    "  AND last_id_before <= %(before)s AND first_id_after >= %(after)s)"
    " ON CONFLICT (hole_id) DO NOTHING"
)
_STATES = (
    "SELECT DISTINCT state FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[],"
    " %s::bigint[]) AS asked (hole_id, venue, symbol, before, after) JOIN holes"
    " ON holes.venue = asked.venue AND holes.symbol = asked.symbol AND"
    " (holes.hole_id = asked.hole_id OR (state <> %s AND asked.before > 0 AND last_id_before > 0"
    "  AND last_id_before <= asked.before AND first_id_after >= asked.after))"
)
_CLAIM = (
    "UPDATE holes SET state = %(in_repair)s, repair_id = %(repair_id)s, told_id = 0"
    " WHERE venue = %(venue)s AND symbol = %(symbol)s AND state = ANY (%(states)s)"
    " AND end_time_ns > %(start)s AND start_time_ns < %(end)s AND not_before_ns <= %(now)s"
)
_COUNT = (
    "UPDATE repair_jobs SET hole_count = found.holes, filled_count = found.filled,"
    " unavailable_count = found.unavailable, trade_count = found.trades FROM ("
    " SELECT count(*) AS holes, count(*) FILTER (WHERE state = %(filled)s) AS filled,"
    "  count(*) FILTER (WHERE state = %(unavailable)s) AS unavailable,"
    "  coalesce(sum(trade_count), 0) AS trades FROM holes WHERE repair_id = %(repair_id)s"
    ") AS found WHERE repair_jobs.repair_id = %(repair_id)s"
)
_WANTED = (
    "SELECT DISTINCT venue, symbol FROM holes WHERE state = %s AND not_before_ns <= %s"
    " AND NOT EXISTS (SELECT FROM repair_jobs AS job WHERE job.venue = holes.venue"
    "  AND job.symbol = holes.symbol AND job.state = ANY (%s)) LIMIT %s"
)


class HoleStore:
    """Stores holes, jobs and scan positions. Methods raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_holes(self, holes: Iterable[Hole]) -> int:
        """Keep those that are new, which no other known hole contains. Returns how many are."""
        added = 0
        async with self._database.transaction() as connection:
            for hole in holes:
                values = {
                    "hole_id": hole.hole_id,
                    "venue": hole.venue,
                    "symbol": hole.symbol,
                    "source": hole.source,
                    "state": hole.state,
                    "start": hole.span.start_time_ns,
                    "end": hole.span.end_time_ns,
                    "before": hole.span.last_id_before,
                    "after": hole.span.first_id_after,
                    "reason": hole.reason,
                    "found": hole.found_time_ns,
                    "detail": hole.detail,
                    "filled": FILLED,
                }
                added += (await connection.execute(_INSERT_HOLE, values)).rowcount
        return added

    async def list_holes(
        self, request: repair_pb2.ListHolesRequest, size: int
    ) -> tuple[list[Hole], str]:
        """A page, newest first. Raises BadPageToken."""
        position = _position(request, (int, str))
        found = await self._rows(
            f"SELECT {_HOLE} FROM holes WHERE venue = %s AND (%s = '' OR symbol = %s)"
            " AND (%s = 0 OR state = %s) AND (end_time_ns, hole_id) < (%s, %s)"
            " ORDER BY end_time_ns DESC, hole_id DESC LIMIT %s",
            [
                request.venue,
                *[request.symbol] * 2,
                *[request.state] * 2,
                *(position or (TIME_MAX, "")),
                size + 1,
            ],
        )
        holes = list(map(_hole, found))
        if len(holes) <= size:
            return holes, ""
        last = holes[size - 1]
        return holes[:size], paging.make_token(request, [last.span.end_time_ns, last.hole_id])

    async def holes_of(self, job: RepairJob, most: int) -> list[Hole]:
        """Those that the job has not done with, newest first."""
        found = await self._rows(
            f"SELECT {_HOLE} FROM holes WHERE repair_id = %s AND state = %s"
            " ORDER BY end_time_ns DESC, hole_id DESC LIMIT %s",
            [job.repair_id, IN_REPAIR, most],
        )
        return list(map(_hole, found))

    async def unfilled(self, venue: str, symbol: str, start_ns: int, end_ns: int) -> list[Hole]:
        """Holes of an instrument that are not filled and have a part in this time."""
        found = await self._rows(
            f"SELECT {_HOLE} FROM holes WHERE venue = %s AND symbol = %s AND state <> %s"
            " AND end_time_ns > %s AND start_time_ns < %s",
            [venue, symbol, FILLED, start_ns, end_ns],
        )
        return list(map(_hole, found))

    async def states(self, holes: Sequence[Hole]) -> set[HoleState]:
        """Of these holes; of one that lies in a larger one, of that."""
        columns = [
            [hole.hole_id for hole in holes],
            [hole.venue for hole in holes],
            [hole.symbol for hole in holes],
            [hole.span.last_id_before for hole in holes],
            [hole.span.first_id_after for hole in holes],
        ]
        return {row[0] for row in await self._rows(_STATES, [*columns, FILLED])}

    async def begin_hole(self, hole: Hole, known_count: int) -> None:
        """How many trades were there before anything was fetched; the first word counts."""
        await self._do(
            "UPDATE holes SET known_count = coalesce(known_count, %s) WHERE hole_id = %s",
            [known_count, hole.hole_id],
        )

    async def note_reported(self, hole: Hole, told_id: int) -> None:
        """The venue has reported its trades up to this id, and they were published."""
        await self._do("UPDATE holes SET told_id = %s WHERE hole_id = %s", [told_id, hole.hole_id])

    async def end_hole(
        self,
        hole: Hole,
        state: HoleState,
        trade_count: int,
        detail: str,
        span: HoleSpan | None = None,
        not_before_ns: int = 0,
    ) -> None:
        """Store the outcome of a hole. ``span``: the remaining part, if a part was repaired."""
        left = span or hole.span
        async with self._database.transaction() as connection:
            await connection.execute(
                "UPDATE holes SET state = %s, trade_count = %s, detail = %s, start_time_ns = %s,"
                " end_time_ns = %s, last_id_before = %s, first_id_after = %s, not_before_ns = %s,"
                " attempt_count = attempt_count + 1 WHERE hole_id = %s AND state = %s",
                [
                    state,
                    trade_count,
                    detail,
                    left.start_time_ns,
                    left.end_time_ns,
                    left.last_id_before,
                    left.first_id_after,
                    not_before_ns,
                    hole.hole_id,
                    IN_REPAIR,
                ],
            )
            await _count(connection, hole.repair_id)

    async def add_job(self, job: RepairJob, jobs_max: int) -> RepairJob:
        """A new job, or the one that has this id already. Raises RateLimited at the bound."""
        async with self._database.transaction() as connection:
            # One at a time, so that the bound holds and no instrument gets two automatic jobs.
            await connection.execute("LOCK TABLE repair_jobs IN SHARE ROW EXCLUSIVE MODE")
            known = await _job(connection, job.repair_id)
            if known is not None:
                return known
            found = await connection.execute(
                "SELECT count(*) FROM repair_jobs WHERE state = ANY (%s)", [list(LIVE)]
            )
            if (await found.fetchall())[0][0] >= jobs_max:
                raise RateLimited(
                    f"{jobs_max} repairs wait already",
                    venue=job.venue,
                    retry_after_ms=BUSY_RETRY_MS,
                )
            await connection.execute(
                "INSERT INTO repair_jobs (repair_id, venue, symbol, state, automatic,"
                " start_time_ns, end_time_ns, created_time_ns, detail)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    job.repair_id,
                    job.venue,
                    job.symbol,
                    job.state,
                    job.automatic,
                    job.start_time_ns,
                    job.end_time_ns,
                    job.created_time_ns,
                    job.detail,
                ],
            )
        return job

    async def job(self, repair_id: str) -> RepairJob | None:
        async with self._database.transaction() as connection:
            return await _job(connection, repair_id)

    async def list_jobs(
        self, request: repair_pb2.ListRepairsRequest, size: int
    ) -> tuple[list[RepairJob], str]:
        """A page, newest first. Raises BadPageToken."""
        position = _position(request, (int, str))
        found = await self._rows(
            f"SELECT {_JOB} FROM repair_jobs WHERE (%s = '' OR venue = %s)"
            " AND (created_time_ns, repair_id) < (%s, %s)"
            " ORDER BY created_time_ns DESC, repair_id DESC LIMIT %s",
            [*[request.venue] * 2, *(position or (TIME_MAX, "")), size + 1],
        )
        jobs = [RepairJob(*row) for row in found]
        if len(jobs) <= size:
            return jobs, ""
        last = jobs[size - 1]
        return jobs[:size], paging.make_token(request, [last.created_time_ns, last.repair_id])

    async def next_jobs(self) -> list[RepairJob]:
        """Of each venue the job that is its turn: one that runs, one that was asked for, the
        oldest."""
        found = await self._rows(
            f"SELECT DISTINCT ON (venue) {_JOB} FROM repair_jobs WHERE state = ANY (%s)"
            " ORDER BY venue, state DESC, automatic, created_time_ns, repair_id",
            [list(LIVE)],
        )
        return [RepairJob(*row) for row in found]

    async def wanted(self, now_ns: int, most: int) -> list[tuple[str, str]]:
        """Instruments with open holes that no job is at: venue and symbol."""
        rows = await self._rows(_WANTED, [OPEN, now_ns, list(LIVE), most])
        return [(row[0], row[1]) for row in rows]

    async def begin_job(self, job: RepairJob, now_ns: int) -> None:
        """It runs, and takes up its holes. Of those that the venue cannot fill only when it was
        asked for."""
        states = [OPEN] if job.automatic else [OPEN, UNAVAILABLE]
        async with self._database.transaction() as connection:
            begun = await connection.execute(
                "UPDATE repair_jobs SET state = %s, started_time_ns = %s, detail = ''"
                " WHERE repair_id = %s AND state = %s",
                [RUNNING, now_ns, job.repair_id, QUEUED],
            )
            if begun.rowcount:
                values = {
                    "in_repair": IN_REPAIR,
                    "repair_id": job.repair_id,
                    "venue": job.venue,
                    "symbol": job.symbol,
                    "states": states,
                    "start": job.start_time_ns,
                    "end": job.end_time_ns or TIME_MAX,
                    "now": now_ns if job.automatic else TIME_MAX,
                }
                await connection.execute(_CLAIM, values)
                await _count(connection, job.repair_id)

    async def note(self, job: RepairJob, detail: str, calls: int = 0) -> None:
        """What it does, and how often it has asked the venue since the last note."""
        await self._do(
            "UPDATE repair_jobs SET detail = %s, call_count = call_count + %s"
            " WHERE repair_id = %s AND state = %s",
            [detail, calls, job.repair_id, RUNNING],
        )

    async def end_job(self, job: RepairJob, now_ns: int) -> None:
        """It has done what it could."""
        await self._do(
            "UPDATE repair_jobs SET ended_time_ns = %s,"
            " state = CASE WHEN filled_count = hole_count THEN %s::smallint ELSE %s END,"
            " detail = CASE WHEN filled_count = hole_count THEN '' ELSE %s END"
            " WHERE repair_id = %s AND state = %s",
            [now_ns, DONE, INCOMPLETE, "some holes stay and say why", job.repair_id, RUNNING],
        )

    async def cancel_job(self, repair_id: str, now_ns: int) -> None:
        """Unless it has ended. Its holes are open again; what was mended stays."""
        async with self._database.transaction() as connection:
            await connection.execute(
                "UPDATE repair_jobs SET state = %s, ended_time_ns = %s, detail = ''"
                " WHERE repair_id = %s AND state = ANY (%s)",
                [CANCELLED, now_ns, repair_id, list(LIVE)],
            )
            # Not to be taken up again at once by a job of our own.
            await connection.execute(
                "UPDATE holes SET state = %s, not_before_ns = %s"
                " WHERE repair_id = %s AND state = %s",
                [OPEN, TIME_MAX, repair_id, IN_REPAIR],
            )

    async def scanned(self) -> Mapping[tuple[str, str], tuple[int, int]]:
        """By instrument: up to where its ids were looked at, and its bars compared."""
        rows = await self._rows(
            "SELECT venue, symbol, scanned_time_ns, checked_time_ns FROM hole_scans", []
        )
        return {(row[0], row[1]): (row[2], row[3]) for row in rows}

    async def save_scan(self, venue: str, symbol: str, column: str, time_ns: int) -> None:
        """Move ``scanned_time_ns`` or ``checked_time_ns``."""
        await self._do(
            f"INSERT INTO hole_scans (venue, symbol, {column}) VALUES (%s, %s, %s)"
            f" ON CONFLICT (venue, symbol) DO UPDATE SET {column} = excluded.{column}",
            [venue, symbol, time_ns],
        )

    async def forget(self, before_ns: int) -> None:
        """Delete scores, comparisons, jobs and filled holes from before this time."""
        async with self._database.transaction() as connection:
            for statement in (
                "DELETE FROM quality_rows WHERE computed_time_ns < %s",
                "DELETE FROM bar_checks WHERE open_time_ns < %s",
                "DELETE FROM repair_jobs WHERE ended_time_ns BETWEEN 1 AND %s",
            ):
                await connection.execute(statement.encode(), [before_ns])
            await connection.execute(
                "DELETE FROM holes WHERE state = %s AND found_time_ns < %s", [FILLED, before_ns]
            )

    async def _rows(self, statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        async with self._database.transaction() as connection:
            return await (await connection.execute(statement.encode(), values)).fetchall()

    async def _do(self, statement: str, values: Sequence[object]) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(statement.encode(), values)


async def _count(connection: Connection, repair_id: str) -> None:
    """A job's metrics follow from its holes."""
    values = {"repair_id": repair_id, "filled": FILLED, "unavailable": UNAVAILABLE}
    await connection.execute(_COUNT, values)


async def _job(connection: Connection, repair_id: str) -> RepairJob | None:
    found = await connection.execute(
        f"SELECT {_JOB} FROM repair_jobs WHERE repair_id = %s".encode(), [repair_id]
    )
    row = await found.fetchone()
    return None if row is None else RepairJob(*row)


def _hole(row: Sequence[Any]) -> Hole:
    values: list[Any] = [*row[:5], HoleSpan(*row[5:9]), *row[9:]]
    return Hole(*values)


def _position(
    request: repair_pb2.ListHolesRequest | repair_pb2.ListRepairsRequest, kinds: tuple[type, ...]
) -> list[int | str] | None:
    position = paging.read_token(request)
    if position is not None and tuple(map(type, position)) != kinds:
        raise BadPageToken("not a page token", page_token=request.page_token)
    return position
