"""A client of a running simulator with the raw messages of the wire."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from kit.simulator.capture_files import CaptureFiles
from tests.support.waiting import WAIT_SECONDS_MAX


class RawClient:
    """Websockets, REST calls and faults of one venue."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base
        server, _, self._venue = base.rpartition("/")
        self._faults = f"{server}/faults"

    async def connect(self, path: str = "") -> aiohttp.ClientWebSocketResponse:
        """A websocket, however large its messages are."""
        return await self._session.ws_connect(self._base + path, max_msg_size=0)

    async def get(self, path: str, expected_status: int = 200) -> Any:
        """The answer of a REST call."""
        async with self._session.get(self._base + path) as response:
            assert response.status == expected_status, await response.text()
            return await response.json()

    async def order(self, **fault: object) -> None:
        """Switch a fault on, of this venue unless another is named."""
        body = {"venue": self._venue, **fault}
        async with self._session.post(self._faults, json=body) as response:
            assert response.status == 200, await response.text()

    async def clear_faults(self) -> None:
        """Switch all off."""
        async with self._session.delete(self._faults) as response:
            assert response.status == 200, await response.text()


@asynccontextmanager
async def raw_client(base: str) -> AsyncIterator[RawClient]:
    """A client with a test timeout."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(WAIT_SECONDS_MAX):
        yield RawClient(session, base)


def lines_of(file: Path) -> Iterator[bytes]:
    """The lines of a capture."""
    for block in CaptureFiles([file]).blocks():
        yield from block.lines


async def until_subscribed(base: str, *streams: str) -> None:
    """Wait until clients are subscribed to all of these; ``base``: of the only venue that runs."""
    server, _, venue = base.rpartition("/")
    found: set[str] = set()
    async with aiohttp.ClientSession() as session:
        while not set(streams) <= found:
            async with session.get(f"{server}/status") as response:
                (status,) = (await response.json())["venues"]
                assert status["venue"] == venue
                found = set(status["streams"])
