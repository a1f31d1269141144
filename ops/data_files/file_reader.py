"""Reads a file as tables of one form, part by part, and checks each part.

A table of trades has trade_id or trade_id_text, price, size, side, venue_time_ns, received_time_ns,
and first_id and last_id: the venue's ids of the first and last trade that the row stands for. An
archive does not say when a trade was received: its venue time stands for it.
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as parquet

from kit.base.number_columns import IntColumn
from ops.data_files import file_layouts
from ops.data_files.file_layouts import FileLayout, FileRowKind
from ops.errors import OperationsError

DECIMAL = pa.decimal128(38, 18)
BLOCK_BYTES = 8 * 1024 * 1024
FUTURE_NS = 60 * 10**9
"""Maximum time ahead of our clock."""
UNITS = ((10**12, 10**14, 10**6), (10**15, 10**17, 10**3), (10**18, 4 * 10**18, 1))
"""Times from, to: how many ns they count. ms, us and ns of the years 2001 to 2096."""
WHOLE = frozenset({file_layouts.ID, file_layouts.FIRST_ID, file_layouts.LAST_ID})
TIMES = frozenset({file_layouts.TIME, file_layouts.CLOSE_TIME, "open_time_ns", "received_time_ns"})
FIRST_LINE_BYTES_MAX = 4096
BUYER_TAKES, SELLER_TAKES = 1, 2


@dataclass(frozen=True, slots=True)
class FilePart:
    """A part of the rows of a file."""

    holds: FileRowKind
    table: Any


def read(file: Path, layout: str, symbol: str, now_ns: int) -> Iterator[FilePart]:
    """All rows. ``layout`` is parquet, csv or binance-archive. Raises OperationsError for whatever
    is wrong with the file."""
    try:
        if layout == "binance-archive":
            yield from _binance(file, now_ns)
        elif layout == "csv":
            yield from _exported(_exported_csv(file), symbol, now_ns)
        else:
            yield from _exported(_exported_parquet(file), symbol, now_ns)
    except (pa.ArrowInvalid, pa.ArrowKeyError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        words = str(error).splitlines() or ["cannot be read"]
        raise OperationsError(f"{file.name}: {words[0]}") from None


def _binance(file: Path, now_ns: int) -> Iterator[FilePart]:
    with _opened(file) as source:
        first_line = source.readline(FIRST_LINE_BYTES_MAX).decode().strip()
    if not first_line:
        raise OperationsError(f"{file.name} is empty")
    layout = file_layouts.binance_layout(first_line)
    with _opened(file) as source:
        for table in _csv_tables(source, layout, file_layouts.has_header(first_line)):
            table = _with_ns(table, file)
            if layout.holds is FileRowKind.CANDLES:
                _check_times(table, file_layouts.CLOSE_TIME, now_ns, file)
                yield FilePart(layout.holds, table)
            else:
                yield FilePart(layout.holds, _checked(_binance_trades(table, layout), now_ns, file))


def _csv_tables(source: IO[bytes], layout: FileLayout, header: bool) -> Iterator[Any]:
    names = [name or f"unused_{place}" for place, name in enumerate(layout.columns)]
    wanted = [name for name in layout.columns if name is not None]
    kinds = {name: _kind(name) for name in wanted}
    reader = csv.open_csv(
        source,
        csv.ReadOptions(column_names=names, skip_rows=int(header), block_size=BLOCK_BYTES),
        convert_options=csv.ConvertOptions(
            column_types=kinds,
            include_columns=wanted,
            true_values=["true", "True", "TRUE"],
            false_values=["false", "False", "FALSE"],
        ),
    )
    for batch in reader:
        yield pa.Table.from_batches([batch])


def _kind(name: str) -> Any:
    if name in WHOLE or name in TIMES:
        return pa.int64()
    return pa.bool_() if name == file_layouts.MAKER else DECIMAL


def _binance_trades(table: Any, layout: FileLayout) -> Any:
    # If the buyer is the maker, the taker sold.
    side = pc.if_else(table[file_layouts.MAKER], SELLER_TAKES, BUYER_TAKES)
    nothing = pa.nulls(len(table), pa.string())
    trade_id, text, first, last = (
        table[file_layouts.ID],
        nothing,
        table[file_layouts.ID],
        table[file_layouts.ID],
    )
    if layout.holds is FileRowKind.AGGREGATES:
        # Ids of aggregates are not ids of trades.
        text = pc.binary_join_element_wise("aggregate:", trade_id.cast(pa.string()), "")
        trade_id = pa.nulls(len(table), pa.int64())
        first, last = table[file_layouts.FIRST_ID], table[file_layouts.LAST_ID]
    return pa.table(
        {
            "trade_id": trade_id,
            "trade_id_text": text,
            "price": table[file_layouts.PRICE],
            "size": table[file_layouts.SIZE],
            "side": side.cast(pa.int64()),
            "venue_time_ns": table[file_layouts.TIME],
            "received_time_ns": table[file_layouts.TIME],
            "first_id": first,
            "last_id": last,
        }
    )


def _exported(tables: Iterator[Any], symbol: str, now_ns: int) -> Iterator[FilePart]:
    for table in tables:
        others = pc.unique(table["symbol"].filter(pc.not_equal(table["symbol"], symbol)))
        if len(others):
            raise OperationsError(f"the file has trades of {others[0]}, not of {symbol}")
        # Text ids have no order.
        numbers = pc.if_else(pc.is_null(table["trade_id_text"]), table["trade_id"], None)
        shaped = {name: table[name] for name in file_layouts.EXPORTED if name != "symbol"}
        shaped |= {"trade_id": numbers, "first_id": numbers, "last_id": numbers}
        side = pc.index_in(table["side"], pa.array(["buy", "sell"]))
        shaped["side"] = pc.fill_null(pc.add(side.cast(pa.int64()), 1), 0)
        yield FilePart(FileRowKind.TRADES, _checked(pa.table(shaped), now_ns, None))


def _exported_csv(file: Path) -> Iterator[Any]:
    kinds = {"symbol": pa.string(), "side": pa.string(), "trade_id_text": pa.string()}
    kinds |= {name: _kind(name) for name in file_layouts.EXPORTED if name not in kinds}
    with _opened(file) as source:
        header = source.readline(FIRST_LINE_BYTES_MAX).decode().strip()
    if tuple(header.split(",")) != file_layouts.EXPORTED:
        raise OperationsError(
            f"{file.name} has other columns than exported trades: {','.join(file_layouts.EXPORTED)}"
        )
    with _opened(file) as source:
        options = csv.ConvertOptions(column_types=kinds, strings_can_be_null=True)
        read_options = csv.ReadOptions(block_size=BLOCK_BYTES)
        for batch in csv.open_csv(source, read_options, convert_options=options):
            yield pa.Table.from_batches([batch])


def _exported_parquet(file: Path) -> Iterator[Any]:
    with parquet.ParquetFile(file) as source:
        names = {name.removesuffix("_ns") for name in file_layouts.EXPORTED}
        missing = sorted(names - set(source.schema_arrow.names))
        if missing:
            raise OperationsError(f"{file.name} is no file of exported trades: no {missing[0]}")
        for batch in source.iter_batches():
            table = pa.Table.from_batches([batch])
            columns = {name: table[name.removesuffix("_ns")] for name in file_layouts.EXPORTED}
            for name in ("symbol", "side"):
                columns[name] = columns[name].cast(pa.string())
            for name in ("venue_time_ns", "received_time_ns"):
                columns[name] = columns[name].cast(pa.timestamp("ns", "UTC")).cast(pa.int64())
            yield pa.table(columns)


def _checked(table: Any, now_ns: int, file: Path | None) -> Any:
    """Check the values of trades."""
    for name in ("price", "size", "side", "venue_time_ns", "received_time_ns"):
        if table[name].null_count:
            raise OperationsError(f"a trade has no {name}")
    for name in ("price", "size") if file is not None else ("size",):
        if len(table) and pc.min(table[name]).as_py() <= 0:
            place = pc.index(pc.less_equal(table[name], 0), True).as_py()
            raise OperationsError(
                f"{_where(table, place)} has a {name} of {table[name][place].as_py().normalize()}"
            )
    _check_times(table, file_layouts.TIME, now_ns, file)
    return table


def _with_ns(table: Any, file: Path) -> Any:
    """All times of a table in ns."""
    for name in TIMES & set(table.column_names):
        values: IntColumn = table[name].to_numpy()
        if not len(values):
            continue
        low, high = int(values.min()), int(values.max())
        factor = next((unit for start, end, unit in UNITS if start <= low and high < end), None)
        if factor is None:
            raise OperationsError(f"{file.name}: {low} to {high} are no times in ms, us or ns")
        # The close time is the last ms of the candle.
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(values * factor))
    return table


def _check_times(table: Any, name: str, now_ns: int, file: Path | None) -> None:
    values: IntColumn = table[name].to_numpy()
    late = np.flatnonzero(values > now_ns + FUTURE_NS)
    if len(late):
        moment = np.datetime64(int(values[late[0]]), "ns")
        place = f"{file.name}: " if file is not None else ""
        raise OperationsError(f"{place}{_where(table, int(late[0]))} is of {moment}: in the future")


def _where(table: Any, row: int) -> str:
    if "trade_id" not in table.column_names:
        return f"the candle of {np.datetime64(table['open_time_ns'][row].as_py(), 'ns')}"
    name = table["trade_id"][row].as_py() or table["trade_id_text"][row].as_py()
    return f"trade {name}"


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    """The file, or the only one in a zip."""
    if not zipfile.is_zipfile(file):
        with file.open("rb") as plain:
            yield plain
        return
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if len(names) != 1:
            raise OperationsError(f"{file.name} holds {len(names)} files, and must hold one")
        with archive.open(names[0]) as member:
            yield member
