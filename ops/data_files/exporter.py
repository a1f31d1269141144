"""Writes recorded data to a file, in parts that fit into memory.

A file is there when it is whole: until then it has another name, and goes when something fails.
"""

import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as parquet

from kit.storage.reader.columns import Columns, no_rows

COMPRESSION = "zstd"


class TableWriter(Protocol):
    """Writes tables of one schema."""

    def write_table(self, table: Any) -> None:
        """Write one table."""

    def close(self) -> None:
        """Finish the file."""


async def export(
    parts: AsyncGenerator[Columns, None], nothing: Columns, kind: str, to: Path
) -> int:
    """Write all parts to a file of this kind, parquet or csv. Returns the number of rows.

    ``nothing`` gives the columns of a file without rows. Raises OSError, and pyarrow.ArrowInvalid
    when a number has more decimal places than the file.
    """
    empty = _shaped(nothing, kind)
    count = 0
    with _whole(to) as unfinished, unfinished.open("wb") as file:
        writer = _writer(kind, file, empty.schema)
        async for part in parts:
            writer.write_table(_shaped(part, kind))
            count += len(part)
        writer.close()
        file.flush()
        os.fsync(file.fileno())
    return count


def nothing_of(channel: int | None) -> Columns:
    """The columns of a channel; None: of bars."""
    return no_rows(channel)  # type: ignore[arg-type]


def _writer(kind: str, file: Any, schema: Any) -> TableWriter:
    writer: TableWriter
    if kind == "csv":
        # Values that would need quotes are rejected; no recorded value does.
        options = csv.WriteOptions(quoting_style="none", quoting_header="none")
        writer = csv.CSVWriter(file, schema, write_options=options)
    else:
        writer = parquet.ParquetWriter(file, schema, compression=COMPRESSION)
    return writer


def _shaped(part: Columns, kind: str) -> Any:
    table = part.to_arrow()
    return as_text(table) if kind == "csv" else table


def as_text(table: Any) -> Any:
    """Decimals without zeros at the end; times as ns since the Unix epoch."""
    columns: dict[str, Any] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_decimal(column.type):
            # Every decimal has a point here, so no zero of a whole number is removed.
            text = pc.utf8_rtrim(column.cast(pa.string()), "0")
            columns[name] = pc.utf8_rtrim(text, ".")
        elif pa.types.is_timestamp(column.type):
            columns[f"{name}_ns"] = column.cast(pa.int64())
        elif pa.types.is_dictionary(column.type):
            columns[name] = column.cast(pa.string())
        else:
            columns[name] = column
    return pa.table(columns)


@contextmanager
def _whole(to: Path) -> Iterator[Path]:
    unfinished = to.with_name(f".{to.name}.{os.getpid()}.unfinished")
    try:
        yield unfinished
        unfinished.replace(to)
    finally:
        unfinished.unlink(missing_ok=True)
