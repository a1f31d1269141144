"""``./venuemesh import``: add a file of trades or candles to the record."""

import argparse
import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from kit.base import migration
from kit.base.database import database_name
from kit.base.errors import StoreUnavailable
from ops import record_database, venues
from ops.errors import OperationsError
from ops.output import print_json
from ops.progress import ShowProgress, progress

if TYPE_CHECKING:
    from ops.data_files.file_reader import FilePart
    from ops.data_files.importer import ImportResult

LAYOUTS = ("binance-archive", "parquet", "csv")
CONNECT_SECONDS_MAX = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="Parquet, CSV, or a zip with one CSV in it")
    venues.complete(parser.add_argument("--venue", required=True, metavar="ID"))
    parser.add_argument("--symbol", required=True, metavar="SYMBOL", help="the venue's own")
    parser.add_argument(
        "--layout",
        choices=LAYOUTS,
        help="binance-archive: trades, aggTrades or klines of its public data; parquet and csv: "
        "trades that were exported. Default: by the name of the file, zip is binance-archive",
    )
    record_database.add_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    """Return 0 if all rows of the file are in the record."""
    file = Path(chosen.file)
    if not file.is_file():
        raise OperationsError(f"no file {file}")
    venues.require(chosen.venue)
    layout = chosen.layout or _layout_of(file)
    url = record_database.url_to_write(chosen)
    with progress(f"import {file.name}", as_json=chosen.json) as show:
        outcome = asyncio.run(_import(file, layout, chosen.venue, chosen.symbol, url, show))
    if chosen.json:
        print_json({"file": str(file), **asdict(outcome)})
    else:
        print(f"{file.name}: {outcome}")
    return 0


def _layout_of(file: Path) -> str:
    names = {".parquet": "parquet", ".csv": "csv", ".zip": "binance-archive"}
    if file.suffix not in names:
        raise OperationsError(f"unknown layout of {file.name}: name it with --layout")
    return names[file.suffix]


async def _import(
    file: Path, layout: str, venue: str, symbol: str, url: str, show: ShowProgress
) -> "ImportResult":
    # Imported here, because it is heavy and the arguments are checked first.
    from ops.data_files.file_reader import read
    from ops.data_files.importer import ImportTarget, take

    try:
        found = await migration.state(url)
        if found.problem:
            raise OperationsError(f"database {database_name(url)} {found.problem}")
        connection = await psycopg.AsyncConnection.connect(
            url, autocommit=True, connect_timeout=CONNECT_SECONDS_MAX
        )
        async with connection:
            parts = _counted(read(file, layout, symbol, time.time_ns()), show)
            return await take(connection, parts, ImportTarget(venue, symbol, file.name))
    except StoreUnavailable as error:
        raise OperationsError(f"{error.message}; is the mesh running?") from None
    except psycopg.Error as error:
        words = str(error).splitlines() or [type(error).__name__]
        raise OperationsError(f"the database rejected the import: {words[0]}") from None


def _counted(parts: Iterable["FilePart"], show: ShowProgress) -> Iterator["FilePart"]:
    count = 0
    for part in parts:
        count += part.table.num_rows
        show(count, text="rows")
        yield part
