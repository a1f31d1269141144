"""The unmodified ccxt: a client of a running simulator, or fed with frames by a test."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import ccxt.pro

from tests.support.waiting import WAIT_SECONDS_MAX

ClientT = TypeVar("ClientT", bound=ccxt.pro.Exchange)


@asynccontextmanager
async def lasting(client: ClientT, *, with_markets: bool = False) -> AsyncIterator[ClientT]:
    """A client with a test timeout, closed at the end. ``with_markets``: load markets first."""
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            if with_markets:
                await client.load_markets()
            yield client
    finally:
        await client.close()


class Wire:
    """A connection for ccxt's handlers without waiting tasks."""

    def __init__(self, url: str, subscriptions: dict[str, Any] | None = None) -> None:
        self.url = url
        self.subscriptions = {} if subscriptions is None else subscriptions

    def resolve(self, result: object, name: str) -> None:
        """Do nothing, because no task waits."""

    def reject(self, error: Exception, name: object = None) -> None:
        raise error


def heard(exchange: ccxt.pro.Exchange, wire: Wire, lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, each after ccxt has handled it."""
    for line in lines:
        exchange.handle_message(wire, json.loads(line))
        yield line
