"""Times in which quotes, books, tickers or marks of an instrument were recorded, and their gaps.

A gap lasts from its detection to the next event of the symbol. A gap of the whole channel begins
with the last event before its detection, because it may tell of a process that was down. A book is
known again with the next snapshot only: updates of ``book_epoch`` 0 prove no book. All times are
received times.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from venuemesh.common.v1 import types_pb2

from core.history.time_spans import Span
from kit.base.cursor import Channel
from kit.base.database import Connection
from kit.base.number_columns import IntColumn
from kit.storage.archive.codec import unpack_book

END_OF_TIME_NS = 2**63 - 1
BLOCKS_AT_ONCE = 16
"""Blocks in memory at a time; each holds at most one transaction of the recorder."""
TABLES: Mapping[Channel, str] = {
    types_pb2.CHANNEL_QUOTES: "quote_rows",
    types_pb2.CHANNEL_TICKERS: "ticker_rows",
    types_pb2.CHANNEL_MARKS: "mark_rows",
}

_ROWS_WATCHED = """
    SELECT
        (SELECT received_time_ns FROM {table} WHERE instrument_id = %(instrument_id)s
            ORDER BY received_time_ns LIMIT 1),
        (SELECT received_time_ns FROM {table} WHERE instrument_id = %(instrument_id)s
            ORDER BY received_time_ns DESC LIMIT 1)
"""
_GAPS_OF_CHANNEL = """
    FROM gap_rows WHERE venue = %(venue)s AND channel = %(channel)s
        AND (symbol IS NULL OR symbol = %(symbol)s)
    ORDER BY epoch, sequence, ordinal
"""
_ROW_GAPS = (
    """
    SELECT symbol, detected_time_ns,
        CASE WHEN symbol IS NULL THEN (
            SELECT received_time_ns FROM {table} WHERE instrument_id = %(instrument_id)s
                AND received_time_ns < detected_time_ns ORDER BY received_time_ns DESC LIMIT 1) END,
        (SELECT received_time_ns FROM {table} WHERE instrument_id = %(instrument_id)s
            AND received_time_ns >= detected_time_ns ORDER BY received_time_ns LIMIT 1)
"""
    + _GAPS_OF_CHANNEL
)
_BOOK_GAPS = (
    """
    SELECT symbol, detected_time_ns,
        CASE WHEN symbol IS NULL THEN (
            SELECT last_received_time_ns FROM book_batch_rows WHERE venue = %(venue)s
                AND last_received_time_ns <= detected_time_ns
                AND (epoch, sequence) < (gap_rows.epoch, gap_rows.sequence)
            ORDER BY last_received_time_ns DESC LIMIT 1) END
"""
    + _GAPS_OF_CHANNEL
).encode()
_NEWEST_BLOCK = b"SELECT max(last_received_time_ns) FROM book_batch_rows WHERE venue = %(venue)s"
_SNAPSHOT_BLOCKS = b"""
    SELECT last_received_time_ns, epoch, sequence FROM book_batch_rows
    WHERE venue = %(venue)s AND cardinality(snapshot_instrument_ids) > 0
        AND snapshot_instrument_ids @> ARRAY[%(instrument_id)s::integer]
    ORDER BY last_received_time_ns, epoch, sequence
"""
_BLOCKS = b"""
    SELECT place, codec, batch
    FROM unnest(%(places)s::int[], %(times)s::bigint[], %(epochs)s::bigint[],
        %(sequences)s::bigint[]) AS wanted (place, time_ns, epoch, sequence)
    JOIN book_batch_rows AS block ON venue = %(venue)s AND last_received_time_ns = time_ns
        AND block.epoch = wanted.epoch AND block.sequence = wanted.sequence
