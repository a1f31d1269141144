"""A running simulator with OKX's dialects, and both kinds of clients of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import ccxt.pro

from kit.clock import SystemClock
from kit.simulator.app import Simulator
from kit.simulator.settings import SimulatorSettings
from venues.okx.simulator import DIALECTS

WAIT_S = 20.0


@asynccontextmanager
async def running(world: str, venue_id: str = "okx", **fields) -> AsyncIterator[str]:
    """Yields the base address of one of OKX's venues on a free port."""
    chosen = SimulatorSettings(port=0, start_delay_ms=50, **fields)
    simulator = Simulator(world, chosen, {venue_id: DIALECTS[venue_id]}, SystemClock())
    await simulator.start("127.0.0.1")
    stopping = asyncio.Event()
    task = asyncio.create_task(simulator.run(stopping))
    try:
        yield f"http://127.0.0.1:{simulator.port}/{venue_id}"
    finally:
        stopping.set()
        await asyncio.wait_for(task, WAIT_S)


@asynccontextmanager
async def ccxt_client(base: str) -> AsyncIterator[ccxt.pro.okx]:
    """ccxt as it comes, with other addresses."""
    client = ccxt.pro.okx(
        {
            "enableRateLimit": False,
            "urls": {"api": {"rest": base, "ws": base.replace("http", "ws") + "/ws/v5"}},
        }
    )
    try:
        async with asyncio.timeout(WAIT_S):
            yield client
    finally:
        await client.close()


@asynccontextmanager
async def trading_client(
    base: str, key: str = "demo-key", secret: str = "demo-secret", password: str = "demo-password"
) -> AsyncIterator[ccxt.pro.okx]:
    """ccxt as it comes, with a key and other addresses."""
    client = ccxt.pro.okx(
        {
            "apiKey": key,
            "secret": secret,
            "password": password,
            "enableRateLimit": False,
            "urls": {"api": {"rest": base, "ws": base.replace("http", "ws") + "/ws/v5"}},
        }
    )
    try:
        async with asyncio.timeout(WAIT_S):
            await client.load_markets()
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

    async def connect(self, path: str) -> aiohttp.ClientWebSocketResponse:
        return await self._session.ws_connect(self._base + path, max_msg_size=0)

    async def get(self, path: str, expected_status: int = 200):
        async with self._session.get(self._base + path) as response:
            assert response.status == expected_status, await response.text()
            return await response.json()

    async def post(self, path: str, content: object):
        async with self._session.post(self._base + path, json=content) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def order(self, **fields: object) -> None:
        """Let something go wrong."""
        await self.post("/../faults", fields)
