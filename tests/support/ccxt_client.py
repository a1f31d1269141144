"""ccxt as it comes: a client of a running simulator, or given frames by hand."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import ccxt.pro

ClientT = TypeVar("ClientT", bound=ccxt.pro.Exchange)
WAIT_SECONDS_MAX = 20.0


@asynccontextmanager
async def lasting(client: ClientT, *, with_markets: bool = False) -> AsyncIterator[ClientT]:
    """For as long as a test may take, and closed then. ``with_markets``: it has loaded them."""
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            if with_markets:
                await client.load_markets()
            yield client
    finally:
        await client.close()


class Wire:
    """What ccxt's handlers need of a connection, when nobody waits for what they read."""

    def __init__(self, url: str, subscriptions: dict[str, Any] | None = None) -> None:
        self.url = url
        self.subscriptions = {} if subscriptions is None else subscriptions

    def resolve(self, result: object, name: str) -> None:
        """Nobody waits."""

    def reject(self, error: Exception, name: object = None) -> None:
        raise error


def heard(exchange: ccxt.pro.Exchange, wire: Wire, lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, each after ccxt has handled it."""
    for line in lines:
        exchange.handle_message(wire, json.loads(line))
        yield line
