"""ccxt as it comes, as a client of a running simulator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

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
