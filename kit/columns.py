"""Rows as columns: what parsers make, and how they become batches; and reading batches.

A parser turns frames into one of three row sets, each a struct of equally long columns; kit.encode
makes batches of them.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from kit.numbers import IntColumn, Places, most, parse_column

Batch = batch_pb2.MarketDataBatch
SIDE_BUY = int(types_pb2.SIDE_BUY)
SIDE_SELL = int(types_pb2.SIDE_SELL)


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of exact numbers: value = unscaled / 10^decimals."""

    unscaled: IntColumn
    decimals: Places
    """One number for all rows, or one per row."""

    @classmethod
    def parse(cls, texts: Sequence[str]) -> "Numbers":
        """From decimal texts. Raises NumberError."""
        return cls(*parse_column(texts))

    @classmethod
    def compact(cls, unscaled: IntColumn, decimals: IntColumn) -> "Numbers":
        """With one number of places when all rows have the same."""
        if len(decimals) == 0:
            return cls(unscaled, 0)
        first = int(decimals[0])
        return cls(unscaled, first if (decimals == first).all() else decimals)

    def take(self, rows: IntColumn) -> "Numbers":
        """Only these rows."""
        decimals = self.decimals if isinstance(self.decimals, int) else self.decimals[rows]
        return Numbers(self.unscaled[rows], decimals)

    def every_second(self, first: int) -> "Numbers":
        """Rows first, first + 2, …: one half of a column of pairs."""
        decimals = self.decimals if isinstance(self.decimals, int) else self.decimals[first::2]
        return Numbers(self.unscaled[first::2], decimals)

    def __len__(self) -> int:
        return len(self.unscaled)


@dataclass(frozen=True, slots=True)
class Symbols:
    """The distinct symbols of a row set, and each row's position among them."""

    names: list[str]
    row: IntColumn

    @classmethod
    def of(cls, symbols: Sequence[str]) -> "Symbols":
        """In the order of first appearance."""
        names = list(dict.fromkeys(symbols))
        if len(names) == 1:
            return cls(names, np.zeros(len(symbols), dtype=np.int64))
        position = {name: index for index, name in enumerate(names)}
        return cls(names, np.fromiter(map(position.__getitem__, symbols), np.int64, len(symbols)))

    def take(self, rows: IntColumn) -> "Symbols":
        """Of these rows only; names that none of them has are left out."""
        used, row = np.unique(self.row[rows], return_inverse=True)
        return Symbols([self.names[number] for number in used.tolist()], row)

    def counts(self) -> list[int]:
        """Rows of each symbol."""
        counts: list[int] = np.bincount(self.row, minlength=len(self.names)).tolist()
        return counts

    def rows_of(self) -> "Iterator[tuple[str, slice | IntColumn]]":
        """Each symbol with its rows, in order."""
        if len(self.names) == 1:
            yield self.names[0], slice(None)
            return
        order = np.argsort(self.row, kind="stable")
        bounds = np.searchsorted(self.row[order], np.arange(1, len(self.names)))
        yield from zip(self.names, np.split(order, bounds), strict=True)

    def per_row(self) -> list[str]:
        """The symbol of each row."""
        return [self.names[number] for number in self.row.tolist()]

    def most(self, columns: Sequence[Numbers]) -> list[int]:
        """The most decimal places that each symbol has in these columns."""
        if len(self.names) == 1 or all(isinstance(column.decimals, int) for column in columns):
            return [max(most(column.decimals) for column in columns)] * len(self.names)
        result = np.zeros(len(self.names), dtype=np.int64)
        for column in columns:
            np.maximum.at(result, self.row, column.decimals)
        return result.tolist()


@dataclass(frozen=True, slots=True)
class TradeRows:
    """Public trades, in the order in which they came. Times in ns since the Unix epoch."""

    symbols: Symbols
    price: Numbers
    size: Numbers
    side: IntColumn
    venue_time_ns: IntColumn
    received_time_ns: IntColumn
    trade_id: IntColumn

    def __len__(self) -> int:
        return len(self.symbols.row)

    def take(self, rows: IntColumn) -> "TradeRows":
        """Only these rows."""
        return TradeRows(
            self.symbols.take(rows),
            self.price.take(rows),
            self.size.take(rows),
            self.side[rows],
            self.venue_time_ns[rows],
            self.received_time_ns[rows],
            self.trade_id[rows],
        )


@dataclass(frozen=True, slots=True)
class QuoteRows:
    """Best bids and asks, in the order in which they came."""

    symbols: Symbols
    bid_price: Numbers
    bid_size: Numbers
    ask_price: Numbers
    ask_size: Numbers
    venue_time_ns: IntColumn
    received_time_ns: IntColumn
    sequence: IntColumn

    def __len__(self) -> int:
        return len(self.symbols.row)

    def take(self, rows: IntColumn) -> "QuoteRows":
        """Only these rows."""
        return QuoteRows(
            self.symbols.take(rows),
            self.bid_price.take(rows),
            self.bid_size.take(rows),
            self.ask_price.take(rows),
            self.ask_size.take(rows),
            self.venue_time_ns[rows],
            self.received_time_ns[rows],
            self.sequence[rows],
        )


