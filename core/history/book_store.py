"""Rebuilds an order book at a past time: the newest snapshot before it, and later updates."""

import asyncio
from dataclasses import dataclass

from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2

from core.history import list_queries, request_checks
from core.history.historical_book import HistoricalBook, StoredBookBatch
from core.history.list_store import instrument_id
from core.history.paged_list import Row
from kit.base.cursor import START, Cursor
from kit.base.database import Connection, Database

DEPTH = 20
DEPTH_MAX = 5000
ROWS_AT_ONCE = 16
"""Rows in memory at a time; each holds at most one transaction of the recorder."""
LOOK_BACK_NS = tuple(minutes * 60 * 10**9 for minutes in (15, 360, 2 * 1440, 60 * 1440))
"""How far back a snapshot is searched, step by step."""
LONGEST_ROW_NS = 3600 * 10**9
"""The updates of one row were received within this time."""

_SNAPSHOTS = b"""
    SELECT epoch, sequence, codec, batch FROM book_batch_rows
    WHERE venue = %(venue)s AND cardinality(snapshot_instrument_ids) > 0
        AND snapshot_instrument_ids @> ARRAY[%(instrument_id)s::integer]
        AND last_received_time_ns >= %(from_ns)s AND last_received_time_ns < %(before_ns)s
        AND first_received_time_ns <= %(time_ns)s
    ORDER BY last_received_time_ns DESC, epoch DESC, sequence DESC
"""
_UPDATES = b"""
    SELECT epoch, sequence, codec, batch FROM book_batch_rows
    WHERE venue = %(venue)s AND instrument_ids @> ARRAY[%(instrument_id)s::integer]
        AND (epoch, sequence) > (%(epoch)s, %(sequence)s)
        AND last_received_time_ns >= %(from_ns)s AND last_received_time_ns < %(before_ns)s
        AND first_received_time_ns <= %(time_ns)s
    ORDER BY epoch, sequence
"""
_NEWEST = b"SELECT max(last_received_time_ns) FROM book_batch_rows WHERE venue = %s"
_GAPS = f"""
    SELECT {list_queries.GAP_COLUMNS} FROM gap_rows
    WHERE venue = %(venue)s AND channel = {types_pb2.CHANNEL_BOOK}
        AND (symbol IS NULL OR symbol = %(symbol)s)
        AND (epoch, sequence) > (%(epoch)s, %(sequence)s) AND detected_time_ns <= %(time_ns)s
    ORDER BY epoch, sequence, ordinal
""".encode()


@dataclass(frozen=True, slots=True)
class BookRequest:
    """The requested book."""

    venue: str
    symbol: str
    instrument_id: int
    time_ns: int
    newest_ns: int
    """Newest received time of the venue's rows, or time_ns if that is earlier."""

    def values(self, after: Cursor, from_ns: int) -> dict[str, object]:
        """Statement values for rows after a cursor, received from a time on."""
        return {
            "venue": self.venue,
            "symbol": self.symbol,
            "instrument_id": self.instrument_id,
            "time_ns": self.time_ns,
            "epoch": after.epoch,
            "sequence": after.sequence,
            "from_ns": from_ns,
            "before_ns": self.newest_ns + LONGEST_ROW_NS,
        }


class HistoricalBookStore:
    """Rebuilds books. Methods raise BadRequest, UnknownInstrument and StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def at(
        self, request: history_pb2.GetOrderBookAtRequest
    ) -> history_pb2.GetOrderBookAtResponse:
        """The book at a time."""
        depth = request.depth or DEPTH
        if depth > DEPTH_MAX:
            raise request_checks.bad("depth", request.depth, f"0 to {DEPTH_MAX}")
        time_ns = (
            request_checks.not_negative("time_ns", request.time_ns) or request_checks.INT64_MAX
        )
        async with self._database.transaction() as connection:
            # Rows and gaps of one snapshot: the recorder writes them in one transaction.
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            number = await instrument_id(connection, request)
            found = await connection.execute(_NEWEST, [request.venue])
            row = await found.fetchone()
            newest_ns = 0 if row is None or row[0] is None else int(row[0])
            wanted = BookRequest(
                request.venue, request.symbol, number, time_ns, min(time_ns, newest_ns)
            )
            book = await _rebuild(connection, wanted)
        answer = book.answer(depth)
        answer.book.venue, answer.book.symbol = request.venue, request.symbol
        return answer


async def _rebuild(connection: Connection, wanted: BookRequest) -> HistoricalBook:
    book = HistoricalBook(wanted.symbol, wanted.time_ns)
    snapshot = await _snapshot(connection, wanted, book)
    start = START if snapshot is None else snapshot.cursor
    values = wanted.values(start, max(book.received_time_ns - LONGEST_ROW_NS, 0))
    found = await connection.execute(_GAPS, values)
    book.expect_gaps([list_queries.gap(row) for row in await found.fetchall()])
    if snapshot is None:
        book.finish()
        return book
    async with connection.cursor("book_updates") as cursor:
        await cursor.execute(_UPDATES, values)
        while rows := await cursor.fetchmany(ROWS_AT_ONCE):
            # In a thread, as the event loop has other callers.
            await asyncio.to_thread(book.follow, list(map(_stored, rows)))
    book.finish()
    return book


async def _snapshot(
    connection: Connection, wanted: BookRequest, book: HistoricalBook
) -> StoredBookBatch | None:
    """Begin the book with the newest snapshot before the time. Returns None without one."""
    before_ns = None
    for from_ns in (*(wanted.newest_ns - length_ns for length_ns in LOOK_BACK_NS), 0):
        values = wanted.values(START, from_ns)
        if before_ns is not None:
            values["before_ns"] = before_ns
        async with connection.cursor("book_snapshots") as cursor:
            await cursor.execute(_SNAPSHOTS, values)
            # A row that begins before the time may have its snapshot after it.
            while rows := await cursor.fetchmany(1):
                stored = _stored(rows[0])
                if await asyncio.to_thread(book.begin, stored):
                    return stored
        before_ns = from_ns
    return None


def _stored(row: Row) -> StoredBookBatch:
    epoch, sequence, codec, data = row
    return StoredBookBatch(Cursor(epoch, sequence), codec, data)
