"""The way to the venue takes its time, and keeps the order."""

import asyncio
import math
import random

from kit.execution.paper.latency import DELAY_S_MAX, LatencyQueue
from kit.execution.tests.simulated_process import LoopClock, run


async def travelled(line, name, arrived):
    await line.delay()
    arrived.append((name, asyncio.get_running_loop().time()))


def test_what_was_sent_first_arrives_first_and_nothing_is_faster_than_the_line():
    async def scenario():
        line = LatencyQueue(LoopClock(), 20, 10, random.Random(1))
        arrived = []
        await asyncio.gather(*(travelled(line, name, arrived) for name in range(200)))
        assert [name for name, _ in arrived] == list(range(200))
        assert arrived[0][1] >= 0.02

    run(scenario())


def test_the_jitter_is_as_long_as_it_is_said_in_the_median():
    async def scenario():
        took = []
        for seed in range(301):
            line, began = LatencyQueue(LoopClock(), 20, 10, random.Random(seed)), loop_time()
            await line.delay()
            took.append(loop_time() - began)
        took.sort()
        assert 0.027 < took[150] < 0.033
        assert took[-1] > 0.08

    run(scenario())


def test_without_latency_nothing_is_waited_for():
    async def scenario():
        line = LatencyQueue(LoopClock(), 0, 0, random.Random(1))
        await line.delay()
        assert loop_time() == 0

    run(scenario())


def loop_time():
    return asyncio.get_running_loop().time()


def test_in_a_market_that_goes_faster_messages_do_too():
    async def scenario():
        arrived = []
        for pace in (10.0, math.inf):
            await travelled(
                LatencyQueue(LoopClock(), 200, 0, random.Random(1), pace), pace, arrived
            )
        (_, first), (_, second) = arrived
        assert 0.02 <= first < 0.03
        assert second == first

    run(scenario())


def test_in_a_slow_market_no_message_takes_longer_than_its_call_may():
    async def scenario():
        arrived = []
        for pace in (0.5, 0.001):
            await travelled(
                LatencyQueue(LoopClock(), 200, 0, random.Random(1), pace), pace, arrived
            )
        (_, first), (_, second) = arrived
        assert 0.4 <= first < 0.5
        assert DELAY_S_MAX <= second - first < DELAY_S_MAX + 0.01

    run(scenario())
