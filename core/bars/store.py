"""PostgreSQL: bars and the state they rest on, written together with the stream positions."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.bars import database_rows
from core.bars.bar_record import BarKey, BarRecord
from core.bars.coverage import Span
from core.bars.database_rows import BarRow, EventRow, InstrumentRow
from core.bars.instrument_bars import InstrumentBars
from core.bars.shards import SHARDS, shard_of
from core.bars.venue_bars import VenueBars
from kit.base.cursor import START, Cursor, StreamKey
from kit.base.database import Connection, Database, load_positions
from kit.events.shared_leases import SharedLeases

RECORDER = "recorder"

MakeVenue = Callable[[str, int, Collection[int], Mapping[StreamKey, Cursor]], VenueBars]
"""Makes a venue from id, newest venue time in ns, shards and positions."""
ReadInstrument = Callable[[str, InstrumentRow], InstrumentBars]
"""Makes an instrument from venue id and row."""

_COLUMNS = (*BarRecord._fields, "written_time_ns")
_NAMES = ", ".join(_COLUMNS)
_KEY = BarKey._fields
_SAME_BAR = " AND ".join(f"bars.{name} = new.{name}" for name in _KEY)

_POSITIONS = (
    "SELECT shard, stream, epoch, sequence, newest_time_ns FROM bar_positions"
    " WHERE shard = ANY (%s)"
)
_UPSERT_POSITIONS = (
    "INSERT INTO bar_positions"
    " SELECT * FROM unnest(%s::smallint[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[])"
    " ON CONFLICT (shard, stream) DO UPDATE SET epoch = excluded.epoch,"
    " sequence = excluded.sequence, newest_time_ns = excluded.newest_time_ns"
)
_DONE = (
    "SELECT stream, epoch, sequence FROM ("
    " SELECT *, row_number() OVER place AS place, count(*) OVER (PARTITION BY stream) AS shards"
    " FROM bar_positions WINDOW place AS (PARTITION BY stream ORDER BY epoch, sequence)"
    ") AS position WHERE place = 1 AND shards = %s"
)
_STAGE = "CREATE TEMPORARY TABLE IF NOT EXISTS staged_bars (LIKE bars) ON COMMIT DELETE ROWS"
_COPY = f"COPY staged_bars ({_NAMES}) FROM STDIN"
_SUPERSEDE = (
    f"INSERT INTO bar_revisions ({_NAMES}, superseded_time_ns)"
    f" SELECT {', '.join(f'bars.{name}' for name in _COLUMNS)}, new.written_time_ns"
    f" FROM staged_bars AS new JOIN bars ON {_SAME_BAR}"
    " WHERE new.revision > 0 AND bars.final AND bars.revision < new.revision"
    " ON CONFLICT DO NOTHING"
)
_UPSERT = (
    f"INSERT INTO bars ({_NAMES}) SELECT {_NAMES} FROM staged_bars"
    f" ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in BarRecord._fields if name not in _KEY)
    + ", written_time_ns = CASE WHEN bars.final AND bars.revision = excluded.revision"
    " THEN bars.written_time_ns ELSE excluded.written_time_ns END"
)
_REMOVE = (
    "WITH new AS (SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[], %s::int[])"
    f" AS new ({', '.join(_KEY)})),"
    f" gone AS (DELETE FROM bars USING new WHERE {_SAME_BAR} RETURNING bars.*)"
    f" INSERT INTO bar_revisions ({_NAMES}, superseded_time_ns)"
    f" SELECT {_NAMES}, %s FROM gone WHERE final ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class BarChangeSet:
    """All changes up to some positions. Immutable."""

    shards: Collection[int]
    """The shards that are written."""
    positions: Sequence[tuple[int, StreamKey, Cursor, int]]
    """Shard, stream, its position, and newest venue time in ns."""
    instruments: Sequence[InstrumentRow]
    bars: Sequence[BarRecord]
    removed: Sequence[BarKey] = ()
    """Bars to delete."""


class BarStore:
    """Reads and writes for one aggregator. Methods raise StoreUnavailable."""

    def __init__(self, database: Database, leases: SharedLeases) -> None:
        self._database = database
        self._leases = leases
        self._saved: dict[tuple[int, StreamKey], Cursor] = {}

    async def load_shards(
        self,
        shards: Collection[int],
        make_venue: MakeVenue,
        read_instrument: ReadInstrument,
        kept_ns: int,
    ) -> list[VenueBars]:
        """The venues of shards of which this aggregator has the leases, as last stored, with the
        time bars that ended less than kept_ns before their watermark. Shards at different positions
        are in different venues.
        """
        # Whoever took the leases has waited for the transactions of the previous owner.
        async with self._database.transaction() as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            venues = await self._load_venues(connection, shards, make_venue)
            for venue in venues:
                await _fill(connection, venue, read_instrument, kept_ns)
        return venues

    def forget(self, shards: Collection[int]) -> None:
        """Forget shards that another aggregator holds."""
        self._saved = {key: value for key, value in self._saved.items() if key[0] not in shards}

    def moved(self, venue: VenueBars) -> list[tuple[int, StreamKey, Cursor, int]]:
        """Positions of a venue that are not stored yet."""
        return [
            (shard, key, cursor, venue.watermark.newest_ns)
            for shard in sorted(venue.shards)
            for key, cursor in venue.positions.items()
            if self._saved.get((shard, key), START) != cursor
        ]

    async def load_bars(self, venue_id: str, symbol: str, spans: Sequence[Span]) -> list[BarRow]:
        """All stored time bars of an instrument that overlap any of these spans."""
        async with self._database.transaction() as connection:
            return await database_rows.overlapping(connection, venue_id, symbol, spans)

    async def load_day(
        self, venue_id: str, symbol: str, interval: str, day_ns: int
    ) -> tuple[list[EventRow], dict[int, int]]:
        """The stored bars of a kind and day by number, and the newest superseded revision of each
        number."""
        async with self._database.transaction() as connection:
            return await database_rows.day(connection, venue_id, symbol, interval, day_ns)

    async def save(self, snapshot: BarChangeSet, now_ns: int) -> None:
        """Write a snapshot in one transaction. Raises LeaseLost when a shard was lost."""
        async with self._database.transaction() as connection:
            await self._leases.hold(connection, snapshot.shards)
            if snapshot.positions:
                columns = _columns(
                    (shard, str(key), *cursor, newest_ns)
                    for shard, key, cursor, newest_ns in snapshot.positions
                )
                await connection.execute(_UPSERT_POSITIONS, columns)
            if snapshot.removed:
                await connection.execute(_REMOVE, [*_columns(snapshot.removed), now_ns])
            if snapshot.bars:
                await _save_bars(connection, snapshot.bars, now_ns)
            if snapshot.instruments:
                await connection.execute(
                    database_rows.UPSERT_INSTRUMENTS, _columns(snapshot.instruments)
                )
        for shard, key, cursor, _ in snapshot.positions:
            self._saved[shard, key] = cursor

    async def done(self) -> dict[StreamKey, Cursor]:
        """The positions that all shards, of any aggregator, have stored."""
        async with self._database.transaction() as connection:
            found = await connection.execute(_DONE, [SHARDS])
            return {StreamKey.parse(row[0]): Cursor(row[1], row[2]) async for row in found}

    async def recorded(self) -> dict[StreamKey, Cursor]:
        """The positions of the recorder."""
        async with self._database.transaction() as connection:
            return await load_positions(connection, RECORDER)

    async def _load_venues(
        self, connection: Connection, shards: Collection[int], make_venue: MakeVenue
    ) -> list[VenueBars]:
        found = await connection.execute(_POSITIONS, [list(shards)])
        held: dict[tuple[str, int], dict[StreamKey, Cursor]] = {}
        newest: dict[tuple[str, int], int] = {}
        async for shard, stream, epoch, sequence, newest_ns in found:
            key = StreamKey.parse(stream)
            self._saved[shard, key] = Cursor(epoch, sequence)
            held.setdefault((key.venue, shard), {})[key] = Cursor(epoch, sequence)
            newest[key.venue, shard] = max(newest_ns, newest.get((key.venue, shard), 0))
        venues: list[VenueBars] = []
        for (venue_id, shard), positions in held.items():
            made = make_venue(venue_id, newest[venue_id, shard], [shard], positions)
            for venue in venues:
                if venue.is_at_position_of(made):
                    venue.join(made)
                    break
            else:
                venues.append(made)
        return venues


async def _fill(
    connection: Connection, venue: VenueBars, read_instrument: ReadInstrument, kept_ns: int
) -> None:
    found = await connection.execute(database_rows.INSTRUMENTS, [venue.venue_id])
    async for row in found:
        if shard_of(venue.venue_id, row[0]) in venue.shards:
            venue.add_instrument(read_instrument(venue.venue_id, row))
    venue.horizon_ns = max(0, venue.watermark.time_ns - kept_ns)
    symbols = list(venue.instruments)
    for bar in await database_rows.after(connection, venue.venue_id, symbols, venue.horizon_ns):
        instrument = venue.instruments[bar[0]]
        venue.restore(instrument, [database_rows.bar_of_row(bar, instrument)])


async def _save_bars(connection: Connection, bars: Iterable[BarRecord], now_ns: int) -> None:
    await connection.execute(_STAGE)
    async with connection.cursor() as cursor:
        async with cursor.copy(_COPY) as copy:
            await copy.write("".join(database_rows.copy_line(bar, now_ns) for bar in bars))
        await cursor.execute(_SUPERSEDE)
        await cursor.execute(_UPSERT)


def _columns(found: Iterable[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*found, strict=True)]
