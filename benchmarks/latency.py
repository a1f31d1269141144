"""From the venue's socket to a subscriber of the bridge, at about 10,000 events/s.

The session is played faster to reach that average rate; it has the bursts of the real market. The
age of each event is measured when the subscriber gets it.
"""

import os
import tempfile
import time
from pathlib import Path

import grpc
import numpy as np
from venuemesh.common.v1 import types_pb2
from venuemesh.live.v1 import live_pb2, live_pb2_grpc

from benchmarks.options import Options
from benchmarks.path import START_DELAY_MS, wait_until_serving, write_repeated
from benchmarks.report import Report, cost_of_tls, of_mesh
from tests.integration.mesh import SYMBOL, VENUE, Mesh, replaying

EVENTS_PER_SECOND = 10_000
NANOSECONDS_PER_MILLISECOND = 1e6
CHANNELS = (types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_QUOTES, types_pb2.CHANNEL_BOOK)
REPEATS = 3
WARM_UP_SECONDS = 2.0
"""Left out: connections are made and memory is got in this time."""
KNOWN_SECONDS = 0.5
"""An unknown venue is rejected immediately; before the first event there is no other message."""
SECONDS_MAX = 120
REQUEST = live_pb2.SubscribeRequest(selectors=[live_pb2.Selector(venue=VENUE, channels=CHANNELS)])


def run(options: Options) -> Report:
    """Percentiles of the age, ms."""
    lines = options.lines()
    speed = _speed(lines)
    percentiles: dict[int, dict[bool, list[float]]] = {
        number: {False: [], True: []} for number in (50, 99)
    }
    rates: dict[bool, list[float]] = {False: [], True: []}
    # The capture waits until every process runs, so that none of their start is measured.
    os.environ["VENUEMESH_SIMULATOR_START_DELAY_MS"] = str(START_DELAY_MS)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frames.jsonl"
        write_repeated(lines, REPEATS, file)
        _write_times(options.received_times_ns(), file)
        for tls in options.mesh_runs:
            with replaying(file, f"{speed:g}", tls=tls) as mesh:
                ages_ms, seconds = _ages(mesh)
                rates[tls].append(len(ages_ms) / seconds)
                for number, runs in percentiles.items():
                    runs[tls].append(float(np.percentile(ages_ms, number)))
    figures = [
        *of_mesh("p50", "ms", percentiles[50], "under 5"),
        *cost_of_tls("p50", "ms", percentiles[50], "under 0.3"),
        *of_mesh("p99", "ms", percentiles[99], "under 20"),
        *of_mesh("rate", "events/s", rates, "about 10,000"),
    ]
    return Report("latency: venue socket to subscriber of the bridge", figures)


def _speed(lines: list[bytes]) -> float:
    """The speed relative to the record that gives the requested rate."""
    times = [int(line.split(b'"E":', 1)[1].split(b",", 1)[0]) for line in lines if b'"E":' in line]
    return EVENTS_PER_SECOND * (max(times) - min(times)) / 1000 / len(lines)


def _ages(mesh: Mesh) -> tuple[list[float], float]:
    """The age of each event, and how long they came."""
    wait_until_serving(mesh)
    mesh.wait_until(lambda: _is_listed(mesh, "bridge") and _knows_venue(mesh), "the bridge")
    ages: list[float] = []
    began = started = ended = 0.0
    with mesh.connect(f"127.0.0.1:{mesh.port('bridge')}") as channel:
        call = live_pb2_grpc.LiveStub(channel).Subscribe(REQUEST, timeout=SECONDS_MAX)
        for response in call:
            now_ns = time.time_ns()
            for batch in response.batches:
                kind = batch.WhichOneof("columns")
                if kind is None:
                    if started and mesh.replay()["finished"]:
                        call.cancel()
                        return ages, ended - started
                    continue
                ended = time.perf_counter()
                began = began or ended
                if ended - began < WARM_UP_SECONDS:
                    continue
                started = started or ended
                received_ns = np.array(getattr(batch, kind).received_time_ns, dtype=np.int64)
                ages += ((now_ns - received_ns) / NANOSECONDS_PER_MILLISECOND).tolist()
    raise AssertionError(f"no end of {SYMBOL} within {SECONDS_MAX} s")


def _is_listed(mesh: Mesh, kind: str) -> bool:
    return bool(mesh.get(f"/v1/services?kind={kind}")[1]["services"])


def _knows_venue(mesh: Mesh) -> bool:
    """Whether the bridge knows the venue: it reads the registry, slightly later than we do."""
    with mesh.connect(f"127.0.0.1:{mesh.port('bridge')}") as channel:
        call = live_pb2_grpc.LiveStub(channel).Subscribe(REQUEST, timeout=KNOWN_SECONDS)
        try:
            return next(call) is not None
        except grpc.RpcError:
            return call.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        finally:
            call.cancel()


def _write_times(times_ns: list[int], frames: Path) -> None:
    """The recorded receive times for every round; of a round that lost its end, the first ones."""
    count = sum(1 for _ in frames.open("rb")) // REPEATS + 1
    span = times_ns[count - 1] - times_ns[0]
    rounds = [time_ns + span * number for number in range(REPEATS) for time_ns in times_ns[:count]]
    frames.with_name("recv_ns.txt").write_text("\n".join(map(str, rounds)) + "\n")