"""


class ChannelRecord(NamedTuple):
    """When a channel of an instrument was recorded."""

    watched: Span
    """From the first event or gap on; empty without any."""
    gaps: Sequence[Span]


class _Gap(NamedTuple):
    symbol: str | None
    detected_ns: int
    before_ns: int | None
    """The last event before a gap of the whole channel."""

    def until(self, end_ns: int | None) -> Span:
        start_ns = self.detected_ns if self.before_ns is None else self.before_ns
        return start_ns, END_OF_TIME_NS if end_ns is None else end_ns


async def row_record(
    connection: Connection, channel: Channel, values: Mapping[str, object]
) -> ChannelRecord:
    """The record of a channel whose events are rows. ``values``: venue, symbol, instrument_id."""
    values = {**values, "channel": channel}
    rows_watched = _ROWS_WATCHED.format(table=TABLES[channel]).encode()
    row_gaps = _ROW_GAPS.format(table=TABLES[channel]).encode()
    row = await (await connection.execute(rows_watched, values)).fetchone()
    rows = await (await connection.execute(row_gaps, values)).fetchall()
    gaps = [(_Gap(*row[:3]), row[3]) for row in rows]
    first_ns, newest_ns = row or (None, None)
    watched = _watched(first_ns, newest_ns, [gap for gap, _ in gaps])
    return ChannelRecord(watched, [gap.until(end_ns) for gap, end_ns in gaps])


async def book_record(connection: Connection, values: Mapping[str, object]) -> ChannelRecord:
    """The record of a book. ``values``: venue, symbol, instrument_id."""
    values = {**values, "channel": types_pb2.CHANNEL_BOOK}
    gaps = [_Gap(*row) for row in await (await connection.execute(_BOOK_GAPS, values)).fetchall()]
    snapshots = await _Snapshots.found(connection, values)
    first_ns, *ends_ns = await snapshots.next_times([0, *(gap.detected_ns for gap in gaps)])
    row = await (await connection.execute(_NEWEST_BLOCK, values)).fetchone()
    newest_ns = None if row is None else row[0]
    spans = [gap.until(end_ns) for gap, end_ns in zip(gaps, ends_ns, strict=True)]
    return ChannelRecord(_watched(first_ns, newest_ns, gaps), spans)


class _Snapshots:
    """The blocks with snapshots of a book, by the received time of their last event."""

    def __init__(
        self,
        connection: Connection,
        values: Mapping[str, object],
        blocks: Sequence[tuple[int, int, int]],
    ) -> None:
        self._connection = connection
        self._values = values
        self._blocks = blocks
        self._times: dict[int, IntColumn] = {}
        """Times of the snapshots of the blocks that were read."""

    @classmethod
    async def found(cls, connection: Connection, values: Mapping[str, object]) -> "_Snapshots":
        rows = await (await connection.execute(_SNAPSHOT_BLOCKS, values)).fetchall()
        return cls(connection, values, rows)

    async def next_times(self, times_ns: Sequence[int]) -> list[int | None]:
        """The time of the first snapshot at or after each of these times; None without one."""
        found: list[int | None] = [None] * len(times_ns)
        places = {row: bisect_left(self._blocks, (time,)) for row, time in enumerate(times_ns)}
        while places := {row: at for row, at in places.items() if at < len(self._blocks)}:
            await self._read(set(places.values()) - self._times.keys())
            for row, place in list(places.items()):
                times = self._times[place]
                later = times[np.searchsorted(times, times_ns[row]) :]
                if len(later):
                    found[row] = int(later[0])
                    del places[row]
                else:
                    places[row] += 1
        return found

    async def _read(self, places: Collection[int]) -> None:
        wanted = [(place, *self._blocks[place]) for place in sorted(places)]
        if not wanted:
            return
        names = "places", "times", "epochs", "sequences"
        values = dict(zip(names, map(list, zip(*wanted, strict=True)), strict=True))
        symbol = str(self._values["symbol"])
        async with self._connection.cursor("snapshot_blocks") as cursor:
            await cursor.execute(_BLOCKS, {**self._values, **values})
            while rows := await cursor.fetchmany(BLOCKS_AT_ONCE):
                # In a thread, as the event loop has other callers.
                self._times |= await asyncio.to_thread(
                    lambda rows: {row[0]: _snapshot_times(symbol, *row[1:]) for row in rows}, rows
                )


def _snapshot_times(symbol: str, codec: int, data: bytes) -> IntColumn:
    """When the snapshots of a book in a block were received: never before the events before them,
    in the order of publication."""
    head, updates = unpack_book(codec, data)
    is_symbol = np.array([entry.symbol == symbol for entry in head.instruments], dtype=bool)
    is_proven = (updates.snapshot != 0) & (updates.book_epoch != 0)
    times_ns: IntColumn = np.maximum.accumulate(updates.received_time_ns)
    result: IntColumn = times_ns[is_proven & is_symbol[updates.instrument]]
    return result


def _watched(first_ns: int | None, newest_ns: int | None, gaps: Sequence[_Gap]) -> Span:
    """From the first event, or the first gap of the symbol, to the newest event or gap."""
    starts = [gap.detected_ns for gap in gaps if gap.symbol is not None]
    if first_ns is not None:
        starts.append(first_ns)
    if not starts:
        return 0, 0
    return min(starts), max(*starts, newest_ns or 0, *(gap.detected_ns for gap in gaps))
