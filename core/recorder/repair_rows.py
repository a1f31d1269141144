"""Results of repairs: trades that were missing, and gaps that are closed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from venuemesh.common.v1 import types_pb2

from core.recorder.column_buffer import INT64_MAX, InstrumentIds, MalformedBatch
from core.recorder.table_writes import PythonRows, days_of
from kit.base.cursor import Cursor, StreamKey
from kit.base.database import Connection
from kit.base.numbers import to_decimal
from kit.marketdata.model.batches import Batch

SAME_TIME_NS = 1_000_000_000
"""A venue's history may round times: trades with one id this close together are the same."""

# Matched by ids where both are known, otherwise by times. A fill of one instrument does not close a
# gap of all instruments.
CLOSE_GAPS = """
UPDATE gap_rows SET
    fill_outcome = %(outcome)s, filled_time_ns = %(filled_time_ns)s, repair_id = %(repair_id)s
WHERE venue = %(venue)s AND channel = %(channel)s
    AND symbol IS NOT DISTINCT FROM nullif(%(symbol)s, '')
    AND fill_outcome IS DISTINCT FROM %(complete)s
    AND CASE
        WHEN last_id_before > 0 AND first_id_after > 0 AND %(first_id_after)s > 0
            THEN last_id_before >= %(last_id_before)s AND first_id_after <= %(first_id_after)s
        WHEN last_time_ns > 0 AND first_time_ns > 0
            THEN last_time_ns >= %(start_time_ns)s AND first_time_ns <= %(end_time_ns)s
        ELSE detected_time_ns BETWEEN %(start_time_ns)s AND %(end_time_ns)s
    END
"""


class RepairedTrade(NamedTuple):
    """A trade fetched by a repair."""

    venue: str
    symbol: str
    trade: tuple[object, ...]
    """Values of TRADE_COLUMNS, without the instrument."""


TRADE_COLUMNS = {
    "instrument_id": "int4",
    "side": "int2",
    "venue_time_ns": "int8",
    "received_time_ns": "int8",
    "price": "numeric",
    "size": "numeric",
    "trade_id": "int8",
    "trade_id_text": "text",
    "repair_id": "text",
}


@dataclass(frozen=True, slots=True)
class RepairOutcome:
    """The outcome of a repair, and when its batch was published."""

    venue: str
    published_time_ns: int
    fill: types_pb2.HoleFill


@dataclass(frozen=True, slots=True)
class GapClosures:
    """Updates of gap_rows."""

    found: Sequence[RepairOutcome]
    table: str = "gap_rows"
    days_ns: Sequence[int] = ()

    async def write(self, connection: Connection, *, careful: bool) -> int:
        for found in self.found:
            fill = found.fill
            values = {
                "venue": found.venue,
                "symbol": fill.symbol,
                "channel": int(types_pb2.CHANNEL_TRADES),
                "outcome": int(fill.outcome),
                "complete": int(types_pb2.FILL_OUTCOME_COMPLETE),
                "filled_time_ns": found.published_time_ns,
                "repair_id": fill.repair_id,
                "last_id_before": fill.last_id_before,
                "first_id_after": fill.first_id_after,
                "start_time_ns": fill.start_time_ns,
                "end_time_ns": fill.end_time_ns,
            }
            await connection.execute(CLOSE_GAPS, values)
        return 0


def hole_fills_of(key: StreamKey, batch: Batch) -> list[RepairOutcome]:
    """The fills of a batch. Raises MalformedBatch."""
    for fill in batch.fills:
        if max(fill.last_id_before, fill.first_id_after) > INT64_MAX:
            raise MalformedBatch("an id has more than 63 bits")
        if "\0" in fill.symbol + fill.repair_id:
            raise MalformedBatch("a text that PostgreSQL cannot hold")
    return [RepairOutcome(key.venue, batch.published_time_ns, fill) for fill in batch.fills]


def trades_of(key: StreamKey, batch: Batch, texts: Sequence[str] | None) -> list[RepairedTrade]:
    """The trades of a batch with consistent columns. ``texts``: their ids, where they are texts."""
    rows = batch.trades
    # Without a fill the cursor names the repair, as null means that no repair brought the trade.
    repair_ids = {fill.symbol: fill.repair_id for fill in batch.fills if fill.repair_id}
    unnamed = str(Cursor.of(batch.cursor))
    found = []
    for row, place in enumerate(rows.instrument):
        instrument = batch.instruments[place]
        side = rows.side[row] if rows.side[row] in types_pb2.Side.values() else 0
        trade = (
            side,
            rows.venue_time_ns[row],
            rows.received_time_ns[row],
            to_decimal(rows.price[row], instrument.price_scale),
            to_decimal(rows.size[row], instrument.size_scale),
            None if texts else rows.trade_id[row],
            texts[row] if texts else None,
            repair_ids.get(instrument.symbol, unnamed),
        )
        found.append(RepairedTrade(key.venue, instrument.symbol, trade))
    return found


def repaired_rows(trades: Sequence[RepairedTrade], ids: InstrumentIds) -> PythonRows:
    """Trades as rows. Only rows that are not in the table yet are written."""
    return PythonRows(
        "trade_rows",
        ", ".join(TRADE_COLUMNS),
        list(TRADE_COLUMNS.values()),
        [(ids[found.venue, found.symbol], *found.trade) for found in trades],
        staged=True,
        days_ns=days_of(np.array([found.trade[1] for found in trades], dtype=np.int64)),
        condition="NOT EXISTS (SELECT FROM trade_rows AS old"
        " WHERE old.instrument_id = new.instrument_id"
        f" AND old.venue_time_ns BETWEEN new.venue_time_ns - {SAME_TIME_NS}"
        f" AND new.venue_time_ns + {SAME_TIME_NS}"
        " AND (old.trade_id = new.trade_id OR old.trade_id_text = new.trade_id_text))",
    )
