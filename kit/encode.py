"""Row sets to batches: one instrument entry per symbol, all its numbers at one scale.

The scale is that of the batch alone, so that one odd number cannot spoil those that come later.
The columns are written as protobuf's bytes directly: with millions of numbers a second, a message
object in between would cost more than all the rest.
"""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from kit import native
from kit.columns import Batch, Numbers, QuoteRows, Scale, Symbols, TradeRows, instrument_entry
from kit.numbers import IntColumn, Places, rescale

LENGTH_DELIMITED = 2
VARINT_BYTES_MAX = 10

_room = [ctypes.create_string_buffer(64 * 1024)]


@dataclass(frozen=True, slots=True)
class Draft:
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

    def after(self, gaps: Sequence[types_pb2.Gap]) -> "Draft":
        """The same rows, with gaps before them."""
        return replace(self, gaps=gaps) if gaps else self


def trades(rows: TradeRows) -> Draft:
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
    )
    return _draft(rows.symbols, scales, body, rows.received_time_ns)


def quotes(rows: QuoteRows) -> Draft:
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


def book_columns(**columns: IntColumn) -> bytes:
    """The book columns of a batch, by the names of BookColumns' fields."""
    return _BOOK.write(**columns)


class _Writer:
    """Writes one columns message, as the field of a batch that holds it."""

    def __init__(self, name: str, message: type[Message]) -> None:
        self._message = message
        self._tag = _tag(Batch.DESCRIPTOR.fields_by_name[name])
        by_number: dict[int, Any] = {**message.DESCRIPTOR.fields_by_number}
        columns = [by_number[number] for number in sorted(by_number)]
        self._fields = [(column.name, _tag(column), _packer(column)) for column in columns]

    def write(self, **columns: IntColumn) -> bytes:
        """Serialised; a field without a column is left out."""
        if native.library is None:
            plain = {name: column.tolist() for name, column in columns.items()}
            body = self._message(**plain).SerializeToString()
        else:
            parts: list[bytes] = []
            for name, tag, pack in self._fields:
                if name in columns:
                    packed = pack(columns[name])
                    parts += (tag, _varint(len(packed)), packed)
            body = b"".join(parts)
        return b"".join((self._tag, _varint(len(body)), body))


def _packer(column: FieldDescriptor) -> Callable[[IntColumn], bytes]:
    if column.type == FieldDescriptor.TYPE_SFIXED64:
        return _pack_fixed
    if column.type == FieldDescriptor.TYPE_SINT64:
        return lambda values: _pack_varints(values, zigzag=1)
    return lambda values: _pack_varints(values, zigzag=0)


def _pack_fixed(values: IntColumn) -> bytes:
    return values.astype("<i8", copy=False).tobytes()


def _pack_varints(values: IntColumn, zigzag: int) -> bytes:
    assert native.library is not None
    values = values.astype(np.int64, copy=False)
    scratch = _scratch(len(values) * VARINT_BYTES_MAX)
    size = native.library.venuemesh_pack(values.tobytes(), len(values), zigzag, scratch)
    return ctypes.string_at(scratch, size)


def _scratch(size: int) -> ctypes.Array[ctypes.c_char]:
    """Room for one column, kept for the next."""
    if len(_room[0]) < size:
        _room[0] = ctypes.create_string_buffer(2 * size)
    return _room[0]


def _tag(column: FieldDescriptor) -> bytes:
    return _varint(column.number << 3 | LENGTH_DELIMITED)


@lru_cache(maxsize=4096)
def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _draft(
    symbols: Symbols, scales: list[Scale], body: bytes, received_time_ns: IntColumn
) -> Draft:
    entries = list(map(instrument_entry, symbols.names, scales))
    return Draft(entries, symbols.counts(), body, int(received_time_ns[-1]))


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


_TRADES = _Writer("trades", batch_pb2.TradeColumns)
_QUOTES = _Writer("quotes", batch_pb2.QuoteColumns)
_BOOK = _Writer("book", batch_pb2.BookColumns)
