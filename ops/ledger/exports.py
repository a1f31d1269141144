"""Files of all postings: CSV, Parquet, or text of Beancount."""

import csv
from collections.abc import AsyncIterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol, TextIO

from venuemesh.ledger.v1 import postings_pb2

from ops.errors import UsageError
from ops.ledger.beancount import BeancountText
from ops.ledger.tables import code_word

FORMATS = ("csv", "parquet", "beancount")
ROWS_MAX = 50_000
"""Of one part of a Parquet file."""
ACCOUNT = ("code", "venue", "account", "symbol", "strategy")
COLUMNS = (
    *("group_number", "group_id", "kind", "time_ns", "booked_time_ns", "event_id", "caller"),
    *("detail", "posting", "asset", "amount"),
    *(f"debit_{name}" for name in ACCOUNT),
    *(f"credit_{name}" for name in ACCOUNT),
)
NUMBERS = ("group_number", "time_ns", "booked_time_ns", "posting")


class GroupWriter(Protocol):
    """Writes groups to a file."""

    def write(self, group: postings_pb2.BookedGroup) -> None:
        """Write one group."""

    def close(self) -> None:
        """Write what is still to be written."""


async def write_groups(groups: AsyncIterable[postings_pb2.BookedGroup], kind: str, to: Path) -> int:
    """Write groups to a file, which is there when it is whole. Returns their number.

    Raises UsageError for an unknown kind of file, and OSError.
    """
    if kind not in FORMATS:
        raise UsageError(f"--format {kind!r}: allowed are {', '.join(FORMATS)}")
    unfinished, count = to.with_name(f"{to.name}.part"), 0
    try:
        with _writer(kind, unfinished) as writer:
            async for group in groups:
                writer.write(group)
                count += 1
        unfinished.replace(to)
    finally:
        unfinished.unlink(missing_ok=True)
    return count


@contextmanager
def _writer(kind: str, path: Path) -> Iterator[GroupWriter]:
    writer: GroupWriter
    if kind == "parquet":
        writer = _ParquetWriter(path)
        yield writer
        writer.close()
        return
    with path.open("w", newline="") as file:
        writer = _CsvWriter(file) if kind == "csv" else _BeancountWriter(file)
        yield writer
        writer.close()


def _rows(booked: postings_pb2.BookedGroup) -> Iterator[list[Any]]:
    """One row for each posting."""
    group = booked.group
    kind = postings_pb2.PostingKind.Name(group.kind).removeprefix("POSTING_KIND_").lower()
    head = (booked.group_number, group.group_id, kind, group.time_ns or booked.booked_time_ns)
    for number, transfer in enumerate(group.transfers):
        yield [
            *(*head, booked.booked_time_ns, booked.event_id.hex(), booked.caller, group.detail),
            *(number, transfer.debit.asset, transfer.amount),
            *_parts(transfer.debit),
            *_parts(transfer.credit),
        ]


def _parts(account: postings_pb2.LedgerAccount) -> list[str]:
    parts = [account.venue, account.account, account.symbol, account.strategy]
    return [code_word(account.code), *parts]


class _CsvWriter:
    """Amounts are exact decimal text."""

    def __init__(self, file: TextIO) -> None:
        self._csv = csv.writer(file)
        self._csv.writerow(COLUMNS)

    def write(self, group: postings_pb2.BookedGroup) -> None:
        self._csv.writerows(_rows(group))

    def close(self) -> None:
        """Nothing waits."""


class _BeancountWriter:
    """Text, with the accounts at its end."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text = BeancountText()

    def write(self, group: postings_pb2.BookedGroup) -> None:
        self._file.write(self._text.group(group))

    def close(self) -> None:
        self._file.write(self._text.accounts())


class _ParquetWriter:
    """Amounts are decimals with 18 places."""

    def __init__(self, path: Path) -> None:
        # It takes half a second to import.
        import pyarrow as pa
        import pyarrow.parquet as parquet

        types = {name: pa.int64() for name in NUMBERS} | {"amount": pa.decimal128(38, 18)}
        self._schema = pa.schema([(name, types.get(name, pa.string())) for name in COLUMNS])
        self._pa = pa
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[list[Any]] = []

    def write(self, group: postings_pb2.BookedGroup) -> None:
        self._rows += _rows(group)
        if len(self._rows) >= ROWS_MAX:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        place = COLUMNS.index("amount")
        for row in self._rows:
            row[place] = Decimal(row[place])
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in self._rows]
        self._writer.write_table(self._pa.Table.from_pylist(rows, schema=self._schema))
        self._rows.clear()
