"""A running simulator with OKX's dialects, and ccxt as its client."""

from contextlib import AbstractAsyncContextManager

import ccxt.pro

from tests.support.ccxt_client import lasting
from tests.support.simulated_exchange import simulated_exchange


def running(world: str, venue_id: str = "okx", **fields) -> AbstractAsyncContextManager[str]:
    """The base address of one of OKX's venues on a free port."""
    return simulated_exchange(world, venue_id, **fields)


def ccxt_client(base: str) -> AbstractAsyncContextManager[ccxt.pro.okx]:
    """Unmodified ccxt with the addresses of the simulator."""
    return lasting(ccxt.pro.okx(_config(base)))


def trading_client(
    base: str, key: str = "demo-key", secret: str = "demo-secret", password: str = "demo-password"
) -> AbstractAsyncContextManager[ccxt.pro.okx]:
    """The same with a key."""
    keys = {"apiKey": key, "secret": secret, "password": password}
    return lasting(ccxt.pro.okx({**_config(base), **keys}), with_markets=True)


def _config(base: str) -> dict[str, object]:
    addresses = {"rest": base, "ws": base.replace("http", "ws") + "/ws/v5"}
    return {"enableRateLimit": False, "urls": {"api": addresses}}
