"""A running simulator with Kraken's dialect, and ccxt as its client."""

from contextlib import AbstractAsyncContextManager

import aiohttp
import ccxt.pro

from tests.support.ccxt_client import lasting
from tests.support.simulated_exchange import simulated_exchange


def running(world: str, **fields) -> AbstractAsyncContextManager[str]:
    """The base address of Kraken on a free port."""
    return simulated_exchange(world, "kraken", **fields)


def ccxt_client(base: str, **config: object) -> AbstractAsyncContextManager[ccxt.pro.kraken]:
    """ccxt unmodified, with other addresses. ``config``: further configuration, such as keys."""
    feed = base.replace("http", "ws")
    sockets = {"publicV2": f"{feed}/v2", "privateV2": f"{feed}/v2/", "private": f"{feed}/"}
    urls = {"api": {"public": base, "private": base, "ws": sockets}}
    return lasting(ccxt.pro.kraken({"enableRateLimit": False, "urls": urls, **config}))


async def subscribe(
    websocket: aiohttp.ClientWebSocketResponse, channel: str, *symbols: str, **more: object
) -> None:
    """Say so; the answer is not read yet."""
    params = {"channel": channel, "symbol": symbols, **more}
    await websocket.send_json({"method": "subscribe", "params": params, "req_id": 1})
