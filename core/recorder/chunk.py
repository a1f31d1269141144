"""What gathers for one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from core.recorder.batches import check_book, expired, explains_hole, malformed, read_batch
from core.recorder.columns import LARGE_BATCH_ROWS, Columns, MalformedBatch, Repeated
from kit.batches import Batch, columns_of, row_count
from kit.cursor import START, Channel, Cursor, StreamKey
from kit.streams import Entry

TRADE_COLUMNS = ("price", "size", "side", "venue_time_ns", "received_time_ns")
QUOTE_COLUMNS = (
    "bid_price",
    "bid_size",
    "ask_price",
    "ask_size",
    "venue_time_ns",
    "received_time_ns",
    "sequence",
)


class ScaledInstrument(NamedTuple):
    """An instrument with the scale of its numbers in one or more batches."""

    venue: str
    symbol: str
    price_scale: int
    size_scale: int


class BookBatch(NamedTuple):
    """A batch of book updates, as it came."""

    venue: str
    cursor: Cursor
    first_received_time_ns: int
    last_received_time_ns: int
    update_count: int
    symbols: frozenset[str]
    snapshot_symbols: frozenset[str]
    batch: bytes


class FoundGap(NamedTuple):
    """A gap and the batch that it stands before."""

    key: StreamKey
    cursor: Cursor
    ordinal: int
    gap: types_pb2.Gap


class Chunk:
    """Rows of all channels, in the order in which they were read, and the positions after them."""

    def __init__(
        self,
        before: Mapping[StreamKey, Cursor],
        last_times_ns: Mapping[StreamKey, int] = MappingProxyType({}),
    ) -> None:
        self.before = dict(before)
        """The positions that this chunk follows."""
        self.last_times_ns = dict(last_times_ns)
        """Venue time of the last event that was read of each stream, if any was."""
        self.positions: dict[StreamKey, Cursor] = {}
        """Of the streams that something was read from."""
        self.instruments: dict[ScaledInstrument, int] = {}
        """Those that rows refer to, and the number by which the column "place" does."""
        self.trades = Columns(("place", *TRADE_COLUMNS, "trade_id"))
        self.text_trades = Columns(("place", *TRADE_COLUMNS))
        """Those whose ids are texts."""
        self.text_ids: list[str] = []
        self.quotes = Columns(("place", *QUOTE_COLUMNS))
        self.book_batches: list[BookBatch] = []
        self.gaps: list[FoundGap] = []
        self.events: list[tuple[Channel, int]] = []
        """Per batch its channel and number of events."""
        self.row_count = 0
        self.byte_count = 0
        self.published_time_ns = 0
        """Of the newest batch."""

    def next(self) -> "Chunk":
        """The empty chunk that follows this one."""
        return Chunk(self.before | self.positions, self.last_times_ns)

    def position(self, key: StreamKey) -> Cursor:
        """The last entry of a stream that was read."""
        return self.positions.get(key) or self.before.get(key, START)

    def add(self, entry: Entry, now_ns: int) -> MalformedBatch | None:
        """Take one entry that was read, and whatever it or a hole before it tells of gaps.

        Returns why its batch could not be read, if so: it then counts for a gap and nothing more.
        """
        before = self.position(entry.key)
        if entry.cursor <= before:
            return None
        last_time_ns = self.last_times_ns.get(entry.key, 0)
        self.positions[entry.key] = entry.cursor
        self.byte_count += len(entry.batch)
        gaps: list[types_pb2.Gap] = []
        first_time_ns = 0
        unreadable = None
        try:
            batch = read_batch(entry)
            events = self._add_rows(entry, batch)
        except MalformedBatch as error:
            unreadable = error
            gaps.append(malformed(error))
        else:
            gaps.extend(batch.gaps)
            first_time_ns = self._pass_times(entry.key, batch)
            self.row_count += events
            self.events.append((entry.key.channel, events))
            self.published_time_ns = batch.published_time_ns
        if not entry.cursor.follows(before) and (unreadable or not explains_hole(batch)):
            gaps.insert(0, expired(before, entry.cursor, last_time_ns, first_time_ns))
        self._add_gaps(entry, gaps, now_ns)
        return unreadable

    def symbols(self) -> set[tuple[str, str]]:
        """Venue and symbol of every instrument that something here is about."""
        found = {(instrument.venue, instrument.symbol) for instrument in self.instruments}
        for batch in self.book_batches:
            found.update((batch.venue, symbol) for symbol in batch.symbols)
        found.update((gap.key.venue, gap.gap.symbol) for gap in self.gaps if gap.gap.symbol)
        return found

    def _pass_times(self, key: StreamKey, batch: Batch) -> int:
        """Note the venue time of the last event. Returns that of the first, or 0."""
        times_ns = getattr(columns_of(batch), "venue_time_ns", ())
        if not times_ns:
            return 0
        self.last_times_ns[key] = times_ns[-1]
        first_time_ns: int = times_ns[0]
        return first_time_ns

    def _add_rows(self, entry: Entry, batch: Batch) -> int:
        match batch.WhichOneof("columns"):
            case "trades":
                return self._add_trades(entry, batch)
            case "quotes":
                return self._add_quotes(entry, batch)
            case "book":
                return self._add_book(entry, batch)
        # Tickers, marks, candles and status are passed on, not kept; their gaps are.
        return row_count(batch)

    def _add_trades(self, entry: Entry, batch: Batch) -> int:
        rows = batch.trades
        columns = self._flat(entry, batch, rows, TRADE_COLUMNS)
        if rows.trade_id_text or not any(rows.trade_id):
            texts = rows.trade_id_text or _places_in_stream(entry.cursor, len(rows.instrument))
            if len(texts) != len(rows.instrument) or any("\0" in text for text in texts):
                raise MalformedBatch("trade ids that do not fit")
            self.text_trades.add(columns)
            self.text_ids.extend(texts)
        else:
            self.trades.add([*columns, ("trade_id", rows.trade_id)])
        return len(rows.instrument)

    def _add_quotes(self, entry: Entry, batch: Batch) -> int:
        self.quotes.add(self._flat(entry, batch, batch.quotes, QUOTE_COLUMNS))
        return len(batch.quotes.instrument)

    def _add_book(self, entry: Entry, batch: Batch) -> int:
        rows = batch.book
        check_book(rows, len(batch.instruments))
        if not rows.instrument:
            return 0
        symbol = [instrument.symbol for instrument in batch.instruments]
        places = rows.instrument[:]
        self.book_batches.append(
            BookBatch(
                entry.key.venue,
                entry.cursor,
                min(rows.received_time_ns),
                max(rows.received_time_ns),
                len(places),
                frozenset(symbol[place] for place in set(places)),
                frozenset(
                    symbol[place]
                    for place, snapshot in zip(places, rows.snapshot, strict=True)
                    if snapshot
                ),
                entry.batch,
            )
        )
        return len(places)

    def _flat(
        self,
        entry: Entry,
        batch: Batch,
        rows: "batch_pb2.TradeColumns | batch_pb2.QuoteColumns",
        names: Iterable[str],
    ) -> list[tuple[str, Repeated]]:
        """The columns of a batch, with instruments numbered as in this chunk."""
        places = [
            self.instruments.setdefault(
                ScaledInstrument(
                    entry.key.venue,
                    instrument.symbol,
                    instrument.price_scale,
                    instrument.size_scale,
                ),
                len(self.instruments),
            )
            for instrument in batch.instruments
        ]
        place = _mapped(rows.instrument, places)
        return [("place", place), *((name, getattr(rows, name)) for name in names)]

    def _add_gaps(self, entry: Entry, gaps: Sequence[types_pb2.Gap], now_ns: int) -> None:
        for ordinal, gap in enumerate(gaps):
            gap.detected_time_ns = gap.detected_time_ns or now_ns
            self.gaps.append(FoundGap(entry.key, entry.cursor, ordinal, gap))


def _mapped(rows: Repeated, places: list[int]) -> Repeated:
    try:
        if len(rows) < LARGE_BATCH_ROWS:
            return [places[row] for row in rows[:]]
        mapped: Repeated = np.array(places, dtype=np.int64)[np.asarray(rows)]
    except IndexError:
        raise MalformedBatch("a row refers to no instrument") from None
    return mapped


def _places_in_stream(cursor: Cursor, count: int) -> list[str]:
    """Names for trades to which the venue gives none."""
    return [f"{cursor}:{row}" for row in range(count)]
