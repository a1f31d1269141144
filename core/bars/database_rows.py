"""Statements for stored bars and instruments, and the conversion of their rows."""

import json
from collections.abc import Sequence
from typing import Any

from core.bars.bar_arithmetic import PartialBar
from core.bars.bar_record import BarRecord
from core.bars.coverage import CoverageHole, Span, TradeCoverage
from core.bars.event_bars import InstrumentEventBars
from core.bars.instrument_bars import InstrumentBars, TimeBar
from core.bars.series import DAY_NS
from core.bars.trade_ids import TradeIds
from kit.base.database import Connection
from kit.base.intervals import INTERVALS
from kit.marketdata.model.columns import Scale

_LEVELS = {interval.name: level for level, interval in enumerate(INTERVALS)}
_NAMES = list(_LEVELS)
_LENGTHS_NS = [interval.length_ns for interval in INTERVALS]
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

_TOTAL = (
    "first_time_ns, first_trade_id, last_time_ns, last_trade_id, open::text, high::text,"
    " low::text, close::text, volume::text, buy_volume::text, quote_volume::text, trade_count"
)
_STATE = "revision, final, covered_ns"
_SELECT = f"SELECT bars.symbol, bars.interval, open_time_ns, {_TOTAL}, {_STATE}"
_AFTER = (
    f"{_SELECT} FROM unnest(%s::text[]) AS known (symbol)"
    " CROSS JOIN unnest(%s::text[], %s::bigint[]) AS kind (name, length_ns)"
    " JOIN bars ON bars.venue = %s AND bars.symbol = known.symbol"
    " AND bars.interval = kind.name AND bars.open_time_ns > %s - kind.length_ns"
)
_OVERLAPPING = (
    f"{_SELECT} FROM (SELECT DISTINCT bars.* FROM unnest(%s::text[], %s::bigint[])"
    " AS kind (name, length_ns)"
    " CROSS JOIN unnest(%s::bigint[], %s::bigint[]) AS span (start_ns, stop_ns)"
    " JOIN bars ON bars.venue = %s AND bars.symbol = %s AND bars.interval = kind.name"
    " AND bars.open_time_ns > span.start_ns - kind.length_ns"
    " AND bars.open_time_ns < span.stop_ns) AS bars"
)
_OF_DAY = (
    " WHERE venue = %s AND symbol = %s AND interval = %s AND open_time_ns >= %s"
    " AND open_time_ns < %s"
)
_DAY = f"SELECT number, open_time_ns, {_TOTAL}, {_STATE} FROM bars{_OF_DAY} ORDER BY number"
_DAY_REVISIONS = f"SELECT number, max(revision) FROM bar_revisions{_OF_DAY} GROUP BY number"
INSTRUMENTS = (
    "SELECT symbol, price_scale, size_scale, since_time_ns, newest_time_ns, trade_ids,"
    " trade_ids_floor, fetched_trade_ids, holes, events FROM bar_instruments WHERE venue = %s"
)
UPSERT_INSTRUMENTS = (
    "INSERT INTO bar_instruments (venue, symbol, price_scale, size_scale, since_time_ns,"
    " newest_time_ns, trade_ids, trade_ids_floor, fetched_trade_ids, holes, events)"
    " SELECT * FROM unnest(%s::text[], %s::text[], %s::int[], %s::int[],"
    " %s::bigint[], %s::bigint[], %s::jsonb[], %s::bigint[], %s::jsonb[], %s::jsonb[], %s::json[])"
    " ON CONFLICT (venue, symbol) DO UPDATE SET price_scale = excluded.price_scale,"
    " size_scale = excluded.size_scale, since_time_ns = excluded.since_time_ns,"
    " newest_time_ns = excluded.newest_time_ns, trade_ids = excluded.trade_ids,"
    " trade_ids_floor = excluded.trade_ids_floor,"
    " fetched_trade_ids = excluded.fetched_trade_ids, holes = excluded.holes,"
    " events = excluded.events"
)

BarRow = tuple[Any, ...]
"""A row of a time bar, see ``bar_of_row``."""
EventRow = tuple[Any, ...]
"""A row of an event bar, see ``event_bar_of_row``."""
InstrumentRow = tuple[Any, ...]
"""The columns of bar_instruments."""


async def after(
    connection: Connection, venue_id: str, symbols: Sequence[str], time_ns: int
) -> list[BarRow]:
    """The time bars of some instruments that end after this time."""
    arguments = [symbols, _NAMES, _LENGTHS_NS, venue_id, time_ns]
    return await (await connection.execute(_AFTER, arguments)).fetchall()


