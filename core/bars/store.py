"""Bars and what they rest on, in PostgreSQL: written together with the stream positions."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from venuemesh.common.v1 import types_pb2

from core.bars.coverage import Coverage, Hole, Span
from core.bars.instrument import Bar, Instrument
from core.bars.intervals import INTERVALS
from core.bars.kernel import Partial
from core.bars.record import BarRecord
from core.bars.trade_ids import TradeIds
from core.bars.venue import Venue
from kit.columns import Scale
from kit.cursor import START, Cursor, StreamKey
from kit.database import Connection, Database, load_positions, save_positions

CONSUMER = "bars"

MakeVenue = Callable[[str, int, Cursor], Venue]
"""From venue id, newest venue time in ns, and position."""

_COLUMNS = BarRecord._fields
_KEY = ("venue", "symbol", "interval", "open_time_ns")
_NAMES = [interval.name for interval in INTERVALS]
_LENGTHS_NS = [interval.length_ns for interval in INTERVALS]
_LEVELS = {name: level for level, name in enumerate(_NAMES)}
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

_STAGE = "CREATE TEMPORARY TABLE IF NOT EXISTS staged_bars (LIKE bars) ON COMMIT DELETE ROWS"
_COPY = f"COPY staged_bars ({', '.join(_COLUMNS)}) FROM STDIN"
_UPSERT = (
    f"INSERT INTO bars ({', '.join(_COLUMNS)}) SELECT {', '.join(_COLUMNS)} FROM staged_bars"
    f" ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in _KEY)
)
_SELECT = (
    "SELECT bars.symbol, bars.interval, open_time_ns, first_time_ns, first_trade_id,"
    " last_time_ns, last_trade_id, open::text, high::text, low::text, close::text, volume::text,"
    " buy_volume::text, quote_volume::text, trade_count, revision, final, covered_ns"
)
_AFTER = (
    f"{_SELECT} FROM bar_instruments AS known"
    " CROSS JOIN unnest(%s::text[], %s::bigint[]) AS kind (name, length_ns)"
    " JOIN bars ON bars.venue = known.venue AND bars.symbol = known.symbol"
    " AND bars.interval = kind.name AND bars.open_time_ns > %s - kind.length_ns"
    " WHERE known.venue = %s"
)
_OVERLAPPING = (
    f"{_SELECT} FROM (SELECT DISTINCT bars.* FROM unnest(%s::text[], %s::bigint[])"
    " AS kind (name, length_ns)"
    " CROSS JOIN unnest(%s::bigint[], %s::bigint[]) AS span (start_ns, stop_ns)"
    " JOIN bars ON bars.venue = %s AND bars.symbol = %s AND bars.interval = kind.name"
    " AND bars.open_time_ns > span.start_ns - kind.length_ns"
    " AND bars.open_time_ns < span.stop_ns) AS bars"
)
_INSTRUMENTS = (
    "SELECT symbol, price_scale, size_scale, since_time_ns, newest_time_ns, trade_ids,"
    " trade_ids_floor, holes FROM bar_instruments WHERE venue = %s"
)
_UPSERT_INSTRUMENTS = (
    "INSERT INTO bar_instruments SELECT * FROM unnest(%s::text[], %s::text[], %s::int[], %s::int[],"
    " %s::bigint[], %s::bigint[], %s::jsonb[], %s::bigint[], %s::jsonb[])"
    " ON CONFLICT (venue, symbol) DO UPDATE SET price_scale = excluded.price_scale,"
    " size_scale = excluded.size_scale, since_time_ns = excluded.since_time_ns,"
    " newest_time_ns = excluded.newest_time_ns, trade_ids = excluded.trade_ids,"
    " trade_ids_floor = excluded.trade_ids_floor, holes = excluded.holes"
)
_UPSERT_VENUES = (
    "INSERT INTO bar_venues SELECT * FROM unnest(%s::text[], %s::bigint[])"
    " ON CONFLICT (venue) DO UPDATE SET newest_time_ns = excluded.newest_time_ns"
)

BarRow = tuple[Any, ...]
"""A row of _SELECT."""

InstrumentRow = tuple[str, str, int, int, int, int, str, int | None, str]
"""The columns of bar_instruments."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that has changed up to some positions. Nothing in it changes any more."""

    positions: Mapping[StreamKey, Cursor]
    venues: Sequence[tuple[str, int]]
    """Venue id and newest venue time in ns."""
    instruments: Sequence[InstrumentRow]
    bars: Sequence[BarRecord]


def instrument_row(venue_id: str, instrument: Instrument) -> InstrumentRow:
    """What a restart needs to know of an instrument that has traded."""
    holes = [
        [hole.start_ns, hole.end_ns, hole.last_id, hole.first_id, hole.whole_channel]
        for hole in instrument.coverage.holes
    ]
    return (
        venue_id,
        instrument.symbol,
        instrument.scale.price,
        instrument.scale.size,
        instrument.coverage.since_ns or 0,
        instrument.newest_ns,
        json.dumps(instrument.seen.ranges()),
        instrument.seen.floor,
        json.dumps(holes),
    )