@dataclass(frozen=True, slots=True)
class BookRows:
    """Changes of books. The level columns hold all updates one after another, bids before asks."""

    symbols: Symbols
    first_sequence: IntColumn
    last_sequence: IntColumn
    previous_sequence: IntColumn
    """The last_sequence that must have come before, on venues that say so; otherwise 0."""
    venue_time_ns: IntColumn
    received_time_ns: IntColumn
    bid_count: IntColumn
    ask_count: IntColumn
    price: Numbers
    size: Numbers

    def __len__(self) -> int:
        return len(self.symbols.row)

    def level_counts(self) -> IntColumn:
        """Levels of each update, both sides together."""
        return self.bid_count + self.ask_count

    def take(self, rows: IntColumn) -> "BookRows":
        """Only these rows, with their levels."""
        kept = np.zeros(len(self), dtype=bool)
        kept[rows] = True
        levels = np.flatnonzero(np.repeat(kept, self.level_counts()))
        return BookRows(
            self.symbols.take(rows),
            self.first_sequence[rows],
            self.last_sequence[rows],
            self.previous_sequence[rows],
            self.venue_time_ns[rows],
            self.received_time_ns[rows],
            self.bid_count[rows],
            self.ask_count[rows],
            self.price.take(levels),
            self.size.take(levels),
        )


AnyRows = TypeVar("AnyRows", TradeRows, QuoteRows, BookRows)


@dataclass(frozen=True, slots=True)
class Scale:
    """Decimal places of an instrument's numbers."""

    price: int = 0
    size: int = 0


def instrument_entry(symbol: str, scale: Scale) -> batch_pb2.InstrumentEntry:
    """The dictionary entry of a batch."""
    return batch_pb2.InstrumentEntry(symbol=symbol, price_scale=scale.price, size_scale=scale.size)


def row_count(batch: Batch) -> int:
    """Events in a batch; a book update is one event."""
    match batch.WhichOneof("columns"):
        case "trades":
            return len(batch.trades.instrument)
        case "quotes":
            return len(batch.quotes.instrument)
        case "book":
            return len(batch.book.instrument)
    return 0


def newest_received_ns(batch: Batch) -> int:
    """Receive time of the last row; 0 without rows."""
    match batch.WhichOneof("columns"):
        case "trades":
            return batch.trades.received_time_ns[-1] if batch.trades.received_time_ns else 0
        case "quotes":
            return batch.quotes.received_time_ns[-1] if batch.quotes.received_time_ns else 0
        case "book":
            return batch.book.received_time_ns[-1] if batch.book.received_time_ns else 0
    return 0


def select(batch: Batch, symbols: Collection[str]) -> Batch | None:
    """The part of a batch that concerns these symbols, or None when nothing does.

    Gaps that concern the whole channel are kept. The instrument entries keep their positions.
    """
    wanted = {index for index, entry in enumerate(batch.instruments) if entry.symbol in symbols}
    gaps = [gap for gap in batch.gaps if not gap.symbol or gap.symbol in symbols]
    if len(wanted) == len(batch.instruments) and len(gaps) == len(batch.gaps):
        return batch
    if not wanted and not gaps:
        return None
    result = Batch(
        venue=batch.venue,
        channel=batch.channel,
        cursor=batch.cursor,
        instruments=batch.instruments,
        gaps=gaps,
        published_time_ns=batch.published_time_ns,
    )
    kind = batch.WhichOneof("columns")
    if kind == "book":
        result.book.CopyFrom(_select_book(batch.book, wanted))
    elif kind is not None:
        _select_flat(getattr(batch, kind), getattr(result, kind), wanted)
    return result


def _select_flat(
    source: "batch_pb2.TradeColumns | batch_pb2.QuoteColumns",
    target: "batch_pb2.TradeColumns | batch_pb2.QuoteColumns",
    wanted: set[int],
) -> None:
    keep = [row for row, index in enumerate(source.instrument) if index in wanted]
    for field, column in source.ListFields():
        getattr(target, field.name).extend([column[row] for row in keep])


def _select_book(source: batch_pb2.BookColumns, wanted: set[int]) -> batch_pb2.BookColumns:
    target = batch_pb2.BookColumns()
    level_columns = ("price", "size")
    start = 0
    keep = []
    for row, index in enumerate(source.instrument):
        stop = start + source.bid_count[row] + source.ask_count[row]
        if index in wanted:
            keep.append(row)
            target.price.extend(source.price[start:stop])
            target.size.extend(source.size[start:stop])
        start = stop
    for field, column in source.ListFields():
        if field.name not in level_columns:
            getattr(target, field.name).extend([column[row] for row in keep])
    return target
