"""From a final bar to an order: detector, advisor, inspector and the venue process.

A mesh in the world simulate runs a strategy that opens and closes positions on a paper account all
the time. A reader of the bars, beside the detector, notes when each final bar came. The times of
the steps are in the events themselves: when a signal, its decision and its verdict were stored,
when the order was written to the journal, and when it was sent.
"""

import os
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import grpc
import numpy as np
from venuemesh.bars.v1 import bars_pb2, bars_pb2_grpc
from venuemesh.events.v1 import event_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from benchmarks.options import ROOT, Options
from benchmarks.report import Figure, Report
from core.detector.bar_clients import UPDATE_INTERVAL_MS
from tests.integration.mesh import SYMBOL, VENUE, Mesh, new_folder, running

ORDERS = 30
"""Of each run."""
SECONDS_MAX = 400.0
STRATEGY = ROOT / "tests" / "integration" / "lifecycle" / "strategies" / "quick.py"
EXPIRY = ("expiry_s=10", "expiry_s=4")
"""A strategy that has closed a position opens the next one after its signal has expired. A final
bar comes two seconds after its close, from which the expiry counts."""
TARGETS = {50: "under 30", 99: "under 100"}
STEPS = ("signal stored", "decision stored", "verdict stored", "order in the journal", "order sent")
EVENTS = "SELECT body, stored_time_ns FROM events WHERE lifecycle_id <> '' ORDER BY stored_time_ns"
CHAINS_WITH_ORDERS = (
    "SELECT count(DISTINCT lifecycle_id) FROM events"
    " WHERE lifecycle_id <> '' AND subject LIKE 'order:%'"
)
Times = dict[str, list[float]]


def run(options: Options) -> Report:
    """Percentiles, ms."""
    with tempfile.TemporaryDirectory() as folder:
        strategy = STRATEGY.read_text().replace(*EXPIRY)
        Path(folder, STRATEGY.name).write_text(strategy)
        os.environ["VENUEMESH_DETECTOR_STRATEGIES_FOLDER"] = folder
        runs = [_run() for _ in options.mesh_runs]
    figures = []
    for step in STEPS:
        for number, target in TARGETS.items():
            name = f"p{number}, bar to {step}"
            values = [float(np.percentile(found[step], number)) for found in runs]
            figures.append(Figure(name, "ms", values, target if step == STEPS[-1] else ""))
    return Report("lifecycle: final bar to order", figures, [f"{ORDERS} orders a run"])


def _run() -> Times:
    options = ("--world", "simulate", "--seed", "7", "--venues", VENUE)
    with new_folder() as data, running(data, *options) as mesh:
        mesh.wait_until_running()
        came: dict[int, int] = {}
        reader = threading.Thread(target=_read_bars, args=(mesh, came), daemon=True)
        reader.start()
        found: list[Mapping[str, int]] = []

        def are_enough() -> bool:
            # Positions are opened and closed in turns.
            if mesh.sql(CHAINS_WITH_ORDERS)[0][0] >= 2 * ORDERS:
                found[:] = _measured(mesh, came)
            return len(found) >= ORDERS

        mesh.wait_until(are_enough, f"{ORDERS} orders were sent", SECONDS_MAX)
        return {step: [times[step] / 1e6 for times in found] for step in STEPS}


def _read_bars(mesh: Mesh, came: dict[int, int]) -> None:
    """Note when each final bar comes, by its open time."""
    stub = bars_pb2_grpc.BarsStub(mesh.connect(f"127.0.0.1:{mesh.port('bars')}"))
    request = bars_pb2.SubscribeRequest(
        venue=VENUE,
        symbol=SYMBOL,
        intervals=["1s"],
        # As the detector does.
        update_interval_ms=UPDATE_INTERVAL_MS,
    )
    try:
        for response in stub.Subscribe(request):
            now_ns = time.time_ns()
            for bar in response.bars:
                if bar.final:
                    came.setdefault(bar.open_time_ns, now_ns)
    except grpc.RpcError:
        # The mesh has ended.
        return


def _measured(mesh: Mesh, came: Mapping[int, int]) -> list[Mapping[str, int]]:
    """The time of each step after the bar, ns, of each entry whose steps are all known."""
    chains: dict[bytes, dict[str, int]] = {}
    for body, stored_ns in mesh.sql(EVENTS):
        event = event_pb2.Event.FromString(bytes(body))
        times = chains.setdefault(event.lifecycle_id, {})
        match event.WhichOneof("payload"):
            case "signal_raised":
                times["bar"] = came.get(event.signal_raised.bar.open_time_ns, 0)
                times[STEPS[0]] = stored_ns
            case "decision_made":
                times[STEPS[1]] = stored_ns
            case "verdict_given" if event.verdict_given.orders:
                times.setdefault(STEPS[2], stored_ns)
            case "order_changed" if event.order_changed.order.request_id.endswith("-1"):
                _note_order(times, event.order_changed.order)
    whole = [times for times in chains.values() if times.get("bar") and times.keys() >= set(STEPS)]
    return [{step: times[step] - times["bar"] for step in STEPS} for times in whole]


def _note_order(times: dict[str, int], order: orders_pb2.Order) -> None:
    times.setdefault(STEPS[3], order.created_time_ns)
    if order.state != orders_pb2.ORDER_STATE_INTENDED:
        times.setdefault(STEPS[4], order.updated_time_ns)
