"""``./venuemesh import``: add a file of trades or candles to the record."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg

from kit.base import settings
from kit.base.database import migrate
from kit.base.errors import StoreUnavailable
from kit.base.settings import MeshSettings
from kit.connector.contract import discovery
from ops.arguments import OneLineErrorParser
from ops.errors import OperationsError

LAYOUTS = ("binance-archive", "parquet", "csv")
CONNECT_SECONDS_MAX = 5


def run(arguments: Sequence[str]) -> int:
    """Return 0 if all rows of the file are in the record."""
    parser = OneLineErrorParser("import", "Add a file of trades or candles to the record.")
    parser.add_argument("file", metavar="FILE", help="Parquet, CSV, or a zip with one CSV in it")
    parser.add_argument("--venue", required=True, metavar="ID")
    parser.add_argument("--symbol", required=True, metavar="SYMBOL", help="the venue's own")
    parser.add_argument(
        "--layout",
        choices=LAYOUTS,
        help="binance-archive: trades, aggTrades or klines of its public data; parquet and csv: "
        "trades that were exported. Default: by the name of the file, zip is binance-archive",
    )
    parser.add_argument("--database", metavar="URL", help="default: from the settings")
    chosen = parser.parse_args(arguments)
    mesh = settings.load(MeshSettings, settings.MESH_SECTION)
    file = Path(chosen.file)
    if not file.is_file():
        raise OperationsError(f"no file {file}")
    if chosen.venue not in discovery.venues():
        known = ", ".join(sorted(discovery.venues()))
        raise OperationsError(f"no venue {chosen.venue!r}; known are {known}")
    layout = chosen.layout or _layout_of(file)
    url = chosen.database or mesh.database_url
    print(asyncio.run(_import(file, layout, chosen.venue, chosen.symbol, url)))
    return 0


def _layout_of(file: Path) -> str:
    names = {".parquet": "parquet", ".csv": "csv", ".zip": "binance-archive"}
    if file.suffix not in names:
        raise OperationsError(f"unknown layout of {file.name}: name it with --layout")
    return names[file.suffix]


async def _import(file: Path, layout: str, venue: str, symbol: str, url: str) -> str:
    # Imported here, because it is heavy and the arguments are checked first.
    from ops.data_files.file_reader import read
    from ops.data_files.importer import ImportTarget, take

    try:
        await migrate(url)
        connection = await psycopg.AsyncConnection.connect(
            url, autocommit=True, connect_timeout=CONNECT_SECONDS_MAX
        )
        async with connection:
            parts = read(file, layout, symbol, time.time_ns())
            outcome = await take(connection, parts, ImportTarget(venue, symbol, file.name))
    except StoreUnavailable as error:
        raise OperationsError(f"{error.message}; is the mesh running?") from None
    except psycopg.Error as error:
        words = str(error).splitlines() or [type(error).__name__]
        raise OperationsError(f"the database rejected the import: {words[0]}") from None
    return f"{file.name}: {outcome}"
