"""Two detectors divide the strategies: whatever ends one of them, each signal is raised once."""

import asyncio
import random
import signal
from contextlib import suppress

import grpc
import pytest
from venuemesh.detector.v1 import detector_pb2, detector_pb2_grpc

from core.detector.tests.process import STRATEGY, detector_process, serving
from core.detector.tests.rig import numbers, rig_for
from kit.base import rpc
from kit.events.event_log import encoded
from kit.strategy.instance import FLAT, StrategyInstance
from kit.strategy.loader import load_file
from kit.strategy.strategy import Instrument
from kit.strategy.tests.market import bar
from tests.support.waiting import eventually

NAMES = [f"always_{number}" for number in range(8)]
BARS = 50
ENDS = ("kill", "hang", "end in order", "hang", "kill")
RUNNING = detector_pb2.STRATEGY_STATE_RUNNING


@pytest.fixture
async def rig(postgres_url):
    async with rig_for(postgres_url) as rig:
        yield rig


@pytest.fixture
def folder(tmp_path):
    for name in NAMES:
        file = tmp_path / f"{name}.py"
        file.write_text(STRATEGY.replace('name="always"', f'name="{name}"'))
    return tmp_path


@pytest.fixture
async def two(rig, postgres_url, valkey_url, folder):
    async with serving(rig.bars) as registry:
        processes = [detector_process(postgres_url, valkey_url, registry, folder) for _ in "ab"]
        for process in processes:
            process.start()
        yield processes
        for process in processes:
            process.kill()


async def listed(process):
    """What a detector lists, by strategy; nothing while it does not answer."""
    async with rpc.channel(process.address) as channel:
        stub = detector_pb2_grpc.DetectorStub(channel)
        with suppress(grpc.aio.AioRpcError):
            answer = await stub.ListStrategies(detector_pb2.ListStrategiesRequest(), timeout=5)
            return {one.strategy: one for one in answer.strategies}
    return {}


async def holders(rig):
    """How many shares each detector holds."""
    query = (
        "SELECT holder, count(*) FROM leases WHERE name LIKE %s AND expires_time > now() GROUP BY 1"
    )
    async with rig.database.transaction() as connection:
        return dict(await (await connection.execute(query, ["detector/share/%"])).fetchall())


async def are_divided(rig):
    return len(await holders(rig)) == 2


async def seen(rig):
    """The time of the newest bar that each strategy has stored."""
    query = "SELECT strategy, open_time_ns FROM detector_instances"
    async with rig.database.transaction() as connection:
        return dict(await (await connection.execute(query)).fetchall())


async def have_seen(rig, newest):
    """Wait until all strategies have stored a bar."""

    async def has_each():
        rig.bars.send(newest)
        found = await seen(rig)
        return [found.get(name, 0) for name in NAMES] == [newest.open_time_ns] * len(NAMES)

    await eventually(has_each)


def expected(folder, bars):
    """The signals of each strategy, without an interruption."""
    found = {}
    for name in NAMES:
        (loaded,) = load_file(folder / f"{name}.py")
        of = StrategyInstance(loaded, Instrument("binance", "BTCUSDT"))
        found[name] = [encoded(event) for one in bars if (event := of.update(one, FLAT))]
    return found


async def test_ends_of_either_lose_and_repeat_no_signal(two, rig, folder):
    chance, ends = random.Random(5), iter(ENDS)
    bars = [bar(number, 100.0 + chance.randrange(9)) for number in range(BARS)]
    await eventually(lambda: are_divided(rig))
    rig.bars.add(bars[0])
    await have_seen(rig, bars[0])
    for number, one in enumerate(bars):
        rig.bars.add(one)
        if number % (BARS // len(ENDS)) == 5:
            # Whatever the strategies do at this moment.
            process = chance.choice(two)
            match next(ends):
                case "kill":
                    process.kill()
                case "end in order":
                    # Its goodbye is answered by this process.
                    await asyncio.to_thread(process.stop)
                case "hang":
                    process.process.send_signal(signal.SIGSTOP)
            await have_seen(rig, one)
            if process.process.returncode is None:
                # It goes on where it hung, with leases that another one has taken.
                process.process.send_signal(signal.SIGCONT)
            else:
                process.start()
            await eventually(lambda: are_divided(rig))
    await have_seen(rig, bars[-1])
    stored = await rig.signals()
    wanted = expected(folder, bars)
    for name in NAMES:
        found = [one for one in stored if one.instance == name]
        assert numbers(found) == list(range(3, BARS))
        assert list(map(encoded, found)) == wanted[name]


async def test_each_of_them_answers_for_all_strategies(two, rig):
    await eventually(lambda: are_divided(rig))
    rig.bars.add(bar(0))
    await have_seen(rig, bar(0))
    for process in two:

        async def are_running(process=process):
            found = await listed(process)
            return [found[name].state for name in NAMES if name in found] == [RUNNING] * len(NAMES)

        await eventually(are_running)
        async with rpc.channel(process.address) as channel:
            stub = detector_pb2_grpc.DetectorStub(channel)
            for name in NAMES:
                found = await stub.Explain(detector_pb2.ExplainRequest(strategy=name))
                assert (found.status.strategy, found.bar) == (name, bar(0))
                asked = detector_pb2.GetEvaluationsRequest(strategy=name)
                evaluated = await stub.GetEvaluations(asked)
                assert [one.open_time_ns for one in evaluated.evaluations] == [bar(0).open_time_ns]
    gone, left = two
    gone.kill()

    async def has_all():
        return list((await holders(rig)).values()) == [16]

    await eventually(has_all)
    rig.bars.add(bar(1))
    await have_seen(rig, bar(1))
    found = await listed(left)
    assert [found[name].state for name in NAMES] == [RUNNING] * len(NAMES)
