"""A running simulator with Bybit's dialect, and both kinds of clients of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp
import ccxt.pro

from tests.support.pretended_exchange import pretended_exchange
from venues.bybit.simulator import PATH
from venues.bybit.simulator.private.socket import PRIVATE_PATH, TRADE_PATH

WAIT_S = 20.0


def running(world: str, **fields) -> AbstractAsyncContextManager[str]:
    """The base address of Bybit on a free port."""
    return pretended_exchange(world, "bybit", **fields)


@asynccontextmanager
async def ccxt_client(base: str, **config: object) -> AsyncIterator[ccxt.pro.bybit]:
    """ccxt as it comes, with other addresses. Its spot address must contain ``spot``. ``config`` is
    what it is given besides: keys."""
    feed = base.replace("http", "ws")
    rest = dict.fromkeys(("spot", "futures", "v2", "public", "private"), base)
    private = {"contract": feed + PRIVATE_PATH, "trade": feed + TRADE_PATH}
    sockets = {"public": {"spot": feed + PATH}, "private": private}
    urls = {"api": {**rest, "ws": sockets}}
    client = ccxt.pro.bybit({"enableRateLimit": False, "urls": urls, **config})
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

    async def connect(self, *topics: str) -> aiohttp.ClientWebSocketResponse:
        """A websocket that has subscribed to these."""
        websocket = await self._session.ws_connect(self._base + PATH, max_msg_size=0)
        await websocket.send_json({"req_id": "1", "op": "subscribe", "args": topics})
        assert (await websocket.receive_json())["success"]
        return websocket

    async def get(self, path: str, expected_status: int = 200):
        async with self._session.get(self._base + path) as response:
            assert response.status == expected_status, await response.text()
            return await response.json()

    async def order(self, **fault) -> None:
        """Switch a fault on."""
        server = self._base.rpartition("/")[0]
        async with self._session.post(f"{server}/faults", json=fault) as response:
            assert response.status == 200, await response.text()
