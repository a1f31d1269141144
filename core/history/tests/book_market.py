"""A recorded BOOK channel, and the books that a plain follower of it has at each moment."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2
from venuemesh.marketdata.v1 import batch_pb2

from core.history.historical_book import StoredBookBatch
from core.history.tests.recorded import START_NS, VENUE, instrument_id
from kit.base.cursor import Cursor
from kit.base.database import Database
from kit.base.numbers import to_decimal
from kit.marketdata.model.batches import Batch
from kit.marketdata.model.book_updates import BookUpdates
from kit.storage.archive import codec

EPOCH = 7
Levels = Sequence[tuple[int, int]]


class Update(NamedTuple):
    """One row, in scaled numbers."""

    symbol: str
    bids: Levels
    asks: Levels
    time_ns: int
    snapshot: bool = False
    book_epoch: int = 1
    price_scale: int = 2
    size_scale: int = 3


@dataclass
class Plain:
    """A book by definition: prices to sizes."""

    bids: dict[Decimal, Decimal] = field(default_factory=dict)
    asks: dict[Decimal, Decimal] = field(default_factory=dict)
    doubt: int | None = None
    """The sequence of the gap that no snapshot has ended."""
    known: bool = False

    def apply(self, update: Update) -> None:
        if update.snapshot:
            self.bids, self.asks, self.doubt, self.known = {}, {}, None, True
        if self.doubt is not None:
            return
        for side, levels in ((self.bids, update.bids), (self.asks, update.asks)):
            for price, size in levels:
                side[to_decimal(price, update.price_scale)] = to_decimal(size, update.size_scale)

    def seen(self):
        """Whether it is known, its doubt, and its levels, best first."""
        bids = sorted(((p, s) for p, s in self.bids.items() if s), reverse=True)
        return self.known, self.doubt, bids, sorted((p, s) for p, s in self.asks.items() if s)


def stored(sequence: int, updates: Sequence[Update]) -> StoredBookBatch:
    """These rows as one row of book_batch_rows."""
    head = Batch(venue=VENUE, channel=types_pb2.CHANNEL_BOOK)
    head.cursor.epoch, head.cursor.sequence = EPOCH, sequence
    kinds = {(row.symbol, row.price_scale, row.size_scale): None for row in updates}
    places = {kind: place for place, kind in enumerate(kinds)}
    for symbol, price_scale, size_scale in kinds:
        head.instruments.add(symbol=symbol, price_scale=price_scale, size_scale=size_scale)
    levels = [level for row in updates for level in (*row.bids, *row.asks)]
    columns = batch_pb2.BookColumns(
        instrument=[places[row.symbol, row.price_scale, row.size_scale] for row in updates],
        first_sequence=range(1, len(updates) + 1),
        last_sequence=range(1, len(updates) + 1),
        snapshot=[row.snapshot for row in updates],
        book_epoch=[row.book_epoch for row in updates],
        venue_time_ns=[row.time_ns - 1 for row in updates],
        received_time_ns=[row.time_ns for row in updates],
        bid_count=[len(row.bids) for row in updates],
        ask_count=[len(row.asks) for row in updates],
        price=[price for price, _ in levels],
        size=[size for _, size in levels],
    )
    number, data = codec.pack_book(head, BookUpdates.of(columns))
    return StoredBookBatch(Cursor(EPOCH, sequence), int(number), data)


def recorded_gap(symbol: str, sequence: int, time_ns: int) -> history_pb2.RecordedGap:
    """A gap of the channel."""
    reason = types_pb2.GAP_REASON_SEQUENCE
    return history_pb2.RecordedGap(
        channel=types_pb2.CHANNEL_BOOK,
        cursor=types_pb2.Cursor(epoch=EPOCH, sequence=sequence),
        gap=types_pb2.Gap(symbol=symbol, reason=reason, detected_time_ns=time_ns),
    )


class Tape:
    """Batches in the order in which they are published, one row or gap each."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self.gaps: list[history_pb2.RecordedGap] = []
        self.blocks: list[tuple[int, list[Update]]] = []
        self.moments: list[tuple[int, dict[str, tuple]]] = []
        """After each step the time, and of each symbol what a follower sees."""
        self._plain = {symbol: Plain() for symbol in symbols}
        self._epochs = dict.fromkeys(symbols, 0)
        self._needs_snapshot = set(symbols)
        self._sequence = 0
        self._time_ns = START_NS

    def row(self, update: Update, *, after_gap: bool = False, new_block: bool = False) -> None:
        """A batch with one row. After a gap without a snapshot the row cannot be used."""
        self._sequence += 1
        self._time_ns += 10
        if after_gap and update.symbol not in self._needs_snapshot:
            self._tell_gap(update.symbol)
            update = update._replace(snapshot=False)
        elif update.symbol in self._needs_snapshot:
            update = update._replace(snapshot=True)
        self._epochs[update.symbol] += update.snapshot
        self._needs_snapshot.discard(update.symbol)
        update = update._replace(time_ns=self._time_ns, book_epoch=self._epochs[update.symbol])
        if new_block or after_gap or not self.blocks:
            self.blocks.append((self._sequence, []))
        self.blocks[-1][1].append(update)
        self._plain[update.symbol].apply(update)
        self._note()

    def gap(self, symbol: str) -> None:
        """A batch with nothing but a gap; a snapshot follows. Without a symbol: of all."""
        self._sequence += 1
        self._time_ns += 10
        self._tell_gap(symbol)
        self._needs_snapshot |= {symbol} if symbol else set(self._plain)
        self._note()

    def stored(self) -> list[StoredBookBatch]:
        """As the recorder keeps it."""
        return [stored(sequence, rows) for sequence, rows in self.blocks]

    def _tell_gap(self, symbol: str) -> None:
        self.gaps.append(recorded_gap(symbol, self._sequence, self._time_ns - 5))
        for name, plain in self._plain.items():
            if symbol in ("", name):
                plain.doubt = self._sequence

    def _note(self) -> None:
        seen = {symbol: plain.seen() for symbol, plain in self._plain.items()}
        self.moments.append((self._time_ns, seen))


async def record_book(database: Database, rows: Sequence[tuple[int, Sequence[Update]]]) -> None:
    """Rows of book_batch_rows by sequence."""
    async with database.transaction() as connection:
        for sequence, updates in rows:
            ids = {row.symbol: await instrument_id(connection, row.symbol) for row in updates}
            batch = stored(sequence, updates)
            times = [row.time_ns for row in updates]
            await connection.execute(
                "INSERT INTO book_batch_rows (venue, epoch, sequence, first_received_time_ns,"
                " last_received_time_ns, update_count, instrument_ids, snapshot_instrument_ids,"
                " codec, batch) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    *(VENUE, EPOCH, sequence, min(times), max(times), len(updates)),
                    sorted(set(ids.values())),
                    sorted({ids[row.symbol] for row in updates if row.snapshot}),
                    *(batch.codec, batch.data),
                ],
            )
