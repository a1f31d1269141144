"""Columns as Arrow tables: decimal128 for prices and sizes, timestamp[ns, UTC] for times.

A column ``venue_time_ns`` becomes ``venue_time``, null where the venue does not say. Symbols and
sides are dictionaries. All tables of a channel have one schema, so that one file can hold them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kit.base.number_columns import IntColumn
from kit.marketdata.model.channels import COLUMNS
from kit.marketdata.model.columns import ColumnKind

PRECISION = 38
PLACES, VALUE_PLACES = 18, 24
"""Decimal places in a table: of prices, sizes and rates, and of values. A number with more is an
error."""
TIME = pa.timestamp("ns", tz="UTC")
BOOK_SIDES = (None, "bid", "ask")
TRADE_SIDES = (None, "buy", "sell")


def table(
    channel: str,
    symbols: Sequence[str],
    columns: Mapping[str, NDArray[Any]],
    scales: Mapping[str, int],
) -> pa.Table:
    """The parts of ``Columns`` as an Arrow table.

    Raises pyarrow.ArrowInvalid when a number has too many decimal places.
    """
    return pa.table(dict(_arrays(channel, symbols, columns, scales)))


def _arrays(
    channel: str,
    symbols: Sequence[str],
    columns: Mapping[str, NDArray[Any]],
    scales: Mapping[str, int],
) -> Iterator[tuple[str, pa.Array]]:
    yield "symbol", _named(columns["symbol"], tuple(symbols))
    for name, values in columns.items():
        if name == "symbol":
            continue
        if (channel, name) == ("book", "side"):
            yield name, _named(values, BOOK_SIDES)
            continue
        match COLUMNS[channel][name].kind:
            case ColumnKind.TEXT:
                yield name, pa.array(values, type=pa.string(), mask=values == "")
            case ColumnKind.SIDE:
                yield name, _named(values, TRADE_SIDES)
            case ColumnKind.TIME:
                yield name.removesuffix("_ns"), times(values)
            case ColumnKind.FLAG:
                yield name, pa.array(values != 0)
            case ColumnKind.INTEGER:
                yield name, pa.array(values)
            case kind:
                places = VALUE_PLACES if kind is ColumnKind.VALUE else PLACES
                exact = pa.decimal128(PRECISION, places)
                yield name, decimals(values, scales[name]).cast(exact)


def decimals(values: IntColumn, scale: int) -> pa.Array:
    """Exact decimals: number / 10^scale."""
    # A decimal128 is a 128-bit integer: the number, and its sign in all bits above.
    wide = np.stack((values, values >> 63), axis=1)
    kind = pa.decimal128(PRECISION, scale)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(wide)])


def times(values: IntColumn) -> pa.Array:
    """Times in UTC; null for 0."""
    return pa.array(values, mask=values == 0).cast(TIME)


def _named(places: IntColumn, names: tuple[str | None, ...]) -> pa.Array:
    absent = [name is None for name in names]
    mask = np.array(absent, dtype=bool)[places] if any(absent) else None
    indices = pa.array(places.astype(np.int32), mask=mask)
    return pa.DictionaryArray.from_arrays(indices, pa.array([name or "" for name in names]))
