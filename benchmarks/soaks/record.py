"""``./venuemesh soak record``: a long replay during which processes are killed.

Every few seconds one process is killed with kill -9, in random order, each once before any is
killed again. At the end the database is compared row by row with the played file.

The venue's process is killed only on request: a capture is played once, and the unpublished events
of a killed venue are a gap, for which Repair fetches the trades from the venue's history.
"""

import argparse
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import redis
from rich.console import Console
from rich.table import Table

from benchmarks import truth
from benchmarks.options import Options
from benchmarks.path import write_repeated
from benchmarks.truth import Truth
from kit.base.cursor import START, Cursor
from kit.marketdata.delivery.redis_streams import KEYS_SET
from ops.output import print_json
from tests.integration.mesh import VENUE, Mesh, replaying

NEVER_KILLED = "simulator"
"""It is the exchange: events that it does not send do not exist."""
START_DELAY_MS = "10000"
"""The capture waits for as long, so that most of the mesh is there when it begins."""
LOOK_AGAIN_SECONDS = 0.2
QUIET_SECONDS = 20.0
"""The time without writes that marks the end."""
END_SECONDS_MAX = 600.0
WRONG = ("missing", "too many", "different", "doubled")
COLUMNS = ("in the file", "recorded", *WRONG)
COUNTS = """
SELECT (SELECT count(*) FROM trade_rows), (SELECT count(*) FROM quote_rows),
    (SELECT coalesce(sum(update_count), 0) FROM book_batch_rows), (SELECT count(*) FROM bars),
    (SELECT sum(trade_count) FROM bars)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, default=1_000_000, help="frames that are played")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two kills")
    parser.add_argument("--speed", default="16", help="times as fast as it was, or max")
    parser.add_argument("--seed", type=int, default=1, help="of the order of the kills")
    parser.add_argument("--with-venue", action="store_true", help="kill the venue's process, too")
    parser.add_argument("--frames", type=Path, help="a Binance capture, frames.jsonl[.gz]")


def run(chosen: argparse.Namespace) -> int:
    """Returns 0 when the database is equal to the file."""
    os.environ["VENUEMESH_SIMULATOR_START_DELAY_MS"] = START_DELAY_MS
    options = Options.find(1, chosen.frames, None)
    lines = options.lines()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frames.jsonl"
        rounds = max(1, chosen.events // len(lines))
        write_repeated(lines, rounds, file, options.received_times_ns())
        with replaying(file, chosen.speed) as mesh:
            started = time.monotonic()
            spared = {NEVER_KILLED} if chosen.with_venue else {NEVER_KILLED, VENUE}
            kills = _kill_until_played(mesh, spared, chosen.every, random.Random(chosen.seed))
            _wait_until_quiet(mesh)
            seconds = time.monotonic() - started
            url = mesh.database_url()
            found = truth.of_database(url)
            gaps = Counter(mesh.sql("SELECT channel, reason FROM gaps"))
        with file.open("rb") as frames:
            expected = truth.of_frames(frames)
    named = sorted(map(str, gaps))
    return _show(_compared(expected, found), kills, named, seconds, chosen.json)


def _kill_until_played(
    mesh: Mesh, spared: set[str], every_seconds: float, chance: random.Random
) -> Counter[str]:
    """Returns how often each was killed."""
    mesh.wait_until(lambda: mesh.replay()["frames_played"], "the capture begins")
    kills: Counter[str] = Counter()
    turn: list[str] = []
    while not _is_played(mesh):
        if not turn:
            turn = sorted(mesh.children().keys() - spared)
            chance.shuffle(turn)
        victim = turn.pop()
        if mesh.kill(victim):
            kills[victim] += 1
            _pause(mesh, every_seconds)
        else:
            # It is not there yet, or not again.
            time.sleep(LOOK_AGAIN_SECONDS)
    return kills


def _pause(mesh: Mesh, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not _is_played(mesh):
        time.sleep(min(1.0, max(0.0, until - time.monotonic())))


def _is_played(mesh: Mesh) -> bool:
    return bool(mesh.replay()["finished"])


def _wait_until_quiet(mesh: Mesh) -> None:
    """Wait until all consumers have read the streams and nothing more is written.

    The venue sends checkpoints, so the streams themselves never end.
    """
    mesh.wait_until_running()
    last: object = None
    ends: dict[str, Cursor] = {}
    since = time.monotonic()

    def is_quiet() -> bool:
        nonlocal last, ends, since
        counts = mesh.sql(COUNTS)
        if counts != last:
            last, ends, since = counts, _ends(mesh), time.monotonic()
        time.sleep(1.0)
        return time.monotonic() - since > QUIET_SECONDS and _have(mesh, ends)

    mesh.wait_until(is_quiet, "all is recorded", END_SECONDS_MAX)


def _ends(mesh: Mesh) -> dict[str, Cursor]:
    """The newest entry of each stream."""
    with redis.Redis.from_url(mesh.redis_url()) as client:
        names = [name.decode() for name in client.smembers(KEYS_SET)]
        return {
            name: Cursor.parse(client.xinfo_stream(name)["last-generated-id"]) for name in names
        }


def _have(mesh: Mesh, ends: Mapping[str, Cursor]) -> bool:
    """Whether every consumer of a stream has passed its earlier end."""
    rows = mesh.sql("SELECT stream, epoch, sequence FROM stream_positions")
    return all(Cursor(epoch, sequence) >= ends.get(name, START) for name, epoch, sequence in rows)


def _compared(expected: Truth, found: Truth) -> dict[str, dict[str, int]]:
    """The counts of COLUMNS of each kind of row."""
    compared: list[tuple[str, Mapping[int, object], Mapping[int, object], int]] = [
        (name, rows.hashes, found.rows[name].hashes, found.rows[name].doubled)
        for name, rows in expected.rows.items()
    ]
    compared.append(("bars of a minute", expected.bars, found.bars, 0))
    return {
        name: dict(
            zip(
                COLUMNS,
                (len(theirs), len(ours) + doubled, *_differences(theirs, ours), doubled),
                strict=True,
            )
        )
        for name, theirs, ours, doubled in compared
    }


def _show(
    rows: Mapping[str, Mapping[str, int]],
    kills: Counter[str],
    gaps: Sequence[str],
    seconds: float,
    as_json: bool,
) -> int:
    wrong = sum(counts[name] for counts in rows.values() for name in WRONG)
    if as_json:
        print_json({"rows": rows, "kills": kills, "gaps": gaps, "seconds": seconds})
        return int(wrong > 0)
    table = Table(title="the database beside the file", title_justify="left")
    table.add_column("rows")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for name, counts in rows.items():
        table.add_row(name, *(f"{number:,}" for number in counts.values()))
    console = Console(width=120)
    console.print(table)
    killed = ", ".join(f"{name} {count}" for name, count in sorted(kills.items()))
    console.print(f"{sum(kills.values())} kills in {seconds:,.0f} s: {killed}")
    console.print(f"gaps: {', '.join(gaps) or 'none'}")
    console.print("[bold red]not equal[/]" if wrong else "[green]equal, row for row[/]")
    return int(wrong > 0)


def _differences(
    expected: Mapping[int, object], found: Mapping[int, object]
) -> tuple[int, int, int]:
    """Rows that are missing, that should not be there, and that say something else."""
    both = expected.keys() & found.keys()
    different = sum(expected[key] != found[key] for key in both)
    return len(expected) - len(both), len(found) - len(both), different
