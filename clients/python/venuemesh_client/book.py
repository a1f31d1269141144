"""A book that a reader keeps: a snapshot and the updates after it (docs/BOOKS.md)."""

import zlib
from collections.abc import Mapping
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2
from venuemesh_client.table import MalformedBatch, exact, text_of

CHECKSUM_LEVELS = 25
EMPTY, PROVEN, IN_DOUBT, UNPROVEN = "empty", "proven", "in_doubt", "unproven"
STATES: Mapping[int, str] = {
    market_data_pb2.BOOK_STATE_PROVEN: PROVEN,
    market_data_pb2.BOOK_STATE_IN_DOUBT: IN_DOUBT,
    market_data_pb2.BOOK_STATE_UNPROVEN: UNPROVEN,
}
Level = tuple[Decimal, Decimal]
"""Price and size."""


class Book:
    """The book of one instrument, levels best first. Waits for a snapshot, unless it begins with an
    answer of GetOrderBook, which the batches after its cursor continue."""

    def __init__(
        self, symbol: str, answer: market_data_pb2.GetOrderBookResponse | None = None
    ) -> None:
        self.symbol = symbol
        self.state = EMPTY
        self.epoch = 0
        self.last_sequence = 0
        self.cursor = types_pb2.Cursor()
        """That of the last batch."""
        self._bids: dict[Decimal, Decimal] = {}
        self._asks: dict[Decimal, Decimal] = {}
        self._whole = PROVEN
        if answer is not None:
            self.begin(answer)

    @property
    def bids(self) -> list[Level]:
        return sorted(self._bids.items(), reverse=True)

    @property
    def asks(self) -> list[Level]:
        return sorted(self._asks.items())

    @property
    def is_whole(self) -> bool:
        """Whether every update since the snapshot is applied."""
        return self.state == self._whole

    def apply(self, batch: batch_pb2.MarketDataBatch) -> None:
        """Take the next batch of the channel BOOK. Raises MalformedBatch; the book is then in
        doubt."""
        if batch.HasField("cursor"):
            self.cursor = batch.cursor
        if any(gap.symbol in ("", self.symbol) for gap in batch.gaps):
            self.doubt()
        try:
            check_book(batch.book, len(batch.instruments))
        except MalformedBatch:
            self.doubt()
            raise
        start = 0
        for row, position in enumerate(batch.book.instrument):
            middle = start + batch.book.bid_count[row]
            end = middle + batch.book.ask_count[row]
            entry = batch.instruments[position]
            if entry.symbol == self.symbol and self._accepts(batch.book, row):
                self.last_sequence = batch.book.last_sequence[row]
                _merge(self._bids, batch.book, entry, range(start, middle))
                _merge(self._asks, batch.book, entry, range(middle, end))
            start = end

    def checksum(self) -> int:
        """What GetOrderBook answers for the same book: GetOrderBookResponse.checksum."""
        parts: list[str] = []
        bids, asks = self.bids, self.asks
        for level in range(CHECKSUM_LEVELS):
            for side in (bids, asks):
                if level < len(side):
                    parts += map(text_of, side[level])
        return zlib.crc32(":".join(parts).encode())

    def begin(self, answer: market_data_pb2.GetOrderBookResponse) -> None:
        """Take the whole book from an answer."""
        self.state = STATES.get(answer.state, EMPTY)
        self._whole = UNPROVEN if self.state == UNPROVEN else PROVEN
        self.epoch, self.last_sequence = answer.book_epoch, answer.last_sequence
        self.cursor = answer.cursor
        self._bids = {Decimal(level.price): Decimal(level.size) for level in answer.bids}
        self._asks = {Decimal(level.price): Decimal(level.size) for level in answer.asks}

    def doubt(self) -> None:
        """An update is missing: nothing is applied until a snapshot."""
        if self.state != EMPTY:
            self.state = IN_DOUBT

    def _accepts(self, updates: batch_pb2.BookColumns, row: int) -> bool:
        """An update of another epoch, or after a gap, belongs to a book that we do not have."""
        if updates.snapshot[row]:
            self.state, self.epoch = self._whole, updates.book_epoch[row]
            self._bids, self._asks = {}, {}
            return True
        return self.is_whole and updates.book_epoch[row] == self.epoch


def check_book(updates: batch_pb2.BookColumns, instruments: int) -> None:
    """Raises MalformedBatch if columns differ in length or an instrument is not there."""
    of_updates = (
        updates.first_sequence,
        updates.last_sequence,
        updates.snapshot,
        updates.book_epoch,
        updates.bid_count,
        updates.ask_count,
    )
    count = len(updates.instrument)
    levels = sum(updates.bid_count) + sum(updates.ask_count)
    if any(len(column) != count for column in of_updates):
        raise MalformedBatch(f"columns of {count} book updates differ in length")
    if not len(updates.price) == len(updates.size) == levels:
        raise MalformedBatch(f"{levels} levels have {len(updates.price)} prices")
    if any(position >= instruments for position in updates.instrument):
        raise MalformedBatch(f"a book update names an instrument above {instruments}")


def _merge(
    levels: dict[Decimal, Decimal],
    updates: batch_pb2.BookColumns,
    entry: batch_pb2.InstrumentEntry,
    changes: range,
) -> None:
    for change in changes:
        price = exact(updates.price[change], entry.price_scale)
        levels.pop(price, None)
        if updates.size[change]:
            levels[price] = exact(updates.size[change], entry.size_scale)
