"""Reads any channel of the record in the order of receipt."""

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit.base.cursor import Channel, channel_name
from kit.base.database import Database
from kit.base.errors import NotSupported, UnknownInstrument, UnknownVenue
from kit.base.number_columns import IntColumn
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.model.batches import Batch
from kit.storage.archive.bars import BarReader, BarSeries
from kit.storage.archive.book_events import BookEvents
from kit.storage.archive.books import BookReader
from kit.storage.archive.copy_out import copy_out
from kit.storage.archive.events import ChannelEvents, TableEvents, in_portions
from kit.storage.archive.gaps_and_listings import (
    RecordedInstrumentTerms,
    TimedGap,
    gaps_of,
    terms_of,
)
from kit.storage.archive.slices import TimeSlices
from kit.storage.archive.tables import RANK, RECORD_TABLES, ArchiveTable

EPOCH = 1
"""Epoch of the cursors of batches that are read from the record."""
ROWS_MAX = 10_000
"""Rows of one batch, by default."""


@dataclass(frozen=True, slots=True)
class RecordedInstruments:
    """Instruments of a venue that the database knows."""

    venue: str
    names: Sequence[str]
    """Symbols, sorted."""
    ids: Sequence[int]
    """The instrument_id of each symbol."""

    def ranks(self, instrument_id: IntColumn) -> IntColumn:
        """The position of each instrument's symbol among the names."""
        positions = np.zeros(max(self.ids, default=0) + 1, dtype=np.int64)
        positions[list(self.ids)] = np.arange(len(self.ids))
        found: IntColumn = positions[instrument_id]
        return found


class Archive:
    """The record in one database.

    Ranges are start_ns <= t < end_ns of received time, in ns since the Unix epoch; 0 is open. The
    same request over the same record returns the same bytes. Methods raise StoreUnavailable,
    UnknownVenue for a venue that was never recorded, UnknownInstrument for such a symbol, and
    MalformedCopy or MalformedArchive when the record is damaged.
    """

    def __init__(self, database_url: str, accepts_older_schema: bool = False) -> None:
        self._database = Database(database_url, accepts_older_schema=accepts_older_schema)

    async def close(self) -> None:
        await self._database.close()

    async def batches(
        self,
        venue: str,
        channel: Channel,
        symbols: Collection[str] = (),
        start_ns: int = 0,
        end_ns: int = 0,
        rows_max: int = ROWS_MAX,
    ) -> AsyncGenerator[bytes, None]:
        """Serialised MarketDataBatch messages, each of ``rows_max`` rows, the last one of fewer.

        Their cursors are (1, 1), (1, 2) and so on; their published time is the received time of
        their last row. Raises NotSupported for a channel without rows of its own.
        """
        sequence = 0
        async with (
            aclosing(self.events(venue, channel, symbols, start_ns, end_ns)) as events,
            aclosing(in_portions(events, rows_max)) as portions,
        ):
            async for portion in portions:
                for draft in portion.drafts():
                    sequence += 1
                    yield as_batch(venue, channel, sequence, draft)

    async def events(
        self,
        venue: str,
        channel: Channel,
        symbols: Collection[str] = (),
        start_ns: int = 0,
        end_ns: int = 0,
    ) -> AsyncGenerator[ChannelEvents, None]:
        """The rows that ``batches`` encodes, one slice of time after another."""
        reading = await self._reading(venue, channel, symbols)
        if not (start_ns and end_ns):
            first_ns, last_ns = await reading.bounds()
            start_ns, end_ns = start_ns or first_ns, end_ns or last_ns + 1
        async with aclosing(reading.events(start_ns, end_ns)) as slices:
            async for events in slices:
                yield events

    async def bars(
        self,
        venue: str,
        symbol: str,
        interval: str,
        start_ns: int = 0,
        end_ns: int = 0,
        as_of_ns: int = 0,
        rows_max: int = ROWS_MAX,
    ) -> AsyncGenerator[bytes, None]:
        """Serialised BarColumns by open time, to which the range applies. Raises NotSupported when
        a number does not fit 64 bits."""
        await self.instruments(venue, [symbol])
        reading = BarReader(self._database, BarSeries(venue, symbol, interval, as_of_ns))
        async with aclosing(reading.columns(start_ns, end_ns, rows_max)) as messages:
            async for message in messages:
                yield message

    async def bounds(
        self, venue: str, channel: Channel, symbols: Collection[str] = ()
    ) -> tuple[int, int]:
        """The first and the last received time of a channel; (0, -1) when it has no rows."""
        return await (await self._reading(venue, channel, symbols)).bounds()

    async def symbols_with_books(
        self, venue: str, until_ns: int, symbols: Collection[str] = ()
    ) -> frozenset[str]:
        """The symbols of which a whole book was received before a time."""
        return await (await self._book_reading(venue, symbols)).symbols(until_ns)

    async def books_at(
        self, venue: str, time_ns: int, symbols: Collection[str] = ()
    ) -> BookEvents | None:
        """A snapshot of each book just before a time, or None when no book was known."""
        return await (await self._book_reading(venue, symbols)).as_of(time_ns)

    async def gaps(
        self, venue: str, channels: Collection[Channel], symbols: Collection[str] = ()
    ) -> list[TimedGap]:
        """The gaps of some channels, in the order of the events around them."""
        async with self._database.transaction() as connection:
            return await gaps_of(connection, venue, channels, symbols)

    async def terms(
        self, venue: str, symbols: Collection[str] = ()
    ) -> list[RecordedInstrumentTerms]:
        """The listings and terms of instruments, in the order in which they began."""
        async with self._database.transaction() as connection:
            return await terms_of(connection, venue, symbols)

    async def instruments(self, venue: str, symbols: Collection[str] = ()) -> RecordedInstruments:
        """The instruments with these symbols, or all that were recorded of the venue."""
        async with self._database.transaction() as connection:
            rows = await connection.execute(
                "SELECT symbol, instrument_id FROM instruments WHERE venue = %s", [venue]
            )
            known: dict[str, int] = {row[0]: row[1] async for row in rows}
        if not known:
            raise UnknownVenue(f"no data of the venue {venue!r} are recorded", venue=venue)
        for symbol in symbols:
            if symbol not in known:
                message = f"no data of {venue} {symbol!r} are recorded"
                raise UnknownInstrument(message, venue=venue, symbol=symbol)
        names = sorted(set(symbols) or known)
        return RecordedInstruments(venue, names, [known[name] for name in names])

    async def _book_reading(self, venue: str, symbols: Collection[str]) -> BookReader:
        instruments = await self.instruments(venue, symbols)
        ids = dict(zip(instruments.names, instruments.ids, strict=True))
        return BookReader(self._database, venue, ids)

    async def _reading(
        self, venue: str, channel: Channel, symbols: Collection[str]
    ) -> "TableReader | BookReader":
        if channel == types_pb2.CHANNEL_BOOK:
            return await self._book_reading(venue, symbols)
        instruments = await self.instruments(venue, symbols)
        if channel in RECORD_TABLES:
            return TableReader(self._database, RECORD_TABLES[channel], instruments)
        name = channel_name(channel)
        raise NotSupported(
            f"the archive does not read the channel {name}", service="archive", wanted=name
        )


