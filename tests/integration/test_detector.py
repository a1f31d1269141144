"""The detector of a whole mesh in the world simulate: the example, and kills between bars."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from venuemesh.bars.v1 import bars_pb2
from venuemesh.detector.v1 import detector_pb2, detector_pb2_grpc
from venuemesh.events.v1 import event_pb2
from venuemesh.history.v1 import history_pb2, history_pb2_grpc

from kit.events.event_log import encoded
from kit.strategy.instance import FLAT, StrategyInstance
from kit.strategy.loader import load_file
from kit.strategy.strategy import Instrument
from ops import cli
from tests.integration.mesh import SYMBOL, VENUE, Mesh, new_folder, running
from tests.integration.simulation import SIMULATE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

EXAMPLE = Path(__file__).parents[2] / "strategies" / "ema_cross.py"
STRATEGY = """\
from kit.features.indicators import close, highest, previous
from kit.strategy.strategy import PositionSize, Rule, Strategy

always = Strategy(
    name="always",
    instruments=("binance/BTCUSDT",),
    interval="1s",
    account="nobody",
    rules=(Rule(name="up", condition=highest(9) - previous(close, 8) > -1),),
    threshold=0.5,
    position=PositionSize(notional="25", stop_distance=previous(close, 5)),
    cooldown_s=0,
    expiry_s=1,
    warm_up_bars=9,
    acts_on_incomplete_bars=True,
)
"""
"""Raises a signal on each bar, which depends on the nine newest ones and on nothing else."""
KILLS, SIGNALS_BETWEEN = 4, 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found: Path = tmp_path_factory.mktemp("strategies")
    (found / "always.py").write_text(STRATEGY)
    (found / "ema_cross.py").write_text(EXAMPLE.read_text())
    return found


@pytest.fixture(scope="module")
def mesh(folder: Path) -> Iterator[Mesh]:
    with pytest.MonkeyPatch.context() as patch, new_folder() as data:
        patch.setenv("VENUEMESH_DETECTOR_STRATEGIES_FOLDER", str(folder))
        with running(data, *SIMULATE) as mesh:
            mesh.wait_until_running()
            yield mesh


def signals(mesh: Mesh, strategy: str) -> list[event_pb2.Event]:
    rows = mesh.sql(
        "SELECT body FROM events WHERE stream = 'signals' AND subject = %s ORDER BY sequence",
        f"strategy:{strategy}",
    )
    return [event_pb2.Event.FromString(bytes(body)) for (body,) in rows]


def bars(mesh: Mesh, start_ns: int, end_ns: int) -> list[bars_pb2.Bar]:
    request = history_pb2.ListBarsRequest(
        venue=VENUE,
        symbol=SYMBOL,
        interval="1s",
        range=history_pb2.TimeRange(start_time_ns=start_ns, end_time_ns=end_ns),
        page_size=1000,
    )
    return list(history_pb2_grpc.HistoryStub(mesh.channel).ListBars(request, timeout=30).bars)


def test_kills_between_bars_lose_and_repeat_no_signal(mesh: Mesh, folder: Path):
    for kill in range(1, KILLS + 1):
        wanted = kill * SIGNALS_BETWEEN

        def are_there(wanted: int = wanted) -> bool:
            return len(signals(mesh, "always")) >= wanted

        mesh.wait_until(are_there, f"{wanted} signals")
        mesh.kill("detector")
    before = len(signals(mesh, "always"))
    mesh.wait_until(lambda: len(signals(mesh, "always")) > before + 3, "signals after the kills")

    found = signals(mesh, "always")
    seen = [event.signal_raised.bar for event in found]
    recorded = bars(mesh, seen[0].open_time_ns, seen[-1].open_time_ns + 1)
    assert [bar.open_time_ns for bar in seen] == [bar.open_time_ns for bar in recorded]
    (loaded,) = load_file(folder / "always.py")
    of = StrategyInstance(loaded, Instrument(VENUE, SYMBOL))
    raised = [of.update(bar, FLAT) for bar in seen]
    assert None not in raised[8:]
    assert raised[8:] == found[8:]


def test_the_example_raises_a_signal_and_explains_itself(mesh: Mesh):
    mesh.wait_until(lambda: signals(mesh, "ema_cross"), "a signal of the example")
    (first, *_) = signals(mesh, "ema_cross")
    signal = first.signal_raised
    assert [rule.rule for rule in signal.rules] == ["cross", "flow"]
    assert (signal.account, signal.request.notional) == ("paper", "500")
    assert float(signal.request.target_distance) > float(signal.request.stop_distance) > 0
    stub = detector_pb2_grpc.DetectorStub(mesh.channel)
    answer = stub.Explain(detector_pb2.ExplainRequest(strategy="ema_cross"), timeout=30)
    assert answer.status.state == detector_pb2.STRATEGY_STATE_RUNNING
    status, listed = mesh.get("/v1/strategies")
    assert status == 200
    assert [one["strategy"] for one in listed["strategies"]] == ["always", "ema_cross"]


def past_signals(arguments: list[str], out: Path) -> list[str]:
    """The events of signals over the past, by the command line."""
    assert cli.main(arguments) == 0
    with out.open() as opened:
        return [row["event"] for row in csv.DictReader(opened)]


def test_the_past_gives_the_signals_that_were_raised(mesh: Mesh, folder: Path, tmp_path: Path):
    mesh.wait_until(lambda: signals(mesh, "ema_cross"), "a signal of the example")
    out = tmp_path / "signals.csv"
    for name in ("always", "ema_cross"):
        raised = [encoded(event).hex() for event in signals(mesh, name)]
        file = folder / f"{name}.py"
        arguments = ["strategy", "signals", str(file), "--data", str(mesh.data), "--out", str(out)]
        # Bars are recorded a little later than signals are raised on them.
        mesh.wait_until(
            lambda call=arguments, wanted=raised: len(past_signals(call, out)) >= len(wanted),
            "the bars of all signals in the record",
        )
        found = past_signals(arguments, out)
        assert found[: len(raised)] == raised