def restored(row: BarRow, instrument: Instrument) -> Bar:
    """A stored bar, at the scale that the instrument has now: it may have grown while loading."""
    name, open_ns, first_ns, first_id, last_ns, last_id = row[1:7]
    price_scale, size_scale = instrument.scale.price, instrument.scale.size
    opens, high, low, close = (_unscaled(text, price_scale) for text in row[7:11])
    total = Partial(
        first=(first_ns, first_id),
        last=(last_ns, last_id),
        open=opens,
        high=high,
        low=low,
        close=close,
        volume=_unscaled(row[11], size_scale),
        buy_volume=_unscaled(row[12], size_scale),
        quote_volume=_unscaled(row[13], price_scale + size_scale),
        trade_count=row[14],
    )
    return Bar(instrument, (_LEVELS[name], open_ns), total, *row[15:])


class Store:
    """Reads and writes for one aggregator. Methods raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._positions: dict[StreamKey, Cursor] = {}

    @property
    def positions(self) -> Mapping[StreamKey, Cursor]:
        """Up to where everything is stored."""
        return self._positions

    async def load(self, make_venue: MakeVenue, kept_ns: int) -> dict[str, Venue]:
        """The venues as they were last stored, with the bars that ended less than kept_ns before
        their watermark."""
        async with self._database.transaction() as connection:
            # All of it as of one moment: a predecessor's last commit may still be under way.
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            self._positions = await load_positions(connection, CONSUMER)
            rows = await connection.execute("SELECT venue, newest_time_ns FROM bar_venues")
            venues = {}
            async for venue_id, newest_ns in rows:
                key = StreamKey(venue_id, types_pb2.CHANNEL_TRADES)
                venues[venue_id] = make_venue(venue_id, newest_ns, self._positions.get(key, START))
            for venue in venues.values():
                await _load_venue(connection, venue, kept_ns)
        return venues

    async def load_bars(self, venue_id: str, symbol: str, spans: Sequence[Span]) -> list[BarRow]:
        """All stored bars of an instrument that overlap one of these times, for ``restored``."""
        starts, stops = zip(*spans, strict=True)
        async with self._database.transaction() as connection:
            rows = await connection.execute(
                _OVERLAPPING, [_NAMES, _LENGTHS_NS, list(starts), list(stops), venue_id, symbol]
            )
            return await rows.fetchall()

    async def save(self, snapshot: Snapshot) -> None:
        """Write all of it or nothing. Raises PositionMoved when another process has written."""
        async with self._database.transaction() as connection:
            await save_positions(connection, CONSUMER, snapshot.positions, self._positions)
            if snapshot.bars:
                await _save_bars(connection, snapshot.bars)
            if snapshot.instruments:
                await connection.execute(_UPSERT_INSTRUMENTS, _columns(snapshot.instruments))
            await connection.execute(_UPSERT_VENUES, _columns(snapshot.venues))
        self._positions = {**self._positions, **snapshot.positions}


async def _load_venue(connection: Connection, venue: Venue, kept_ns: int) -> None:
    rows = await connection.execute(_INSTRUMENTS, [venue.venue_id])
    async for row in rows:
        venue.add_instrument(_instrument(row))
    venue.horizon_ns = max(0, venue.watermark.time_ns - kept_ns)
    rows = await connection.execute(_AFTER, [_NAMES, _LENGTHS_NS, venue.horizon_ns, venue.venue_id])
    async for row in rows:
        instrument = venue.instruments[row[0]]
        venue.restore(instrument, [restored(row, instrument)])


async def _save_bars(connection: Connection, bars: Iterable[BarRecord]) -> None:
    await connection.execute(_STAGE)
    async with connection.cursor() as cursor:
        async with cursor.copy(_COPY) as copy:
            await copy.write("".join(map(_line, bars)))
        await cursor.execute(_UPSERT)


def _line(record: BarRecord) -> str:
    """One line of COPY's text format. Only venue and symbol can hold what must be escaped."""
    names = (record.venue.translate(_ESCAPES), record.symbol.translate(_ESCAPES))
    return "\t".join([*names, *map(str, record[2:])]) + "\n"


def _columns(rows: Iterable[Sequence[object]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _instrument(row: tuple[Any, ...]) -> Instrument:
    symbol, price_scale, size_scale, since_ns, newest_ns, trade_ids, floor, holes = row
    return Instrument(
        symbol,
        Scale(price_scale, size_scale),
        TradeIds(map(tuple, trade_ids), floor),
        Coverage(since_ns, (Hole(*hole) for hole in holes)),
        newest_ns,
    )


def _unscaled(text: str, scale: int) -> int:
    """The number of a NUMERIC's text at a scale that it does not exceed."""
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(scale, "0"))
