"""Row sets to batches: one instrument entry per symbol, all its numbers at one scale.

The scale is that of the batch alone, so that one odd number cannot spoil those that come later.
The columns are written as protobuf's bytes directly: with millions of numbers a second, a message
object in between would cost more than all the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from kit.base.numbers import IntColumn, Places, rescale
from kit.marketdata.book import Changes
from kit.marketdata.codec.protobuf_writer import LevelColumn, ProtobufWriter
from kit.marketdata.model.batches import Batch
from kit.marketdata.model.book_updates import BookUpdates
from kit.marketdata.model.columns import (
    CandleRows,
    MarkRows,
    Numbers,
    QuoteRows,
    Scale,
    Symbols,
    TickerRows,
    TradeRows,
    instrument_entry,
)


@dataclass(frozen=True, slots=True)
class BatchDraft:
    """A batch that has no number yet."""

    instruments: Sequence[batch_pb2.InstrumentEntry] = ()
    event_counts: Sequence[int] = ()
    """Rows of each instrument entry."""
    columns: bytes = b""
    """The rows, as the serialised columns field of the batch."""
    received_time_ns: int = 0
    """Of the last row."""
    gaps: Sequence[types_pb2.Gap] = field(default=())

    @property
    def events(self) -> int:
        """Rows."""
        return sum(self.event_counts)

    def after(self, gaps: Sequence[types_pb2.Gap]) -> "BatchDraft":
        """The same rows, with gaps before them."""
        return replace(self, gaps=gaps) if gaps else self


def trades(rows: TradeRows) -> BatchDraft:
    """Raises NumberError when a number does not fit."""
    scales = _scales(rows.symbols, [rows.price], [rows.size])
    price, size = _per_row(scales, rows.symbols)
    body = _TRADES.write(
        instrument=rows.symbols.row,
        price=rescale(rows.price.unscaled, rows.price.decimals, price),
        size=rescale(rows.size.unscaled, rows.size.decimals, size),
        side=rows.side,
        venue_time_ns=rows.venue_time_ns,
        received_time_ns=rows.received_time_ns,
        trade_id=rows.trade_id,
        **({} if rows.trade_id_text is None else {"trade_id_text": rows.trade_id_text}),
    )
    return _draft(rows.symbols, scales, body, rows.received_time_ns)


def quotes(rows: QuoteRows) -> BatchDraft:
    """Raises NumberError when a number does not fit."""
    prices, sizes = [rows.bid_price, rows.ask_price], [rows.bid_size, rows.ask_size]
    scales = _scales(rows.symbols, prices, sizes)
    price, size = _per_row(scales, rows.symbols)
    body = _QUOTES.write(
        instrument=rows.symbols.row,
        bid_price=rescale(rows.bid_price.unscaled, rows.bid_price.decimals, price),
        bid_size=rescale(rows.bid_size.unscaled, rows.bid_size.decimals, size),
        ask_price=rescale(rows.ask_price.unscaled, rows.ask_price.decimals, price),
        ask_size=rescale(rows.ask_size.unscaled, rows.ask_size.decimals, size),
        venue_time_ns=rows.venue_time_ns,
        received_time_ns=rows.received_time_ns,
        sequence=rows.sequence,
    )
    return _draft(rows.symbols, scales, body, rows.received_time_ns)


def tickers(rows: TickerRows) -> BatchDraft:
    """Raises NumberError when a number does not fit."""
    prices = {
        "last_price": rows.last_price,
        "open_price": rows.open_price,
        "high_price": rows.high_price,
        "low_price": rows.low_price,
    }
    return _scaled_rows(_TICKERS, rows, prices, {"volume": rows.volume}, {}, {})


def marks(rows: MarkRows) -> BatchDraft:
    """Raises NumberError when a number does not fit."""
    prices = {"mark_price": rows.mark_price, "index_price": rows.index_price}
    rates = {"funding_rate": rows.funding_rate}
    plain = {"next_funding_time_ns": rows.next_funding_time_ns}
    return _scaled_rows(_MARKS, rows, prices, {}, rates, plain)


def candles(rows: CandleRows) -> BatchDraft:
    """Raises NumberError when a number does not fit."""
    prices = {"open": rows.open, "high": rows.high, "low": rows.low, "close": rows.close}
    plain = {
        "interval_s": rows.interval_s,
        "open_time_ns": rows.open_time_ns,
        "closed": rows.closed,
    }
    return _scaled_rows(_CANDLES, rows, prices, {"volume": rows.volume}, {}, plain)


def statuses(
    definitions: Sequence[types_pb2.Instrument],
    changes: "Sequence[batch_pb2.StatusChange.ValueType]",
    received_time_ns: int,
) -> BatchDraft:
    """What has changed about instruments; they are few, so this is a plain message."""
    columns = batch_pb2.StatusColumns(
        instrument=range(len(definitions)),
        change=changes,
        definition=definitions,
        received_time_ns=[received_time_ns] * len(definitions),
    )
    entries = [instrument_entry(one.symbol, Scale()) for one in definitions]
    counts = [1] * len(entries)
    return BatchDraft(entries, counts, Batch(status=columns).SerializeToString(), received_time_ns)


def book(bids: Changes, asks: Changes, **columns: IntColumn) -> bytes:
    """The book columns of a batch, by the names of BookColumns' fields; ``bids`` and ``asks`` at
    the scales of the instrument entries."""
    columns["bid_count"], columns["ask_count"] = bids.count, asks.count
    levels = {
        "price": LevelColumn(bids.price, bids.count, asks.price, asks.count),
        "size": LevelColumn(bids.size, bids.count, asks.size, asks.count),
    }
    return _BOOK.write(**columns, **levels)


def book_updates(updates: BookUpdates) -> bytes:
    """The book columns of a batch, from updates at the scales of its instrument entries."""
    return _BOOK_UPDATES.write(**updates.columns())


def _scaled_rows(
    writer: ProtobufWriter,
    rows: TickerRows | MarkRows | CandleRows,
    prices: Mapping[str, Numbers],
    sizes: Mapping[str, Numbers],
    rates: Mapping[str, Numbers],
    plain: Mapping[str, IntColumn],
) -> BatchDraft:
    groups = [list(group.values()) for group in (prices, sizes, rates)]
    scales = list(map(Scale, *[rows.symbols.most(group) for group in groups]))
    per_row = [_spread([scale[place] for scale in scales], rows.symbols) for place in range(3)]
    columns = {
        name: rescale(numbers.unscaled, numbers.decimals, places)
        for group, places in zip((prices, sizes, rates), per_row, strict=True)
        for name, numbers in group.items()
    }
    body = writer.write(
        instrument=rows.symbols.row,
        venue_time_ns=rows.venue_time_ns,
        received_time_ns=rows.received_time_ns,
        **columns,
        **plain,
    )
    return _draft(rows.symbols, scales, body, rows.received_time_ns)


def _draft(
    symbols: Symbols, scales: list[Scale], body: bytes, received_time_ns: IntColumn
) -> BatchDraft:
    entries = list(map(instrument_entry, symbols.names, scales))
    return BatchDraft(entries, symbols.counts(), body, int(received_time_ns[-1]))


def _scales(symbols: Symbols, prices: list[Numbers], sizes: list[Numbers]) -> list[Scale]:
    """The smallest scale of each symbol at which all its numbers are integers."""
    return list(map(Scale, symbols.most(prices), symbols.most(sizes)))


def _per_row(scales: list[Scale], symbols: Symbols) -> tuple[Places, Places]:
    """Price and size scales, one for all rows or one per row."""
    price, size = ([scale[place] for scale in scales] for place in range(2))
    return _spread(price, symbols), _spread(size, symbols)


def _spread(scales: list[int], symbols: Symbols) -> Places:
    """A scale of each symbol, as one for all rows or one per row."""
    if scales.count(scales[0]) == len(scales):
        return scales[0]
    return np.array(scales, dtype=np.int64)[symbols.row]


_TRADES = ProtobufWriter("trades", batch_pb2.TradeColumns)
_QUOTES = ProtobufWriter("quotes", batch_pb2.QuoteColumns)
_BOOK = ProtobufWriter("book", batch_pb2.BookColumns)
_BOOK_UPDATES = ProtobufWriter("book", batch_pb2.BookColumns)
_TICKERS = ProtobufWriter("tickers", batch_pb2.TickerColumns)
_MARKS = ProtobufWriter("marks", batch_pb2.MarkColumns)
_CANDLES = ProtobufWriter("candles", batch_pb2.CandleColumns)
