"""From ``up`` to the first tick at the gateway, in the default world, on an empty data folder."""

import time

from venuemesh.common.v1 import types_pb2
from venuemesh.live.v1 import live_pb2, live_pb2_grpc

from benchmarks.options import Options
from benchmarks.processes import resident_mb
from benchmarks.report import Figure, Report
from tests.integration.mesh import VENUE, Mesh, new_folder, running

SECONDS_MAX = 60


def run(options: Options) -> Report:
    """Seconds to the first tick, and memory a little later."""
    seconds, memory = [], []
    for _ in range(min(options.runs, 3)):
        with new_folder() as data:
            started = time.perf_counter()
            with running(data) as mesh:
                _first_tick(mesh)
                seconds.append(time.perf_counter() - started)
                memory.append(resident_mb(mesh))
    figures = [
        Figure("up to first tick", "s", seconds, "under 10"),
        Figure("memory of the whole mesh then", "MB", memory, "under 1,500"),
    ]
    return Report("startup: an empty data folder to the first tick at the gateway", figures)


def _first_tick(mesh: Mesh) -> None:
    """Ask as Studio does, until a trade comes."""
    selector = live_pb2.Selector(venue=VENUE, channels=[types_pb2.CHANNEL_TRADES])
    request = live_pb2.SubscribeRequest(selectors=[selector])

    def trade_came() -> bool:
        call = live_pb2_grpc.LiveStub(mesh.channel).Subscribe(request, timeout=SECONDS_MAX)
        return any(batch.HasField("trades") for answer in call for batch in answer.batches)

    mesh.wait_until(trade_came, "the first tick", SECONDS_MAX)
