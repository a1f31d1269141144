"""A running simulator with Kraken's dialect, and both kinds of clients of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp
import ccxt.pro

from tests.support.pretended_exchange import pretended_exchange

WAIT_S = 20.0


def running(world: str, **fields) -> AbstractAsyncContextManager[str]:
    """The base address of Kraken on a free port."""
    return pretended_exchange(world, "kraken", **fields)


@asynccontextmanager
async def ccxt_client(base: str, **config: object) -> AsyncIterator[ccxt.pro.kraken]:
    """ccxt as it comes, with other addresses. ``config`` is what it is given besides: keys."""
    feed = base.replace("http", "ws")
    sockets = {"publicV2": f"{feed}/v2", "privateV2": f"{feed}/v2/", "private": f"{feed}/"}
    urls = {"api": {"public": base, "private": base, "ws": sockets}}
    client = ccxt.pro.kraken({"enableRateLimit": False, "urls": urls, **config})
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

    async def connect(self) -> aiohttp.ClientWebSocketResponse:
        return await self._session.ws_connect(self._base + "/v2", max_msg_size=0)

    async def subscribe(
        self, websocket: aiohttp.ClientWebSocketResponse, channel: str, *symbols: str, **more
    ) -> None:
        params = {"channel": channel, "symbol": symbols, **more}
        await websocket.send_json({"method": "subscribe", "params": params, "req_id": 1})

    async def get(self, path: str, expected_status: int = 200):
        async with self._session.get(self._base + path) as response:
            assert response.status == expected_status, await response.text()
            return await response.json()

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
