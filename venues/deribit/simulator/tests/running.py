"""A running simulator with Deribit's dialect, and ccxt as its client."""

from contextlib import AbstractAsyncContextManager

import aiohttp
import ccxt.pro

from tests.support.ccxt_client import lasting
from tests.support.raw_client import RawClient
from tests.support.simulated_exchange import simulated_exchange
from venues.deribit.simulator.websocket import PATH


def running(world: str, **fields) -> AbstractAsyncContextManager[str]:
    """The base address of Deribit on a free port."""
    return simulated_exchange(world, "deribit", **fields)


def ccxt_client(base: str, **config: object) -> AbstractAsyncContextManager[ccxt.pro.deribit]:
    """ccxt unmodified, with other addresses. ``config``: further configuration, such as keys."""
    addresses = {"rest": base, "ws": base.replace("http", "ws") + PATH}
    given = {"enableRateLimit": False, "urls": {"api": addresses}, **config}
    return lasting(ccxt.pro.deribit(given))


async def subscribed(client: RawClient, *channels: str) -> aiohttp.ClientWebSocketResponse:
    """A connection that has subscribed to these channels; the response is not read yet."""
    websocket = await client.connect(PATH)
    params = {"channels": list(channels)}
    call = {"jsonrpc": "2.0", "id": 1, "method": "public/subscribe", "params": params}
    await websocket.send_json(call)
    return websocket
