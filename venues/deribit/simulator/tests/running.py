"""A running simulator with Deribit's dialect, and both kinds of clients of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import ccxt.pro

from kit.clock import SystemClock
from kit.simulator.app import Simulator
from kit.simulator.settings import SimulatorSettings
from venues.deribit.simulator import DIALECTS, PATH

WAIT_S = 20.0


@asynccontextmanager
async def running(world: str, **fields) -> AsyncIterator[str]:
    """Yields the base address of Deribit on a free port."""
    chosen = SimulatorSettings(port=0, start_delay_ms=50, **fields)
    simulator = Simulator(world, chosen, DIALECTS, SystemClock())
    await simulator.start("127.0.0.1")
    stopping = asyncio.Event()
    task = asyncio.create_task(simulator.run(stopping))
    try:
        yield f"http://127.0.0.1:{simulator.port}/deribit"
    finally:
        stopping.set()
        await asyncio.wait_for(task, WAIT_S)


@asynccontextmanager
async def ccxt_client(base: str, **config: object) -> AsyncIterator[ccxt.pro.deribit]:
    """ccxt as it comes, with other addresses. ``config`` is what it is given besides: keys."""
    addresses = {"rest": base, "ws": base.replace("http", "ws") + PATH}
    client = ccxt.pro.deribit({"enableRateLimit": False, "urls": {"api": addresses}, **config})
    try:
        async with asyncio.timeout(WAIT_S):
            yield client
    finally:
        await client.close()


@asynccontextmanager
async def raw_client(base: str) -> AsyncIterator["RawClient"]:
    """A client that sees what is on the wire."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(WAIT_S):
        yield RawClient(session, base)


class RawClient:
    """Websockets and REST calls, unexplained."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base

    async def subscribe(self, *channels: str) -> aiohttp.ClientWebSocketResponse:
        """A connection that was told of these channels; the answer is not read yet."""
        websocket = await self._session.ws_connect(self._base + PATH, max_msg_size=0)
        call = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "public/subscribe",
            "params": {"channels": list(channels)},
        }
        await websocket.send_json(call)
        return websocket

    async def get(self, path: str, expected_status: int = 200):
        async with self._session.get(self._base + path) as response:
            assert response.status == expected_status, await response.text()
            return await response.json()

    async def order(self, **fault: object) -> None:
        """Switch a fault on."""
        address = self._base.rsplit("/", 1)[0] + "/faults"
        async with self._session.post(address, json=fault) as response:
            assert response.status == 200, await response.text()