class TableReader:
    """Reads some instruments of one SQL table."""

    def __init__(
        self, database: Database, table: ArchiveTable, instruments: RecordedInstruments
    ) -> None:
        self._database = database
        self._table = table
        self._instruments = instruments

    async def bounds(self) -> tuple[int, int]:
        """The first and the last received time; (0, -1) without rows."""
        async with self._database.transaction() as connection:
            query = self._table.bounds_query(self._instruments.ids).encode()
            row = await (await connection.execute(query)).fetchone()
        assert row is not None
        return (0, -1) if row[0] is None else (row[0], row[1])

    async def events(self, start_ns: int, end_ns: int) -> AsyncGenerator[ChannelEvents, None]:
        """The rows received in a span of time, slice by slice."""
        async with aclosing(TimeSlices(self._read, start_ns, end_ns).all()) as slices:
            async for events in slices:
                yield events

    async def _read(self, start_ns: int, end_ns: int, bytes_max: int) -> tuple[ChannelEvents, int]:
        query = self._table.query(self._instruments.ids, start_ns, end_ns)
        async with self._database.transaction() as connection:
            rows = await copy_out(connection, query, self._table.layout, bytes_max)
        ranks = self._instruments.ranks(rows.integers("instrument_id"))
        rows = self._table.in_order(rows.with_integers(RANK, ranks))
        return TableEvents(self._table, self._instruments.names, rows), len(rows)


def as_batch(venue: str, channel: Channel, sequence: int, draft: BatchDraft) -> bytes:
    """A serialised batch with a cursor."""
    head = Batch(
        venue=venue,
        channel=channel,
        cursor=types_pb2.Cursor(epoch=EPOCH, sequence=sequence),
        instruments=draft.instruments,
        gaps=draft.gaps,
        published_time_ns=draft.received_time_ns,
    )
    return head.SerializeToString() + draft.columns
