"""A running simulator with Coinbase's dialect, and its clients."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp
import ccxt.pro

from tests.support.pretended_exchange import pretended_exchange

WAIT_S = 20.0


def running(world: str, **fields) -> AbstractAsyncContextManager[str]:
    """The base address of Coinbase on a free port."""
    return pretended_exchange(world, "coinbase", **fields)


@asynccontextmanager
async def ccxt_client(base: str, feed: str, **config: object) -> AsyncIterator[ccxt.pro.Exchange]:
    """ccxt as it comes, with other addresses. ``config`` is what it is given besides: keys. On
    Exchange it wants a key for books; any will do."""
    websocket = base.replace("http", "ws")
    if feed == "advanced":
        urls = {"rest": base, "ws": websocket}
        client = ccxt.pro.coinbase({"enableRateLimit": False, "urls": {"api": urls}, **config})
    else:
        urls = {"public": base, "private": base, "ws": websocket}
        keys = {"apiKey": "any", "secret": "YW55", "password": "any"}
        given = {"enableRateLimit": False, "urls": {"api": urls}, **keys, **config}
        client = ccxt.pro.coinbaseexchange(given)
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
        return await self._session.ws_connect(self._base, max_msg_size=0)

    async def get(self, path: str, expected_status: int = 200):
        async with self._session.get(self._base + path) as response:
            assert response.status == expected_status, await response.text()
            return await response.json()

    async def order(self, **fault: object) -> None:
        """Switch a fault on."""
        body = {"venue": "coinbase", **fault}
        async with self._session.post(self._base + "/../faults", json=body) as response:
            assert response.status == 200, await response.text()
