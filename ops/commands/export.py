"""``./venuemesh export``: write recorded data to a Parquet or CSV file."""

import argparse
import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2

from kit.base import settings
from kit.base.errors import StoreUnavailable, VenuemeshError
from kit.base.numbers import NumberError
from kit.base.settings import MeshSettings
from kit.marketdata.model.batches import Batch
from kit.storage.archive.archive import Archive
from kit.storage.reader.columns import Columns, of_bars, of_batch
from ops.arguments import OneLineErrorParser
from ops.data_files.time_text import parse_time
from ops.errors import OperationsError

CHANNELS = {
    "trades": types_pb2.CHANNEL_TRADES,
    "quotes": types_pb2.CHANNEL_QUOTES,
    "book": types_pb2.CHANNEL_BOOK,
    "tickers": types_pb2.CHANNEL_TICKERS,
    "marks": types_pb2.CHANNEL_MARKS,
    "candles": types_pb2.CHANNEL_CANDLES,
}
BARS = "bars"
ROWS_AT_ONCE = 50_000


def run(arguments: Sequence[str]) -> int:
    """Return 0 if the file was written."""
    chosen = _parser().parse_args(arguments)
    if (chosen.channel == BARS) != (chosen.interval is not None):
        raise OperationsError("--interval goes with --channel bars, and must be given there")
    mesh = settings.load(MeshSettings, settings.MESH_SECTION)
    start_ns = parse_time(chosen.start) if chosen.start else 0
    end_ns = parse_time(chosen.end) if chosen.end else 0
    if end_ns and start_ns >= end_ns:
        raise OperationsError("--from must be before --to")
    to = Path(chosen.file)
    if not to.parent.is_dir():
        raise OperationsError(f"no folder {to.parent}")
    url = chosen.database or mesh.database_url
    count = asyncio.run(_export(chosen, url, (start_ns, end_ns), to))
    print(f"{count:,} rows in {to}")
    return 0


async def _export(chosen: argparse.Namespace, url: str, span: tuple[int, int], to: Path) -> int:
    # Imported here, because it is heavy and the arguments are checked first.
    import pyarrow as pa

    from ops.data_files.exporter import export, nothing_of

    archive = Archive(url)
    channel = CHANNELS.get(chosen.channel)
    try:
        async with aclosing(_parts(archive, chosen, span)) as parts:
            return await export(parts, nothing_of(channel), chosen.format, to)
    except StoreUnavailable as error:
        raise OperationsError(f"{error.message}; is the mesh running?") from None
    except (VenuemeshError, NumberError, pa.ArrowInvalid, OSError) as error:
        raise OperationsError(f"not exported: {error}") from None
    finally:
        await archive.close()


async def _parts(
    archive: Archive, chosen: argparse.Namespace, span: tuple[int, int]
) -> AsyncGenerator[Columns, None]:
    venue, symbol = chosen.venue, chosen.symbol
    if chosen.channel == BARS:
        bars = archive.bars(venue, symbol, chosen.interval, *span, rows_max=ROWS_AT_ONCE)
        async with aclosing(bars) as messages:
            async for message in messages:
                yield of_bars(symbol, history_pb2.BarColumns.FromString(message))
        return
    batches = archive.batches(
        venue, CHANNELS[chosen.channel], [symbol], *span, rows_max=ROWS_AT_ONCE
    )
    async with aclosing(batches) as messages:
        async for message in messages:
            yield of_batch(Batch.FromString(message))


def _parser() -> OneLineErrorParser:
    parser = OneLineErrorParser("export", "Write recorded data to a file.")
    parser.add_argument("file", metavar="FILE", help="an existing file is replaced")
    parser.add_argument("--venue", required=True, metavar="ID")
    parser.add_argument("--symbol", required=True, metavar="SYMBOL", help="the venue's own")
    parser.add_argument("--channel", required=True, choices=[*CHANNELS, BARS])
    parser.add_argument("--interval", metavar="NAME", help="of bars: 1m, 1h, tick:100, …")
    parser.add_argument("--format", required=True, choices=["parquet", "csv"])
    parser.add_argument("--from", dest="start", metavar="TIME", help="first time; default: all")
    parser.add_argument("--to", dest="end", metavar="TIME", help="first time after the range")
    parser.add_argument("--database", metavar="URL", help="default: from the settings")
    return parser
