"""Batches of market data as rows for clients."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from google.protobuf.json_format import MessageToDict
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from gateway.push.updates import Row, Update
from kit.base.cursor import Cursor
from kit.base.numbers import format_scaled

PRICE, SIZE, RATE = "price_scale", "size_scale", "rate_scale"
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "trades": {"price": PRICE, "size": SIZE},
    "quotes": {"bid_price": PRICE, "bid_size": SIZE, "ask_price": PRICE, "ask_size": SIZE},
    "tickers": {
        "last_price": PRICE,
        "open_price": PRICE,
        "high_price": PRICE,
        "low_price": PRICE,
        "volume": SIZE,
    },
    "marks": {"mark_price": PRICE, "index_price": PRICE, "funding_rate": RATE},
}
"""The columns of a batch that are scaled, and by what."""
TEXTS: Mapping[str, Sequence[str]] = {
    "trades": ("venue_time_ns", "received_time_ns"),
    "quotes": ("venue_time_ns", "received_time_ns", "sequence"),
    "tickers": ("venue_time_ns", "received_time_ns"),
    "marks": ("next_funding_time_ns", "venue_time_ns", "received_time_ns"),
}
"""The 64-bit columns, which are text as in REST."""

Batch = batch_pb2.MarketDataBatch


def updates_of(batch: Batch, *, whole: bool) -> Iterator[Update]:
    """The updates of a batch: one if it is to stay ``whole``, otherwise one for each symbol."""
    rows = list(rows_of(batch))
    gaps = [message_row(gap) for gap in batch.gaps]
    if whole:
        yield Update(rows, "", tuple(Cursor.of(batch.cursor)), gaps)
        return
    by_symbol = sorted(rows, key=_symbol)
    parts = {symbol: list(found) for symbol, found in groupby(by_symbol, key=_symbol)}
    for symbol in dict.fromkeys([*(gap["symbol"] for gap in gaps), *parts]):
        own = [gap for gap in gaps if gap["symbol"] == symbol]
        yield Update(parts.get(symbol, ()), symbol, None, own)


def rows_of(batch: Batch) -> Iterator[Row]:
    """The events of a batch, in order."""
    kind = batch.WhichOneof("columns")
    if kind == "book":
        yield from _book_rows(batch)
    elif kind is not None and kind in COLUMNS:
        yield from _table_rows(batch, getattr(batch, kind), kind)


def message_row(message: Any) -> Row:
    """A message as in REST: every field, under its name in the contract."""
    row: Row = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return row


def _symbol(row: Row) -> str:
    symbol: str = row["symbol"]
    return symbol


def _table_rows(batch: Batch, columns: Any, kind: str) -> Iterator[Row]:
    entries, places = batch.instruments, columns.instrument
    named: dict[str, list[str]] = {"symbol": [entries[place].symbol for place in places]}
    for name, scale in COLUMNS[kind].items():
        scales = [getattr(entry, scale) for entry in entries]
        values = zip(getattr(columns, name), places, strict=True)
        named[name] = [format_scaled(value, scales[place]) for value, place in values]
    if kind == "trades":
        named["side"] = [types_pb2.Side.Name(side) for side in columns.side]
        named["trade_id"] = list(columns.trade_id_text or map(str, columns.trade_id))
    for name in TEXTS[kind]:
        named[name] = list(map(str, getattr(columns, name)))
    for row in zip(*named.values(), strict=True):
        yield dict(zip(named, row, strict=True))


def _book_rows(batch: Batch) -> Iterator[Row]:
    book, begin = batch.book, 0
    for number, place in enumerate(book.instrument):
        entry = batch.instruments[place]
        middle = begin + book.bid_count[number]
        end = middle + book.ask_count[number]
        yield {
            "symbol": entry.symbol,
            "snapshot": book.snapshot[number],
            "book_epoch": book.book_epoch[number],
            "first_sequence": str(book.first_sequence[number]),
            "last_sequence": str(book.last_sequence[number]),
            "venue_time_ns": str(book.venue_time_ns[number]),
            "received_time_ns": str(book.received_time_ns[number]),
            "bids": _levels(book, entry, begin, middle),
            "asks": _levels(book, entry, middle, end),
        }
        begin = end


def _levels(
    book: batch_pb2.BookColumns, entry: batch_pb2.InstrumentEntry, begin: int, end: int
) -> list[tuple[str, str]]:
    pairs = zip(book.price[begin:end], book.size[begin:end], strict=True)
    return [
        (format_scaled(price, entry.price_scale), format_scaled(size, entry.size_scale))
        for price, size in pairs
    ]
