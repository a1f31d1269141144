"""The whole path on this machine: exchange server, venue, ingest, Redis, recorder, bars and bridge.

A real session, repeated with continuing ids and times, is played as fast as it is read, until the
recorder, the bars and the bridge have all events. The database must then be complete.
"""

import json
import os
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.options import Options
from benchmarks.processes import cpu_seconds, resident_mb
from benchmarks.report import Report, cost_of_tls, of_mesh
from tests.integration.mesh import Mesh, replaying

EVENTS_WANTED = 400_000
CONSUMERS = ("recorder", "bars", "bridge")
SNAPSHOT_MARK = b"lastUpdateId"
POLL_SECONDS = 0.02
START_DELAY_MS = 10_000
"""Until the capture begins. While the venue waits for it, it asks for the book again and again,
which counts as processor time."""

_NUMBERS = re.compile(rb'"(E|T|t|U|u)":(\d+)')


def run(options: Options) -> Report:
    """Events per second through everything, share of the processor by process, memory."""
    lines = options.lines()
    repeats = max(1, EVENTS_WANTED // len(lines))
    rates: dict[bool, list[float]] = {False: [], True: []}
    memory: dict[bool, list[float]] = {False: [], True: []}
    shares: dict[str, dict[bool, list[float]]] = {}
    # The capture waits until every process runs, so that none of their start is measured.
    os.environ["VENUEMESH_SIMULATOR_START_DELAY_MS"] = str(START_DELAY_MS)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frames.jsonl"
        events, trades = write_repeated(lines, repeats, file)
        for tls in options.mesh_runs:
            with replaying(file, "max", tls=tls) as mesh:
                wait_until_serving(mesh)
                before = cpu_seconds(mesh)
                rates[tls].append(events / _seconds_for(mesh, trades))
                memory[tls].append(resident_mb(mesh))
                for name, seconds in cpu_seconds(mesh).items():
                    used = seconds - before.get(name, 0.0)
                    both = shares.setdefault(name, {False: [], True: []})
                    both[tls].append(used / events * 1e6)
    figures = [
        *of_mesh("events through the whole path", "events/s", rates, "at least 100,000"),
        *cost_of_tls("events through the whole path", "%", rates, "under 10"),
        *of_mesh("memory of the whole mesh", "MB", memory, "under 1,500"),
    ]
    for name, runs in sorted(shares.items()):
        figures += of_mesh(f"processor: {name}", "us/event", runs)
    note = f"{events:,} events, {trades:,} trades, every one in the database"
    return Report("path: exchange to database, bars and bridge", figures, [note])


def write_repeated(
    lines: list[bytes], repeats: int, file: Path, received_ns: Sequence[int] = ()
) -> tuple[int, int]:
    """Repeat the session; ``received_ns``, its received times, are extended accordingly. Returns
    its numbers of events and trades."""
    # End at the last change of the book, so that the next round has consecutive ids.
    last = max(number for number, line in enumerate(lines) if b"@depth" in line[:40])
    lines = lines[: last + 1]
    body = [line for line in lines if SNAPSHOT_MARK not in line[:20]]
    spans = _spans(body)
    with file.open("wb") as output:
        for number in range(repeats):
            source = lines if number == 0 else body
            for line in source:
                moved = line if number == 0 else _moved(line, spans, number)
                output.write(moved + b"\n")
    if received_ns:
        _write_times(lines, repeats, file, received_ns)
    trades = sum(b'@trade"' in line[:40] for line in body)
    return len(body) * repeats, trades * repeats


def _write_times(lines: list[bytes], repeats: int, file: Path, received_ns: Sequence[int]) -> None:
    """Beside the capture, as far apart as they were in each round."""
    span_ns = received_ns[len(lines) - 1] - received_ns[0]
    is_event = [SNAPSHOT_MARK not in line[:20] for line in lines]
    with file.with_name("recv_ns.txt").open("w") as output:
        for number in range(repeats):
            for at_ns, event in zip(received_ns, is_event, strict=False):
                if event or number == 0:
                    output.write(f"{at_ns + span_ns * number}\n")


def _spans(body: list[bytes]) -> dict[str, int]:
    """The length of one session in ids and time."""
    found: dict[str, list[int]] = {"t": [], "u": [], "E": []}
    first_update = 0
    for line in body:
        data = json.loads(line)["data"]
        if "t" in data:
            found["t"].append(data["t"])
            found["E"].append(data["E"])
        elif "U" in data:
            first_update = first_update or data["U"]
            found["u"].append(data["u"])
            found["E"].append(data["E"])
    return {
        "t": found["t"][-1] - found["t"][0] + 1,
        "u": found["u"][-1] - first_update + 1,
        "E": max(found["E"]) - min(found["E"]) + 1,
    }


def _moved(line: bytes, spans: dict[str, int], times: int) -> bytes:
    steps = {
        b"E": spans["E"],
        b"T": spans["E"],
        b"t": spans["t"],
        b"U": spans["u"],
        b"u": spans["u"],
    }

    def move(match: re.Match[bytes]) -> bytes:
        name, number = match.groups()
        return b'"%s":%d' % (name, int(number) + steps[name] * times)

    return _NUMBERS.sub(move, line)


def wait_until_serving(mesh: Mesh) -> None:
    """Wait until every process has started, so that none of its start is measured. Raises
    AssertionError if the capture plays already."""
    mesh.wait_until_registered()
    mesh.wait_until(mesh.replay, "the capture is loaded")
    assert not mesh.replay()["frames_played"], "the capture has begun before every process runs"


def _seconds_for(mesh: Mesh, trades: int) -> float:
    """The time from the first played frame until every consumer has all events."""
    while not mesh.replay()["frames_played"]:
        time.sleep(POLL_SECONDS)
    started = time.perf_counter()
    mesh.wait_until(lambda: mesh.replay()["finished"], "the replay ends", 300)

    def all_done() -> bool:
        ends = mesh.sql(
            "select stream, epoch, sequence from stream_positions where consumer = 'recorder'"
        )
        bars = mesh.sql(
            "select distinct epoch, sequence from bar_positions where stream like '%:trades'"
        )
        return (
            mesh.sql("select count(*) from trade_rows") == [(trades,)]
            and bars == [row[1:] for row in ends if row[0].endswith("trades")]
            and _bridge_lag(mesh) == 0
        )

    while not all_done():
        time.sleep(POLL_SECONDS)
    return time.perf_counter() - started


def _bridge_lag(mesh: Mesh) -> int:
    _, found = mesh.get("/v1/services?kind=bridge")
    return int(found["services"][0]["status"]["lag_entries"])
