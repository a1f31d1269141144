"""Coverage of each day of a channel of an instrument: how much was watched, and what is missing.

The summary of the bar aggregator makes this cheap for trades: since when the instrument is watched,
where trades may be missing, and in the bar of each day how many there were. Beside it stand what
Repair has found to be missing, and what was imported. Trades are counted one by one only on days
that were both watched and imported. ``channel_coverage`` reads the gaps of the other channels.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2
from venuemesh.repair.v1 import repair_pb2

from core.history import request_checks
from core.history.channel_coverage import END_OF_TIME_NS, TABLES, book_record, row_record
from core.history.list_store import instrument_id
from core.history.time_spans import Span, TimeSpanSet
from kit.base.cursor import Channel, StreamKey
from kit.base.database import Connection, Database
from kit.base.number_columns import IntColumn

DAY_NS = 86_400 * 10**9
DAYS_MAX = 10_000
CHANNELS = tuple(sorted((types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_BOOK, *TABLES)))
"""The channels whose coverage is known."""

_WATCHED = b"""
    SELECT since_time_ns, holes,
        (SELECT max(newest_time_ns) FROM bar_positions WHERE stream = %(stream)s)
    FROM bar_instruments WHERE venue = %(venue)s AND symbol = %(symbol)s
"""
_HOLES = f"""
    SELECT start_time_ns, end_time_ns, source FROM holes
    WHERE venue = %(venue)s AND symbol = %(symbol)s AND state <> {repair_pb2.HOLE_STATE_FILLED}
""".encode()
_IMPORTED = b"""
    SELECT start_time_ns, end_time_ns, trade_count FROM imported_spans
    WHERE instrument_id = %(instrument_id)s
"""
_DAY_BARS = b"""
    SELECT open_time_ns, trade_count FROM bars
    WHERE venue = %(venue)s AND symbol = %(symbol)s AND interval = '1d'
        AND open_time_ns >= %(start_ns)s AND open_time_ns < %(end_ns)s
"""
_COUNT = b"""
    SELECT count(*) FROM trade_rows WHERE instrument_id = %(instrument_id)s
        AND venue_time_ns >= %(start_ns)s AND venue_time_ns < %(end_ns)s
"""
# A late trade is reported as a gap too, and nothing is missing there.
_GAPS = f"""
    SELECT coalesce(nullif(last_time_ns, 0), detected_time_ns),
        greatest(first_time_ns, last_time_ns + 1, nullif(last_time_ns, 0), detected_time_ns),
        fill_outcome
    FROM gap_rows
    WHERE venue = %(venue)s AND channel = {types_pb2.CHANNEL_TRADES}
        AND (symbol IS NULL OR symbol = %(symbol)s)
        AND reason <> {types_pb2.GAP_REASON_OUT_OF_ORDER}
        AND detected_time_ns >= %(start_ns)s
""".encode()


@dataclass(frozen=True, slots=True)
class RecordedCoverage:
    """Recorded facts about the coverage of a channel of an instrument."""

    watched: Span
    missing: TimeSpanSet
    """Times in which events may be missing."""
    found_by_repair: Sequence[Span] = ()
    """Missing times of trades that no gap covers."""
    imported: Sequence[tuple[int, int, int]] = ()
    """Imported spans of trades: start, end, number of trades that were new."""

    @property
    def counted(self) -> TimeSpanSet:
        """The times that were watched or imported."""
        return TimeSpanSet.of([self.watched, *(span[:2] for span in self.imported)])

    @property
    def covered(self) -> TimeSpanSet:
        """The counted times that are not missing."""
        watched = self.missing.missing_in(self.watched)
        return TimeSpanSet.of([*watched, *(span[:2] for span in self.imported)])


class CoverageStore:
    """Answers ListCoverage. Raises BadRequest, UnknownInstrument and StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def days(self, request: history_pb2.ListCoverageRequest) -> list[history_pb2.DayCoverage]:
        """The coverage of each day, ascending."""
        channel = channel_of(request)
        start_ns, end_ns = request_checks.times(request)
        async with self._database.transaction() as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            values: dict[str, object] = {
                "venue": request.venue,
                "symbol": request.symbol,
                "instrument_id": await instrument_id(connection, request),
                "stream": str(StreamKey(request.venue, channel)),
            }
            if channel != types_pb2.CHANNEL_TRADES:
                return await _other_days(connection, channel, values, (start_ns, end_ns))
            known = await _known(connection, values)
            days_ns = _days(known.counted, start_ns, end_ns)
            if not len(days_ns):
                return []
            values |= {"start_ns": int(days_ns[0]), "end_ns": int(days_ns[-1]) + DAY_NS}
            trades = await _trade_counts(connection, values, known, days_ns)
            gaps = await (await connection.execute(_GAPS, values)).fetchall()
        return _coverage(known, days_ns, trades, gaps)


def channel_of(request: history_pb2.ListCoverageRequest) -> Channel:
    """The requested channel. Raises BadRequest."""
    channel = request.channel or types_pb2.CHANNEL_TRADES
    if channel not in CHANNELS:
        raise request_checks.bad(
            "channel", channel, " ".join(map(types_pb2.Channel.Name, CHANNELS))
        )
    return channel


