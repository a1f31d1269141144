"""A running simulator with Bybit's dialect, and ccxt as its client."""

from contextlib import AbstractAsyncContextManager

import aiohttp
import ccxt.pro

from tests.support.ccxt_client import lasting
from tests.support.raw_client import RawClient
from tests.support.simulated_exchange import simulated_exchange
from venues.bybit.simulator.websocket import PRIVATE_PATH, PUBLIC_PATH, TRADE_PATH


def running(world: str, **fields) -> AbstractAsyncContextManager[str]:
    """The base address of Bybit on a free port."""
    return simulated_exchange(world, "bybit", **fields)


def ccxt_client(base: str, **config: object) -> AbstractAsyncContextManager[ccxt.pro.bybit]:
    """The unmodified ccxt, with other addresses; its spot address must contain ``spot``. ``config``
    has further settings, such as keys."""
    feed = base.replace("http", "ws")
    rest = dict.fromkeys(("spot", "futures", "v2", "public", "private"), base)
    private = {"contract": feed + PRIVATE_PATH, "trade": feed + TRADE_PATH}
    sockets = {"public": {"spot": feed + PUBLIC_PATH}, "private": private}
    urls = {"api": {**rest, "ws": sockets}}
    return lasting(ccxt.pro.bybit({"enableRateLimit": False, "urls": urls, **config}))


async def subscribed(client: RawClient, *topics: str) -> aiohttp.ClientWebSocketResponse:
    """A websocket that has subscribed to these."""
    websocket = await client.connect(PUBLIC_PATH)
    await websocket.send_json({"req_id": "1", "op": "subscribe", "args": topics})
    assert (await websocket.receive_json())["success"]
    return websocket
