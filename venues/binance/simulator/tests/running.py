"""A running simulator with Binance's dialects, and ccxt as its client."""

from contextlib import AbstractAsyncContextManager

import ccxt.pro

from tests.support.ccxt_client import lasting
from tests.support.simulated_exchange import simulated_exchange


def running(world: str, venue: str = "binance", **fields) -> AbstractAsyncContextManager[str]:
    """The base address of one of Binance's venues on a free port."""
    return simulated_exchange(world, venue, **fields)


def ccxt_client(base: str) -> AbstractAsyncContextManager[ccxt.pro.binance]:
    """The unmodified ccxt, with other addresses. Its spot address must contain ``/stream``."""
    options = {"fetchMarkets": {"types": ["spot", "linear", "inverse"]}}
    urls = {
        "public": f"{base}/api/v3",
        "private": f"{base}/api/v3",
        "v1": f"{base}/api/v1",
        "sapi": f"{base}/sapi/v1",
        "fapiPublic": f"{base}/fapi/v1",
        "dapiPublic": f"{base}/dapi/v1",
        "ws": {"spot": base.replace("http", "ws") + "/stream/ws"},
    }
    return lasting(ccxt.pro.binance(_config(urls, options)))


def ccxt_futures_client(base: str) -> AbstractAsyncContextManager[ccxt.pro.binanceusdm]:
    """The same for futures. Their address must end in ``/ws``, before which ccxt puts the route."""
    urls = {
        "fapiPublic": f"{base}/fapi/v1",
        "ws": {"linear": base.replace("http", "ws") + "/ws"},
    }
    return lasting(ccxt.pro.binanceusdm(_config(urls, {"fetchCurrencies": False})))


def trading_client(
    base: str, key: str = "demo-key", secret: str = "demo-secret", **more: object
) -> AbstractAsyncContextManager[ccxt.pro.binance]:
    """The unmodified ccxt, with a key and other addresses."""
    ws = base.replace("http", "ws")
    options = {
        "fetchMarkets": {"types": ["spot"]},
        "fetchOpenOrders": {"warnWithoutSymbol": False},
    }
    urls = {
        "public": f"{base}/api/v3",
        "private": f"{base}/api/v3",
        "sapi": f"{base}/sapi/v1",
        "ws": {"spot": f"{ws}/stream/ws", "ws-api": {"spot": f"{ws}/ws-api/v3"}},
    }
    given = {**_config(urls, options), "apiKey": key, "secret": secret, **more}
    return lasting(ccxt.pro.binance(given), with_markets=True)


def trading_futures_client(
    base: str, key: str = "demo-key", secret: str = "demo-secret"
) -> AbstractAsyncContextManager[ccxt.pro.binanceusdm]:
    """The same for futures."""
    ws = base.replace("http", "ws")
    options = {"fetchOpenOrders": {"warnWithoutSymbol": False}}
    urls = {
        "fapiPublic": f"{base}/fapi/v1",
        "fapiPrivate": f"{base}/fapi/v1",
        "fapiPrivateV2": f"{base}/fapi/v2",
        "fapiPrivateV3": f"{base}/fapi/v3",
        "sapi": f"{base}/sapi/v1",
        "ws": {"linear": f"{ws}/ws", "ws-api": {"linear": f"{ws}/ws-fapi/v1"}},
    }
    given = {**_config(urls, options), "apiKey": key, "secret": secret}
    return lasting(ccxt.pro.binanceusdm(given), with_markets=True)


def _config(urls: dict[str, object], options: dict[str, object]) -> dict[str, object]:
    return {"enableRateLimit": False, "options": options, "urls": {"api": urls}}