async def _other_days(
    connection: Connection, channel: Channel, values: dict[str, object], times: Span
) -> list[history_pb2.DayCoverage]:
    """The days of a channel other than trades."""
    if channel == types_pb2.CHANNEL_BOOK:
        record = await book_record(connection, values)
    else:
        record = await row_record(connection, channel, values)
    known = RecordedCoverage(record.watched, TimeSpanSet.of(record.gaps))
    days_ns = _days(known.counted, *times)
    gaps = [(start_ns, end_ns, None) for start_ns, end_ns in record.gaps]
    return _coverage(known, days_ns, np.zeros_like(days_ns), gaps)


async def _known(connection: Connection, values: dict[str, object]) -> RecordedCoverage:
    watched, holes = (0, 0), []
    row = await (await connection.execute(_WATCHED, values)).fetchone()
    if row is not None:
        since_ns, known_holes, newest_ns = row
        watched = since_ns, max(newest_ns or 0, since_ns)
        holes = [
            (start_ns, END_OF_TIME_NS if end_ns is None else end_ns)
            for start_ns, end_ns, *_ in known_holes
        ]
    found = await (await connection.execute(_HOLES, values)).fetchall()
    imported = await (await connection.execute(_IMPORTED, values)).fetchall()
    return RecordedCoverage(
        watched=watched,
        missing=TimeSpanSet.of([*holes, *((row[0], row[1]) for row in found)]),
        found_by_repair=[(row[0], row[1]) for row in found if row[2] != repair_pb2.HOLE_SOURCE_GAP],
        imported=[(row[0], row[1], row[2]) for row in imported],
    )


def _days(counted: TimeSpanSet, start_ns: int, end_ns: int) -> IntColumn:
    """The days with counted times that begin in a range. Raises BadRequest."""
    if not len(counted):
        return np.zeros(0, dtype=np.int64)
    first = max(start_ns, int(counted.starts[0]) // DAY_NS * DAY_NS)
    last = min(end_ns, int(counted.ends[-1]))
    days_ns = np.arange(-(-first // DAY_NS), -(-last // DAY_NS), dtype=np.int64) * DAY_NS
    if len(days_ns) > DAYS_MAX:
        raise request_checks.bad("range", f"{len(days_ns)} days", f"up to {DAYS_MAX} days")
    return days_ns[counted.within(days_ns, days_ns + DAY_NS) > 0]


async def _trade_counts(
    connection: Connection, values: dict[str, object], known: RecordedCoverage, days_ns: IntColumn
) -> IntColumn:
    found = await (await connection.execute(_DAY_BARS, values)).fetchall()
    bars: dict[int, int] = dict(found)
    imports: dict[int, int] = {}
    for start_ns, _, count in known.imported:
        day_ns = start_ns // DAY_NS * DAY_NS
        imports[day_ns] = imports.get(day_ns, 0) + count
    counts = []
    for day_ns in days_ns.tolist():
        if day_ns in bars and day_ns in imports:
            span = {"start_ns": day_ns, "end_ns": day_ns + DAY_NS}
            ((count,),) = await (await connection.execute(_COUNT, {**values, **span})).fetchall()
        else:
            count = bars.get(day_ns, 0) or imports.get(day_ns, 0)
        counts.append(count)
    return np.array(counts, dtype=np.int64)


def _coverage(
    known: RecordedCoverage,
    days_ns: IntColumn,
    trades: IntColumn,
    gaps: Iterable[tuple[int, int, int | None]],
) -> list[history_pb2.DayCoverage]:
    ends_ns = days_ns + DAY_NS
    spans = np.array([(start, end, outcome or 0) for start, end, outcome in gaps], dtype=np.int64)
    starts, ends, outcomes = spans.reshape(-1, 3).T
    is_open = known.missing.touched_by(starts, np.maximum(ends, starts + 1)) == 1
    is_open &= outcomes != types_pb2.FILL_OUTCOME_COMPLETE
    found = np.array(known.found_by_repair, dtype=np.int64).reshape(-1, 2).T
    columns = zip(
        days_ns.tolist(),
        known.covered.within(days_ns, ends_ns).tolist(),
        known.counted.within(days_ns, ends_ns).tolist(),
        trades.tolist(),
        (
            _overlaps(starts[is_open], ends[is_open], days_ns, ends_ns)
            + _overlaps(found[0], found[1], days_ns, ends_ns)
        ).tolist(),
        _overlaps(starts[~is_open], ends[~is_open], days_ns, ends_ns).tolist(),
        strict=True,
    )
    return [
        history_pb2.DayCoverage(
            day_start_ns=day_ns,
            covered_ns=covered_ns,
            expected_ns=expected_ns,
            trade_count=trade_count,
            open_gap_count=open_count,
            filled_gap_count=filled_count,
        )
        for day_ns, covered_ns, expected_ns, trade_count, open_count, filled_count in columns
    ]


def _overlaps(
    starts: IntColumn, ends: IntColumn, days_ns: IntColumn, day_ends_ns: IntColumn
) -> IntColumn:
    """How many of the spans have some time of each day; a span of no length has its moment."""
    began = np.searchsorted(np.sort(starts), day_ends_ns)
    over = np.searchsorted(np.sort(np.maximum(ends, starts + 1)), days_ns, side="right")
    result: IntColumn = began - over
    return result
