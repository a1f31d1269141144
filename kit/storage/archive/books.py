"""Reads blocks of book updates, and whole books as of a time.

An update that waited for a snapshot is published after it, although it was received before it. So
updates stay in the order of publication, and the received time of each counts as at least that of
the updates before it.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import NamedTuple

import numpy as np

from kit.base.database import Database
from kit.base.number_columns import IntColumn
from kit.marketdata.book.levels import BookSide
from kit.marketdata.book.local_book import LocalBook, LocalBooks
from kit.marketdata.model.book_updates import BookUpdates, InstrumentScale
from kit.storage.archive.book_events import BookEvents, joined
from kit.storage.archive.codec import unpack_book
from kit.storage.archive.copy_layout import CopyColumn, CopyColumnType
from kit.storage.archive.copy_out import copy_out
from kit.storage.archive.copy_rows import CopyRows
from kit.storage.archive.events import ChannelEvents
from kit.storage.archive.slices import NO_LIMIT, TimeSlices

LAYOUT = (
    CopyColumn("epoch"),
    CopyColumn("sequence"),
    CopyColumn("update_count"),
    CopyColumn("codec"),
    CopyColumn("batch", CopyColumnType.BYTES),
)
HELD_BACK = 2
"""Blocks of a slice that wait for the next slice: consecutive blocks may have been received in the
other order."""
AROUND_MAX = 8
"""Most blocks that span one point in time."""


class BookBlock(NamedTuple):
    """A row of book_batch_rows, unpacked."""

    cursor: tuple[int, int]
    instruments: list[InstrumentScale]
    updates: BookUpdates


class BookReader:
    """The book updates of some instruments of a venue."""

    def __init__(self, database: Database, venue: str, ids: Mapping[str, int]) -> None:
        self._database = database
        self._venue = venue
        self._symbols = frozenset(ids)
        self._ids = ids

    async def events(self, start_ns: int, end_ns: int) -> AsyncGenerator[ChannelEvents, None]:
        """A snapshot of each book at the start, then its updates."""
        first = await self.as_of(start_ns)
        if first is not None:
            yield first
        newest_ns = start_ns
        async with aclosing(self._blocks(start_ns, end_ns)) as blocks:
            async for some in blocks:
                events = self._events(some, start_ns, end_ns)
                if len(events):
                    times_ns = np.maximum(events.times_ns, newest_ns)
                    newest_ns = int(times_ns[-1])
                    yield BookEvents(events.instruments, events.updates, times_ns)

    async def bounds(self) -> tuple[int, int]:
        """The first and the last received time; (0, -1) without rows."""
        query = (
            "SELECT min(first_received_time_ns), max(last_received_time_ns)"
            f" FROM book_batch_rows WHERE {self._whose()}"
        )
        first_ns, last_ns = await self._one(query)
        return (0, -1) if first_ns is None or last_ns is None else (first_ns, last_ns)

    async def as_of(self, time_ns: int) -> BookEvents | None:
        """A snapshot of each book just before a time, or None without any."""
        since_ns = await self._snapshots_since(time_ns)
        if since_ns is None:
            return None
        books = LocalBooks()
        async with aclosing(self._blocks(since_ns, time_ns)) as blocks:
            async for some in blocks:
                events = self._events(some, 0, time_ns)
                books.apply(events.instruments, events.updates)
        return _snapshots(books.items(), time_ns)

    async def symbols(self, until_ns: int) -> frozenset[str]:
        """The symbols of which a whole book was received before a time."""
        query = (
            "SELECT DISTINCT unnest(snapshot_instrument_ids) FROM book_batch_rows"
            f" WHERE {self._whose()} AND first_received_time_ns < {until_ns}"
            " AND cardinality(snapshot_instrument_ids) > 0"
        )
        async with self._database.transaction() as connection:
            rows = await (await connection.execute(query.encode())).fetchall()
        ids = {number for (number,) in rows}
        return frozenset(symbol for symbol, number in self._ids.items() if number in ids)

    def _events(self, blocks: Sequence[BookBlock], start_ns: int, end_ns: int) -> BookEvents:
        """The updates of the wanted instruments that were received in a span of time."""
        parts, times = [], []
        for block in blocks:
            updates, times_ns = block.updates, block.updates.received_time_ns
            times_ns = np.maximum.accumulate(times_ns)
            wanted = [symbol in self._symbols for symbol, _ in block.instruments]
            keep = (times_ns >= start_ns) & (times_ns < end_ns)
            keep &= np.array(wanted, dtype=bool)[updates.instrument]
            if not keep.all():
                rows = np.flatnonzero(keep)
                updates, times_ns = updates.take(rows), times_ns[rows]
            parts.append((block.instruments, updates))
            times.append(times_ns)
        instruments, updates = joined(parts)
        return BookEvents(instruments, updates, np.maximum.accumulate(np.concatenate(times)))

    async def _blocks(self, start_ns: int, end_ns: int) -> AsyncGenerator[list[BookBlock], None]:
        """Blocks with updates in a span, in the order of their cursors."""
        held: list[BookBlock] = []
        slices = TimeSlices(self._read, start_ns, end_ns).all()
        async with aclosing(slices):
            async for blocks in slices:
                held = sorted([*held, *blocks], key=lambda block: block.cursor)
                if len(held) > HELD_BACK:
                    yield held[:-HELD_BACK]
                    held = held[-HELD_BACK:]
        held = sorted([*held, *await self._around(end_ns)], key=lambda block: block.cursor)
        if held:
            yield held

    async def _read(
        self, start_ns: int, end_ns: int, bytes_max: int
    ) -> tuple[list[BookBlock], int]:
        """Blocks whose last update was received in a span of time."""
        table = await self._copy(
            f"last_received_time_ns >= {start_ns} AND last_received_time_ns < {end_ns}",
            bytes_max,
        )
        return _unpacked(table), int(table.integers("update_count").sum())

    async def _around(self, time_ns: int) -> list[BookBlock]:
        """Blocks that begin before a time and end at it or later."""
        table = await self._copy(
            f"last_received_time_ns >= {time_ns} ORDER BY last_received_time_ns LIMIT {AROUND_MAX}",
            NO_LIMIT,
        )
        blocks = _unpacked(table)
        return [block for block in blocks if int(block.updates.received_time_ns.min()) < time_ns]

    async def _copy(self, condition: str, bytes_max: int) -> CopyRows:
        names = ", ".join(column.name for column in LAYOUT)
        query = f"SELECT {names} FROM book_batch_rows WHERE {self._whose()} AND {condition}"
        async with self._database.transaction() as connection:
            return await copy_out(connection, query, LAYOUT, bytes_max)

    async def _snapshots_since(self, time_ns: int) -> int | None:
        """A time from which on each book that has a snapshot before ``time_ns`` has one."""
        numbers = ",".join(map(str, self._ids.values()))
        row = await self._one(
            "SELECT min(newest) FROM unnest"
            f" ('{{{numbers}}}'::int[]) AS wanted (id), LATERAL ("
            "   SELECT last_received_time_ns AS newest FROM book_batch_rows"
            f"  WHERE {self._whose()} AND last_received_time_ns < {time_ns}"
            "     AND cardinality(snapshot_instrument_ids) > 0"
            "     AND wanted.id = ANY (snapshot_instrument_ids)"
            "   ORDER BY last_received_time_ns DESC LIMIT 1) AS snapshot"
        )
        if row[0] is not None:
            return int(row[0])
        # The only snapshots may be in a block that spans the time.
        return time_ns if await self._around(time_ns) else None

    def _whose(self) -> str:
        venue = self._venue.replace("'", "''")
        numbers = ",".join(map(str, self._ids.values()))
        return f"venue = '{venue}' AND instrument_ids && '{{{numbers}}}'::int[]"

    async def _one(self, query: str) -> tuple[int | None, ...]:
        async with self._database.transaction() as connection:
            row = await (await connection.execute(query.encode())).fetchone()
        assert row is not None
        return row


def _unpacked(table: CopyRows) -> list[BookBlock]:
    columns = (table.integers(name).tolist() for name in ("epoch", "sequence", "codec"))
    rows = zip(*columns, table.pooled("batch").bytes(), strict=True)
    return [_block((epoch, sequence), codec, data) for epoch, sequence, codec, data in rows]


def _block(cursor: tuple[int, int], codec: int, data: bytes) -> BookBlock:
    head, updates = unpack_book(codec, data)
    return BookBlock(cursor, list(map(InstrumentScale.of, head.instruments)), updates)


def _snapshots(books: Sequence[tuple[str, LocalBook]], time_ns: int) -> BookEvents | None:
    """Each book whole, received at a time; None when there is none."""
    if not books:
        return None
    sides = [(BookSide.of(book.bids()), BookSide.of(book.asks())) for _, book in books]
    levels = [side for both in sides for side in both]
    last_sequence = _column([book.last_sequence for _, book in books])
    updates = BookUpdates(
        instrument=np.arange(len(books)),
        first_sequence=last_sequence,
        last_sequence=last_sequence,
        snapshot=np.ones(len(books), dtype=np.int64),
        book_epoch=_column([book.epoch for _, book in books]),
        venue_time_ns=_column([book.venue_time_ns for _, book in books]),
        received_time_ns=np.full(len(books), time_ns),
        bid_count=_column([len(bids.price) for bids, _ in sides]),
        ask_count=_column([len(asks.price) for _, asks in sides]),
        price=np.concatenate([side.price for side in levels]),
        size=np.concatenate([side.size for side in levels]),
    )
    instruments = [InstrumentScale(symbol, book.scale) for symbol, book in books]
    return BookEvents(instruments, updates, updates.received_time_ns)


def _column(values: list[int]) -> IntColumn:
    return np.array(values, dtype=np.int64)
