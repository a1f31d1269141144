"""What the simulator says of a venue's capture reaches the venue process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from kit.connector.process.replay_monitor import ReplayMonitor
from tests.support.waiting import WAIT_SECONDS_MAX


class Simulator:
    """Answers /replay/status; with no venues it fails."""

    def __init__(self) -> None:
        self.venues: list[dict[str, Any]] = []
        self.calls = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.calls += 1
        if not self.venues:
            return web.Response(status=502)
        return web.json_response({"venues": self.venues})


class Clock:
    """A sleep takes no time."""

    def time_ns(self) -> int:
        return 0

    def monotonic_ns(self) -> int:
        return 0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@asynccontextmanager
async def asking(simulator: Simulator) -> AsyncIterator[ReplayMonitor]:
    app = web.Application()
    app.router.add_get("/replay/status", simulator.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    status = ReplayMonitor("binance", f"http://127.0.0.1:{runner.addresses[0][1]}", Clock())
    task = asyncio.create_task(status.run())
    try:
        yield status
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await runner.cleanup()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("field", ["problem", "failure"])
async def test_the_problem_of_our_tape_is_known_until_it_is_gone(field: str) -> None:
    simulator = Simulator()
    simulator.venues = [
        {"venue": "kraken", field: "not ours", "frames_played": 1},
        {"venue": "binance", field: "no frame fits"},
    ]
    async with asking(simulator) as status:
        await until(lambda: status.problem != "")
        assert status.problem == "no frame fits"
        simulator.venues[1][field] = ""
        await until(lambda: status.problem == "")


async def test_the_last_answer_counts_while_the_simulator_is_away() -> None:
    simulator = Simulator()
    simulator.venues = [{"venue": "binance", "problem": "no frame fits"}]
    async with asking(simulator) as status:
        await until(lambda: status.problem == "no frame fits")
        simulator.venues, calls = [], simulator.calls
        await until(lambda: simulator.calls > calls + 2)
        assert status.problem == "no frame fits"
