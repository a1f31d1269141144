"""Rows as columns: what parsers make, and how they become batches; and reading batches.

A parser turns frames into one of three row sets, each a struct of equally long columns. ``encode``
makes a MarketDataBatch of a row set: one instrument entry per symbol, all its numbers at one scale.
The scale is that of the batch alone, so that one odd number cannot spoil those that come later.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

import numpy as np
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from kit.numbers import IntColumn, Places, most, parse_column, rescale

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
    def parse_all(cls, *columns: Sequence[str]) -> list["Numbers"]:
        """Equally long columns at once, which costs less than one by one. Raises NumberError."""
        unscaled, decimals = parse_column(list(chain.from_iterable(columns)))
        count = len(columns[0])
        return [
            cls(
                unscaled[start : start + count],
                decimals if isinstance(decimals, int) else decimals[start : start + count],
            )
            for start in range(0, count * len(columns), count)
        ]

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
class TradeRows:
    """Public trades, in the order in which they came. Times in ns since the Unix epoch."""

    symbol: Sequence[str]
    price: Numbers
    size: Numbers
    side: IntColumn
    venue_time_ns: IntColumn
    received_time_ns: IntColumn
    trade_id: IntColumn

    def __len__(self) -> int:
        return len(self.symbol)

    def take(self, rows: IntColumn) -> "TradeRows":
        """Only these rows."""
        return TradeRows(
            [self.symbol[row] for row in rows.tolist()],
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

    symbol: Sequence[str]
    bid_price: Numbers
    bid_size: Numbers
    ask_price: Numbers
    ask_size: Numbers
    venue_time_ns: IntColumn
    received_time_ns: IntColumn
    sequence: IntColumn

    def __len__(self) -> int:
        return len(self.symbol)

    def take(self, rows: IntColumn) -> "QuoteRows":
        """Only these rows."""
        return QuoteRows(
            [self.symbol[row] for row in rows.tolist()],
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

    symbol: Sequence[str]
    first_sequence: Sequence[int]
    last_sequence: Sequence[int]
    previous_sequence: Sequence[int]
    """The last_sequence that must have come before, on venues that say so; otherwise 0."""
    venue_time_ns: Sequence[int]
    received_time_ns: Sequence[int]
    bid_count: Sequence[int]
    ask_count: Sequence[int]
    price: Numbers
    size: Numbers

    def __len__(self) -> int:
        return len(self.symbol)

    def level_counts(self) -> list[int]:
        """Levels of each update, both sides together."""
        return [bids + asks for bids, asks in zip(self.bid_count, self.ask_count, strict=True)]

    def take(self, rows: IntColumn) -> "BookRows":
        """Only these rows, with their levels."""
        keep = rows.tolist()
        kept = np.zeros(len(self), dtype=bool)
        kept[rows] = True
        levels = np.flatnonzero(np.repeat(kept, self.level_counts()))
        return BookRows(
            [self.symbol[row] for row in keep],
            [self.first_sequence[row] for row in keep],
            [self.last_sequence[row] for row in keep],
            [self.previous_sequence[row] for row in keep],
            [self.venue_time_ns[row] for row in keep],
            [self.received_time_ns[row] for row in keep],
            [self.bid_count[row] for row in keep],
            [self.ask_count[row] for row in keep],
            self.price.take(levels),
            self.size.take(levels),
        )


AnyRows = TypeVar("AnyRows", TradeRows, QuoteRows, BookRows)


@dataclass(frozen=True, slots=True)
class Scale:
    """Decimal places of an instrument's numbers."""

    price: int = 0
    size: int = 0


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

    def most(self, columns: Sequence[Numbers]) -> list[int]:
        """The most decimal places that each symbol has in these columns."""
        if len(self.names) == 1 or all(isinstance(column.decimals, int) for column in columns):
            return [max(most(column.decimals) for column in columns)] * len(self.names)
        result = np.zeros(len(self.names), dtype=np.int64)
        for column in columns:
            np.maximum.at(result, self.row, column.decimals)
        return result.tolist()


def encode_trades(rows: TradeRows) -> Batch:
    """A batch without venue, channel and cursor. Raises NumberError when a number does not fit."""
    symbols = Symbols.of(rows.symbol)
    scales = _scales(symbols, [rows.price], [rows.size])
    price_scale, size_scale = _per_row(scales, symbols)
    return Batch(
        instruments=map(instrument_entry, symbols.names, scales),
        trades=batch_pb2.TradeColumns(
            instrument=symbols.row.tolist(),
            price=_scaled(rows.price, price_scale),
            size=_scaled(rows.size, size_scale),
            side=rows.side.tolist(),
            venue_time_ns=rows.venue_time_ns.tolist(),
            received_time_ns=rows.received_time_ns.tolist(),
            trade_id=rows.trade_id.tolist(),
        ),
    )


def encode_quotes(rows: QuoteRows) -> Batch:
    """A batch without venue, channel and cursor. Raises NumberError when a number does not fit."""
    symbols = Symbols.of(rows.symbol)
    scales = _scales(symbols, [rows.bid_price, rows.ask_price], [rows.bid_size, rows.ask_size])
    price_scale, size_scale = _per_row(scales, symbols)
    return Batch(
        instruments=map(instrument_entry, symbols.names, scales),
        quotes=batch_pb2.QuoteColumns(
            instrument=symbols.row.tolist(),
            bid_price=_scaled(rows.bid_price, price_scale),
            bid_size=_scaled(rows.bid_size, size_scale),
            ask_price=_scaled(rows.ask_price, price_scale),
            ask_size=_scaled(rows.ask_size, size_scale),
            venue_time_ns=rows.venue_time_ns.tolist(),
            received_time_ns=rows.received_time_ns.tolist(),
            sequence=rows.sequence.tolist(),
        ),
    )


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


def _scales(symbols: Symbols, prices: list[Numbers], sizes: list[Numbers]) -> list[Scale]:
    """The smallest scale of each symbol at which all its numbers are integers."""
    return list(map(Scale, symbols.most(prices), symbols.most(sizes)))


def _per_row(scales: list[Scale], symbols: Symbols) -> tuple[Places, Places]:
    """Price and size scales, one for all rows or one per row."""
    if len(set(scales)) == 1:
        return scales[0].price, scales[0].size
    price = np.array([scale.price for scale in scales], dtype=np.int64)
    size = np.array([scale.size for scale in scales], dtype=np.int64)
    return price[symbols.row], size[symbols.row]


def _scaled(column: Numbers, scale: Places) -> list[int]:
    scaled: list[int] = rescale(column.unscaled, column.decimals, scale).tolist()
    return scaled
