"""Columns as Arrow tables: decimal128 for prices and sizes, timestamp[ns, UTC] for times.

A column ``venue_time_ns`` becomes ``venue_time``; where the venue does not say a time, it is null.
Symbols and sides are dictionaries. All tables of a channel have one schema, so that they can stand
in one file.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kit.base.numbers import IntColumn
from kit.storage.reader.column_names import SCALES, SYMBOL, TEXT_ID, VALUE

PRECISION = 38
PLACES, VALUE_PLACES = 18, 24
"""Decimal places in a table: of all numbers, and of products of price and size. Where a number has
more, the table cannot be made."""
TIME = pa.timestamp("ns", tz="UTC")
SIDES = {"book": (None, "bid", "ask")}
TRADE_SIDES = (None, "buy", "sell")
FLAGS = ("snapshot", "closed", "final")


def table(
    channel: str,
    symbols: Sequence[str],
    columns: Mapping[str, NDArray[Any]],
    scales: Mapping[str, int],
) -> pa.Table:
    """The parts of ``Columns`` as one table.

    Raises pyarrow.ArrowInvalid when a number has too many decimal places.
    """
    return pa.table(dict(_arrays(channel, symbols, columns, scales)))


def _arrays(
    channel: str,
    symbols: Sequence[str],
    columns: Mapping[str, NDArray[Any]],
    scales: Mapping[str, int],
) -> Iterator[tuple[str, pa.Array]]:
    yield SYMBOL, _named(columns[SYMBOL], tuple(symbols))
    for name, values in columns.items():
        if name == SYMBOL:
            continue
        if name in scales:
            places = VALUE_PLACES if SCALES[name] == VALUE else PLACES
            yield (
                name,
                decimals(values, scales[name]).cast(pa.decimal128(PRECISION, places)),
            )
        elif name == TEXT_ID:
            yield name, pa.array(values, type=pa.string(), mask=values == "")
        elif name == "side":
            yield name, _named(values, SIDES.get(channel, TRADE_SIDES))
        elif name.endswith("_time_ns"):
            yield name.removesuffix("_ns"), times(values)
        elif name in FLAGS:
            yield name, pa.array(values != 0)
        else:
            yield name, pa.array(values)


def decimals(values: IntColumn, scale: int) -> pa.Array:
    """number / 10^scale, exact."""
    # A decimal128 is a 128-bit integer: the number, and its sign in all bits above.
    wide = np.stack((values, values >> 63), axis=1)
    kind = pa.decimal128(PRECISION, scale)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(wide)])


def times(values: IntColumn) -> pa.Array:
    """Times; 0 is not known."""
    return pa.array(values, mask=values == 0).cast(TIME)


def _named(places: IntColumn, names: tuple[str | None, ...]) -> pa.Array:
    absent = [name is None for name in names]
    mask = np.array(absent, dtype=bool)[places] if any(absent) else None
    indices = pa.array(places.astype(np.int32), mask=mask)
    return pa.DictionaryArray.from_arrays(indices, pa.array([name or "" for name in names]))
