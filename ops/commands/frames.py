"""``./venuemesh frames``: write recorded raw frames as a capture that ``up --replay`` plays."""

import argparse
import asyncio
import gzip
from contextlib import ExitStack, aclosing
from pathlib import Path

from kit.base.database import Database
from kit.base.errors import StoreUnavailable
from kit.storage.archive.raw_frames import END_NS, frames
from ops import record_database, venues
from ops.data_files.time_text import parse_time
from ops.errors import OperationsError
from ops.output import print_json

FRAMES, TIMES = "frames.jsonl.gz", "recv_ns.txt.gz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    venues.complete(parser.add_argument("venue", metavar="VENUE", help="venue id"))
    parser.add_argument("folder", type=Path, help=f"where {FRAMES} and {TIMES} are written")
    parser.add_argument("--from", dest="start", metavar="TIME", help="first receive time")
    parser.add_argument("--to", dest="end", metavar="TIME", help="first receive time after it")
    record_database.add_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    """Return 0 if the files were written."""
    start_ns = parse_time(chosen.start) if chosen.start else 0
    end_ns = parse_time(chosen.end) if chosen.end else END_NS
    url = record_database.url_to_read(chosen)
    try:
        chosen.folder.mkdir(parents=True, exist_ok=True)
        count = asyncio.run(_write(url, chosen.venue, start_ns, end_ns, chosen.folder))
    except StoreUnavailable as error:
        raise OperationsError(f"{error.message}; is the mesh running?") from None
    except OSError as error:
        raise OperationsError(f"not written: {error}") from None
    if not count:
        raise OperationsError(
            f"no frames of {chosen.venue} are recorded in this range; "
            f"venues.{chosen.venue}.raw_frames = true records them"
        )
    if chosen.json:
        print_json({"frames": count, "file": str(chosen.folder / FRAMES)})
    else:
        print(f"{count:,} frames in {chosen.folder / FRAMES}")
    return 0


async def _write(url: str, venue: str, start_ns: int, end_ns: int, folder: Path) -> int:
    database = Database(url, accepts_older_schema=True)
    count = 0
    try:
        with ExitStack() as files:
            capture_file = files.enter_context(gzip.open(folder / FRAMES, "wb"))
            times = files.enter_context(gzip.open(folder / TIMES, "wb"))
            async with aclosing(frames(database, venue, start_ns, end_ns)) as blocks:
                async for block in blocks:
                    for frame, at_ns in zip(block.frame, block.received_time_ns, strict=True):
                        if start_ns <= at_ns < end_ns:
                            # A capture has one frame per line; JSON allows a space for a line
                            # break.
                            capture_file.write(frame.replace(b"\n", b" ") + b"\n")
                            times.write(b"%d\n" % at_ns)
                            count += 1
    finally:
        await database.close()
    return count
