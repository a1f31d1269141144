"""A running simulator with Coinbase's dialect, and ccxt as its client."""

from contextlib import AbstractAsyncContextManager

import ccxt.pro

from tests.support.ccxt_client import lasting
from tests.support.simulated_exchange import simulated_exchange


def running(world: str, **fields) -> AbstractAsyncContextManager[str]:
    """The base address of Coinbase on a free port."""
    return simulated_exchange(world, "coinbase", **fields)


def ccxt_client(
    base: str, feed: str, **config: object
) -> AbstractAsyncContextManager[ccxt.pro.Exchange]:
    """ccxt unmodified, with other addresses. ``config``: further configuration, such as keys. On
    Exchange, ccxt needs any key for books."""
    websocket = base.replace("http", "ws")
    if feed == "advanced":
        urls = {"rest": base, "ws": websocket}
        given = {"enableRateLimit": False, "urls": {"api": urls}, **config}
        return lasting(ccxt.pro.coinbase(given))
    urls = {"public": base, "private": base, "ws": websocket}
    keys = {"apiKey": "any", "secret": "YW55", "password": "any"}
    given = {"enableRateLimit": False, "urls": {"api": urls}, **keys, **config}
    return lasting(ccxt.pro.coinbaseexchange(given))