async def overlapping(
    connection: Connection, venue_id: str, symbol: str, spans: Sequence[Span]
) -> list[BarRow]:
    """The time bars of an instrument that overlap any of these spans."""
    starts, stops = map(list, zip(*spans, strict=True))
    arguments = [_NAMES, _LENGTHS_NS, starts, stops, venue_id, symbol]
    return await (await connection.execute(_OVERLAPPING, arguments)).fetchall()


async def day(
    connection: Connection, venue_id: str, symbol: str, interval: str, day_ns: int
) -> tuple[list[EventRow], dict[int, int]]:
    """The bars of a kind and day by number, and the newest superseded revision of each number."""
    arguments = [venue_id, symbol, interval, day_ns, day_ns + DAY_NS]
    bars = await (await connection.execute(_DAY, arguments)).fetchall()
    revisions = await connection.execute(_DAY_REVISIONS, arguments)
    return bars, dict(await revisions.fetchall())


def bar_of_row(row: BarRow, instrument: InstrumentBars) -> TimeBar:
    """A bar from its row, at the present scale of the instrument, which may have grown."""
    total = _total(row[3:15], instrument.scale)
    return TimeBar(instrument, (_LEVELS[row[1]], row[2]), total, *row[15:])


def event_bar_of_row(row: EventRow, scale: Scale) -> tuple[int, int, PartialBar, int, bool, int]:
    """Number, open time in ns, total, revision, final, and covered time in ns."""
    number, open_ns = row[:2]
    return (number, open_ns, _total(row[2:14], scale), *row[14:])


def instrument_row(venue_id: str, instrument: InstrumentBars) -> InstrumentRow:
    """The row of an instrument, from which a restart continues."""
    holes = [
        [hole.start_ns, hole.end_ns, hole.last_id, hole.first_id, hole.whole_channel]
        for hole in instrument.coverage.holes
    ]
    seen, events = instrument.seen, instrument.events
    return (
        venue_id,
        instrument.symbol,
        instrument.scale.price,
        instrument.scale.size,
        instrument.coverage.since_ns or 0,
        instrument.newest_ns,
        json.dumps(seen.ranges()),
        seen.floor,
        json.dumps(seen.fetched.ranges() if seen.fetched else []),
        json.dumps(holes),
        json.dumps(events.dump() if events else {}),
    )


def read_instrument(row: InstrumentRow, events: InstrumentEventBars | None) -> InstrumentBars:
    """An instrument from its row. Restores the state of ``events``, its bars of other kinds."""
    (
        symbol,
        price_scale,
        size_scale,
        since_ns,
        newest_ns,
        ids,
        floor,
        fetched,
        holes,
        event_state,
    ) = row
    fetched_ids = TradeIds(map(tuple, fetched)) if fetched else None
    instrument = InstrumentBars(
        symbol,
        Scale(price_scale, size_scale),
        TradeIds(map(tuple, ids), floor, fetched=fetched_ids),
        TradeCoverage(since_ns, (CoverageHole(*hole) for hole in holes)),
        newest_ns,
    )
    if events is not None:
        if event_state:
            events.load(event_state)
        else:
            events.begin(newest_ns)
        instrument.have(events)
    return instrument


def copy_line(record: BarRecord, written_ns: int) -> str:
    """A bar as a line of COPY's text format. Only venue and symbol can need escapes."""
    names = (record.venue.translate(_ESCAPES), record.symbol.translate(_ESCAPES))
    return "\t".join([*names, *map(str, record[2:]), str(written_ns)]) + "\n"


def _total(columns: Sequence[Any], scale: Scale) -> PartialBar:
    """From the columns of _TOTAL."""
    first_ns, first_id, last_ns, last_id = columns[:4]
    opens, high, low, close = (_unscaled(text, scale.price) for text in columns[4:8])
    return PartialBar(
        first=(first_ns, first_id),
        last=(last_ns, last_id),
        open=opens,
        high=high,
        low=low,
        close=close,
        volume=_unscaled(columns[8], scale.size),
        buy_volume=_unscaled(columns[9], scale.size),
        quote_volume=_unscaled(columns[10], scale.price + scale.size),
        trade_count=columns[11],
    )


def _unscaled(text: str, scale: int) -> int:
    """The number of a NUMERIC's text at a scale that it does not exceed."""
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(scale, "0"))
