"""The detector as a process."""

import random
import subprocess
from pathlib import Path

import grpc
import pytest
import redis
from venuemesh.detector.v1 import detector_pb2, detector_pb2_grpc

from core.detector.app import load_folder
from core.detector.settings import DetectorSettings
from core.detector.tests.process import STRATEGY, detector_process, serving
from core.detector.tests.rig import numbers, rig_for
from core.detector.workers import cpu_time
from core.detector.workers.tests.test_pool import OPEN_PROGRAM, made
from kit.base import errors, rpc
from kit.base.errors import SettingError
from kit.base.runtime import EXIT_WRONG_SETTING
from kit.base.settings import MeshSettings
from kit.events.event_log import encoded
from kit.strategy.instance import FLAT, StrategyInstance
from kit.strategy.loader import load_file
from kit.strategy.strategy import Instrument
from kit.strategy.tests.market import bar
from tests.support.waiting import eventually, until

BARS, KILLS = 60, 5


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "strategies"
    folder.mkdir()
    (folder / "always.py").write_text(STRATEGY)
    return folder


@pytest.fixture
async def rig(postgres_url):
    async with rig_for(postgres_url) as rig:
        yield rig


@pytest.fixture
async def process(rig, postgres_url, valkey_url, folder):
    async with serving(rig.bars) as registry:
        process = detector_process(postgres_url, valkey_url, registry, folder)
        process.start()
        yield process
        process.kill()


async def test_repeated_kills_lose_and_repeat_no_signal(process, rig, folder):
    source = random.Random(11)
    await until(lambda: rig.bars.followers)
    bars = [bar(number, 100.0 + source.randrange(9)) for number in range(BARS)]
    rig.bars.add(bars[0])
    await eventually(rig.has_begun)
    for number, one in enumerate(bars):
        rig.bars.add(one)
        if number % (BARS // KILLS) == 1:
            wanted = max(0, number - 3 - source.randrange(3))

            async def are_there(wanted: int = wanted) -> bool:
                return len(await rig.signals()) >= wanted

            await eventually(are_there)
            process.kill()
            process.start()
    (loaded,) = load_file(folder / "always.py")
    of = StrategyInstance(loaded, Instrument("binance", "BTCUSDT"))
    expected = [event for one in bars if (event := of.update(one, FLAT)) is not None]

    async def all_are_there() -> bool:
        rig.bars.send(bars[-1])
        return len(await rig.signals()) >= len(expected)

    await eventually(all_are_there)
    assert [encoded(event) for event in await rig.signals()] == list(map(encoded, expected))
    assert len(expected) == BARS - 3


async def test_a_process_serves_its_strategies_and_publishes_their_signals(
    process, rig, folder, valkey_url
):
    process.kill()
    (folder / "broken.py").write_text("\nclose = 1 / 0\n")
    process.start()
    async with rpc.channel(process.address) as channel:
        stub = detector_pb2_grpc.DetectorStub(channel)
        request = detector_pb2.ListStrategiesRequest()
        answer = await stub.ListStrategies(request, wait_for_ready=True, timeout=30)
        broken, always = answer.strategies
        assert (broken.file, broken.state) == ("broken.py", detector_pb2.STRATEGY_STATE_FAILED)
        assert broken.detail == "line 2: ZeroDivisionError: division by zero"
        assert (always.strategy, always.venue, always.symbol) == ("always", "binance", "BTCUSDT")
        assert always.state == detector_pb2.STRATEGY_STATE_WAITING

        await until(lambda: rig.bars.followers)
        unseen = await stub.Explain(detector_pb2.ExplainRequest(strategy="always"))
        assert (unseen.position_size, unseen.HasField("bar")) == ("", False)
        for number in range(5):
            rig.bars.add(bar(number))

        async def is_explained() -> bool:
            asked = detector_pb2.ExplainRequest(strategy="always")
            return (await stub.Explain(asked)).bar == bar(4)

        await eventually(is_explained)
        found = await stub.Explain(detector_pb2.ExplainRequest(strategy="always", venue="binance"))
        assert (found.score, found.threshold, found.abstains_because) == (1.0, 0.5, "")
        assert found.status.state == detector_pb2.STRATEGY_STATE_RUNNING
        assert (found.status.signals, found.position_size) == (2, "0")
        assert [rule.rule for rule in found.rules] == ["up"]
        asked = detector_pb2.GetEvaluationsRequest(
            strategy="always", after_time_ns=bar(2).open_time_ns
        )
        evaluated = await stub.GetEvaluations(asked)
        assert evaluated.status.state == detector_pb2.STRATEGY_STATE_RUNNING
        assert [(one.open_time_ns, one.score) for one in evaluated.evaluations] == [
            (bar(number).open_time_ns, 1.0) for number in (3, 4)
        ]
        for wrong in ({"strategy": "none"}, {"strategy": "always", "symbol": "ETHUSDT"}):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.Explain(detector_pb2.ExplainRequest(**wrong))
            assert caught.value.code() == grpc.StatusCode.NOT_FOUND
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.GetEvaluations(detector_pb2.GetEvaluationsRequest(**wrong))
            assert caught.value.code() == grpc.StatusCode.NOT_FOUND
            assert errors.reason_of(caught.value) == "UNKNOWN_STRATEGY"
    assert numbers(await rig.signals()) == [3, 4]
    with redis.Redis.from_url(valkey_url) as client:
        await until(lambda: client.xlen("ev:{signals}") == 3)
    assert process.stop() == 0


async def test_its_processes_end_with_it_though_a_strategy_never_does(process, rig, folder):
    process.kill()
    (folder / "endless.py").write_text("while True: pass\n")
    process.start()
    children = Path(f"/proc/{process.process.pid}/task/{process.process.pid}/children")

    def loops():
        # Importing takes a fraction of it.
        found = map(int, children.read_text().split())
        return any(cpu_time.read(one, 0.0).seconds > 0.5 for one in found)

    await until(loops)
    workers = [Path(f"/proc/{one}/stat") for one in children.read_text().split()]
    assert any(map(_runs, workers))
    process.kill()
    await until(lambda: not any(map(_runs, workers)))


def _runs(stat):
    """Whether a process has not ended; nobody may have asked for its exit code yet."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_a_folder_must_be_empty_where_the_mesh_cannot_be_closed_to_strategies(
    folder, monkeypatch
):
    monkeypatch.setattr("core.detector.workers.worker_process.PROGRAM", OPEN_PROGRAM)
    settings = DetectorSettings(strategies_folder=str(folder))
    pool = made(must_be_restricted=True)
    try:
        with pytest.raises(SettingError, match="must be empty here: a strategy is code") as caught:
            await load_folder(pool, settings, MeshSettings(world="live"))
    finally:
        await pool.close()
    assert "this kernel has no Landlock" in str(caught.value)


async def test_a_folder_that_is_not_there_ends_the_process(postgres_url, valkey_url):
    process = detector_process(postgres_url, valkey_url, "127.0.0.1:1", "/nowhere/strategies")
    process.start(stderr=subprocess.PIPE)
    _, said = process.process.communicate(timeout=60)
    assert process.process.returncode == EXIT_WRONG_SETTING
    assert b"detector.strategies_folder" in said
    assert b"must be a folder that is there" in said
