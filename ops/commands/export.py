"""``./venuemesh export``: write recorded data to a Parquet or CSV file.

The rows come through the gateway of the mesh; from the database if ``--database`` names one, or if
no mesh is named and none runs on the data folder.
"""

import argparse
import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from kit.base.errors import StoreUnavailable, VenuemeshError
from kit.base.numbers import NumberError
from kit.storage.reader.columns import Columns
from ops import gateway, record_database, venues
from ops.data_files.record_source import (
    BARS,
    CHANNELS,
    WantedRows,
    from_database,
    from_gateway,
)
from ops.data_files.time_text import parse_time
from ops.errors import OperationsError
from ops.output import print_json
from ops.progress import ShowProgress, progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="an existing file is replaced")
    venues.complete(parser.add_argument("--venue", required=True, metavar="ID"))
    parser.add_argument("--symbol", required=True, metavar="SYMBOL", help="the venue's own")
    parser.add_argument("--channel", required=True, choices=[*CHANNELS, BARS])
    parser.add_argument("--interval", metavar="NAME", help="of bars: 1m, 1h, tick:100, …")
    parser.add_argument("--format", required=True, choices=["parquet", "csv"])
    parser.add_argument("--from", dest="start", metavar="TIME", help="first time; default: all")
    parser.add_argument("--to", dest="end", metavar="TIME", help="first time after the range")
    parser.add_argument("--database", metavar="URL", help="read it there, not from a mesh")
    gateway.add_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    """Return 0 if the file was written."""
    if (chosen.channel == BARS) != (chosen.interval is not None):
        raise OperationsError("--interval goes with --channel bars, and must be given there")
    start_ns = parse_time(chosen.start) if chosen.start else 0
    end_ns = parse_time(chosen.end) if chosen.end else 0
    if end_ns and start_ns >= end_ns:
        raise OperationsError("--from must be before --to")
    to = Path(chosen.file)
    if not to.parent.is_dir():
        raise OperationsError(f"no folder {to.parent}")
    wanted = WantedRows(
        chosen.venue, chosen.symbol, chosen.channel, chosen.interval or "", start_ns, end_ns
    )
    with progress(f"export {to.name}", as_json=chosen.json) as show:
        count = asyncio.run(_export(chosen, wanted, to, show))
    if chosen.json:
        print_json({"rows": count, "file": str(to)})
    else:
        print(f"{count:,} rows in {to}")
    return 0


async def _export(
    chosen: argparse.Namespace, wanted: WantedRows, to: Path, show: ShowProgress
) -> int:
    mesh = None if chosen.database else gateway.find(chosen)
    if mesh is None:
        url = record_database.url_to_read(chosen)
        return await _write(from_database(url, wanted), chosen, to, show)
    async with gateway.connected(mesh) as channel:
        return await _write(from_gateway(channel, wanted), chosen, to, show)


async def _write(
    rows: AsyncGenerator[Columns, None], chosen: argparse.Namespace, to: Path, show: ShowProgress
) -> int:
    # Imported here, because it is heavy and the arguments are checked first.
    import pyarrow as pa

    from ops.data_files.exporter import export, nothing_of

    try:
        async with aclosing(rows), aclosing(_counted(rows, show)) as parts:
            return await export(parts, nothing_of(CHANNELS.get(chosen.channel)), chosen.format, to)
    except StoreUnavailable as error:
        text = f"{error.message}; is the mesh running?"
        raise OperationsError(text, reason=error.reason) from None
    except VenuemeshError as error:
        raise OperationsError(f"not exported: {error}", reason=error.reason) from None
    except (NumberError, pa.ArrowInvalid, OSError) as error:
        raise OperationsError(f"not exported: {error}") from None


async def _counted(
    rows: AsyncGenerator[Columns, None], show: ShowProgress
) -> AsyncGenerator[Columns, None]:
    count = 0
    async for part in rows:
        count += len(part)
        show(count, text="rows")
        yield part
