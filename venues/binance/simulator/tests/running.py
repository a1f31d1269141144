"""A running simulator with Binance's dialect, and both kinds of clients of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import ccxt.pro

from kit.clock import SystemClock
from kit.simulator.app import Simulator
from kit.simulator.dialect import find_dialects
from kit.simulator.settings import SimulatorSettings
from kit.simulator.tape import Tape

WAIT_S = 20.0


@asynccontextmanager
async def running(world: str, venue: str = "binance", **fields) -> AsyncIterator[str]:
    """Yields the base address of one of Binance's venues on a free port."""
    dialects = {venue: find_dialects()[venue]}
    chosen = SimulatorSettings(port=0, start_delay_ms=50, **fields)
    simulator = Simulator(world, chosen, dialects, SystemClock())
    await simulator.start("127.0.0.1")
    stopping = asyncio.Event()
    task = asyncio.create_task(simulator.run(stopping))
    try:
        yield f"http://127.0.0.1:{simulator.port}/{venue}"
    finally:
        stopping.set()
        await asyncio.wait_for(task, WAIT_S)


@asynccontextmanager
async def ccxt_client(base: str) -> AsyncIterator[ccxt.pro.binance]:
    """ccxt as it comes, with other addresses. Its spot address must contain ``/stream``."""
    client = ccxt.pro.binance(
        {
            "enableRateLimit": False,
            "options": {"fetchMarkets": {"types": ["spot", "linear", "inverse"]}},
            "urls": {
                "api": {
                    "public": f"{base}/api/v3",
                    "private": f"{base}/api/v3",
                    "v1": f"{base}/api/v1",
                    "sapi": f"{base}/sapi/v1",
                    "fapiPublic": f"{base}/fapi/v1",
                    "dapiPublic": f"{base}/dapi/v1",
                    "ws": {"spot": base.replace("http", "ws") + "/stream/ws"},
                }
            },
        }
    )
    try:
        async with asyncio.timeout(WAIT_S):
            yield client
    finally:
        await client.close()


@asynccontextmanager
async def ccxt_futures_client(base: str) -> AsyncIterator[ccxt.pro.binanceusdm]:
    """The same for futures. Their address must end in ``/ws``, before which ccxt puts the route."""
    client = ccxt.pro.binanceusdm(
        {
            "enableRateLimit": False,
            "options": {"fetchCurrencies": False},
            "urls": {
                "api": {
                    "fapiPublic": f"{base}/fapi/v1",
                    "ws": {"linear": base.replace("http", "ws") + "/ws"},
                }
            },
        }
    )
    try:
        async with asyncio.timeout(WAIT_S):
            yield client
    finally:
        await client.close()


@asynccontextmanager
async def trading_client(
    base: str, key: str = "demo-key", secret: str = "demo-secret", **more: object
) -> AsyncIterator[ccxt.pro.binance]:
    """ccxt as it comes, with a key and other addresses."""
    ws = base.replace("http", "ws")
    options = {
        "fetchMarkets": {"types": ["spot"]},
        "fetchOpenOrders": {"warnWithoutSymbol": False},
    }
    urls = {
        "public": f"{base}/api/v3",
        "private": f"{base}/api/v3",
        "sapi": f"{base}/sapi/v1",
        "ws": {"spot": f"{ws}/stream/ws", "ws-api": {"spot": f"{ws}/ws-api/v3"}},
    }
    client = ccxt.pro.binance(
        {
            "apiKey": key,
            "secret": secret,
            "enableRateLimit": False,
            "options": options,
            "urls": {"api": urls},
            **more,
        }
    )
    try:
        async with asyncio.timeout(WAIT_S):
            await client.load_markets()
            yield client
    finally:
        await client.close()


@asynccontextmanager
async def trading_futures_client(
    base: str, key: str = "demo-key", secret: str = "demo-secret"
) -> AsyncIterator[ccxt.pro.binanceusdm]:
    """The same for futures."""
    ws = base.replace("http", "ws")
    urls = {
        "fapiPublic": f"{base}/fapi/v1",
        "fapiPrivate": f"{base}/fapi/v1",
        "fapiPrivateV2": f"{base}/fapi/v2",
        "fapiPrivateV3": f"{base}/fapi/v3",
        "sapi": f"{base}/sapi/v1",
        "ws": {"linear": f"{ws}/ws", "ws-api": {"linear": f"{ws}/ws-fapi/v1"}},
    }
    client = ccxt.pro.binanceusdm(
        {
            "apiKey": key,
            "secret": secret,
            "enableRateLimit": False,
            "options": {"fetchOpenOrders": {"warnWithoutSymbol": False}},
            "urls": {"api": urls},
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

    async def order(self, **fault) -> None:
        """Switch a fault on."""
        server = self._base.rpartition("/")[0]
        async with self._session.post(f"{server}/faults", json=fault) as response:
            assert response.status == 200, await response.text()

    async def clear_faults(self) -> None:
        """Switch all off."""
        server = self._base.rpartition("/")[0]
        async with self._session.delete(f"{server}/faults") as response:
            assert response.status == 200, await response.text()

    async def get(self, path: str, expected_status: int = 200):
        async with self._session.get(self._base + path) as response:
            assert response.status == expected_status, await response.text()
            return await response.json()


def lines_of(file: Path) -> Iterator[bytes]:
    """The frames of a capture."""
    for block in Tape([file]).blocks():
        yield from block.lines
