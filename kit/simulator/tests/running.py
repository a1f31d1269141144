"""A running simulator with a small exchange, and a client of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import ClientWebSocketResponse, WSMsgType

from kit.base.clock import SystemClock
from kit.simulator.app import Simulator
from kit.simulator.control_access import ControlAccess
from kit.simulator.settings import SimulatorSettings
from kit.simulator.tests.fakes import FakeExchange
from tests.support.waiting import WAIT_SECONDS_MAX


class Client:
    """A client of one running simulator."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session = session
        self.base = base

    async def get(self, path: str, **options) -> tuple[int, bytes]:
        async with self.session.get(self.base + path, **options) as response:
            return response.status, await response.read()

    async def json(self, path: str) -> dict:
        async with self.session.get(self.base + path) as response:
            assert response.status == 200
            return await response.json()

    async def fault(self, fault: str, **fields) -> int:
        order = {"venue": "fake", "fault": fault, **fields}
        async with self.session.post(self.base + "/faults", json=order) as response:
            return response.status

    async def subscribe(self, names: str, **options) -> ClientWebSocketResponse:
        websocket = await self.session.ws_connect(self.base + "/fake/ws", **options)
        await websocket.send_str(names)
        assert await text_of(websocket) == names.upper()
        return websocket

    async def finished(self) -> dict:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while True:
                (status,) = (await self.json("/replay/status"))["venues"]
                if status["finished"]:
                    return status


async def text_of(websocket: ClientWebSocketResponse) -> str:
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        message = await websocket.receive()
    assert message.type is WSMsgType.TEXT, message
    return message.data


async def quietly(websocket: ClientWebSocketResponse) -> str | None:
    """The next text, or None when there is none for a moment."""
    try:
        return (await websocket.receive(timeout=0.2)).data
    except TimeoutError:
        return None


@asynccontextmanager
async def running(
    world: str = "simulate", exchange=FakeExchange, access: ControlAccess | None = None, **fields
) -> AsyncIterator[Client]:
    chosen = SimulatorSettings(port=0, start_delay_ms=20, **fields)
    simulator = Simulator(world, chosen, {"fake": exchange}, SystemClock(), access)
    await simulator.start("127.0.0.1")
    stopping = asyncio.Event()
    task = asyncio.create_task(simulator.run(stopping))
    try:
        async with aiohttp.ClientSession() as session:
            yield Client(session, f"http://127.0.0.1:{simulator.port}")
    finally:
        stopping.set()
        await asyncio.wait_for(task, WAIT_SECONDS_MAX)
