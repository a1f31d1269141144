"""Requests to TigerBeetle, each with a deadline.

The library waits for ever for servers that are away. A client that has waited too long is closed,
and the next request makes another one, which also looks up the names of the hosts again.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tigerbeetle import (
    ClientAsync,
    ClientClosedError,
    ClientEvictedError,
    ClientReleaseTooHighError,
    ClientReleaseTooLowError,
    TooMuchDataError,
    configure_logging,
)
from tigerbeetle.client import InitError

from kit.base.errors import StoreUnavailable

TIGERBEETLE = "tigerbeetle"
"""Name of the store in the metadata of StoreUnavailable."""
ANSWER_SECONDS_MAX = 5.0
_REFUSALS = (
    ClientClosedError,
    ClientEvictedError,
    ClientReleaseTooHighError,
    ClientReleaseTooLowError,
    TooMuchDataError,
)

Answer = TypeVar("Answer")

# Otherwise the library formats every line for debugging, and warns of each attempt to connect.
configure_logging(debug=False)
logging.getLogger("tigerbeetle").setLevel(logging.ERROR)


class TigerBeetleClient:
    """A client of one cluster. ``addresses``: host:port of each replica, with commas between."""

    def __init__(self, addresses: str, cluster: int) -> None:
        self._addresses = addresses
        self._cluster = cluster
        self._client: ClientAsync | None = None

    async def ask(self, request: Callable[[ClientAsync], Awaitable[list[Answer]]]) -> list[Answer]:
        """The answer to a request.

        Raises StoreUnavailable. The request may still have an effect then, also later.
        """
        client = await self._connected()
        # It cannot be cancelled: the library would keep it, and fail when it is closed.
        asked = asyncio.ensure_future(request(client))
        asked.add_done_callback(_look_at)
        await asyncio.wait({asked}, timeout=ANSWER_SECONDS_MAX)
        if not asked.done():
            await self._drop(client)
            text = f"no answer in {ANSWER_SECONDS_MAX:g} s, of cluster {self._cluster}"
            raise StoreUnavailable(f"TigerBeetle is away: {text}", store=TIGERBEETLE)
        try:
            return asked.result()
        except _REFUSALS as error:
            await self._drop(client)
            raise StoreUnavailable(f"TigerBeetle refuses: {error}", store=TIGERBEETLE) from error

    async def close(self) -> None:
        if self._client is not None:
            await self._drop(self._client)

    async def _connected(self) -> ClientAsync:
        if self._client is not None:
            return self._client
        try:
            replicas = [await _resolved(one.strip()) for one in self._addresses.split(",")]
            if self._client is None:
                self._client = ClientAsync(self._cluster, ",".join(replicas))
        except (OSError, InitError) as error:
            text = f"TigerBeetle at {self._addresses} cannot be asked: {error}"
            raise StoreUnavailable(text, store=TIGERBEETLE) from error
        return self._client

    async def _drop(self, client: ClientAsync) -> None:
        if self._client is client:
            self._client = None
            await client.close()


async def _resolved(address: str) -> str:
    """An address for the library, which resolves no host names."""
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    ip = found[0][4][0]
    return f"[{ip}]:{port}" if ":" in str(ip) else f"{ip}:{port}"


def _look_at(asked: "asyncio.Future[Any]") -> None:
    """Nobody else looks at the error of a request that was given up."""
    if not asked.cancelled():
        asked.exception()
