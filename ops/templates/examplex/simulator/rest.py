"""Examplex's REST answers, as the exchange would give them.

To change: paths, parameters and answers; what it says when it refuses a call.
"""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import MarketView, RestRequest, RestResponse
from kit.simulator.history import TradePrint
from kit.simulator.listing import Listing
from ops.templates.examplex.simulator.candles import candle_row, interval_start

LIMIT_USUAL = 100
LIMIT_MAX = 1000
FAILURES: Mapping[int, bytes] = {
    418: b'{"error":"banned"}',
    429: b'{"error":"too many requests"}',
    500: b'{"error":"internal error"}',
}
NO_SYMBOL = RestResponse(b'{"error":"unknown symbol"}', status=404)
WRONG = RestResponse(b'{"error":"wrong parameter"}', status=400)


async def answer(request: RestRequest, market_view: MarketView) -> RestResponse:
    """One call."""
    recorded = market_view.recorded(request.path)
    if recorded is not None:
        return RestResponse(recorded)
    if request.path == "/instruments":
        return _answer([_market(one) for one in market_view.listings()])
    handler = HANDLERS.get(request.path)
    if handler is None:
        return RestResponse(b'{"error":"no such path"}', status=404)
    symbol = request.query.get("symbol", "")
    if symbol not in {one.symbol for one in market_view.listings()}:
        return NO_SYMBOL
    try:
        return await handler(symbol, request.query, market_view)
    except ValueError:
        return WRONG


async def _book(symbol: str, query: Mapping[str, str], market_view: MarketView) -> RestResponse:
    book = await market_view.book(symbol)
    if book is None:
        return RestResponse(FAILURES[500], status=500)
    time = market_view.time_ns() // NANOSECONDS_PER_MILLISECOND
    body = {"time": time, "sequence": book.sequence, "bids": book.bids, "asks": book.asks}
    return _answer(body)


async def _trades(symbol: str, query: Mapping[str, str], market_view: MarketView) -> RestResponse:
    """From an id, from a time, or the newest; oldest first."""
    history, limit = market_view.history(symbol), _limit(query)
    if "from_id" in query:
        found = history.from_id(int(query["from_id"]), limit)
    elif "start" in query:
        start_ns = int(query["start"]) * NANOSECONDS_PER_MILLISECOND
        found = history.between(start_ns, market_view.time_ns(), limit)
    else:
        found = history.latest(limit)
    return _answer([_trade(one) for one in found])


async def _candles(symbol: str, query: Mapping[str, str], market_view: MarketView) -> RestResponse:
    """From a time, or the newest; oldest first."""
    start_of = interval_start(query.get("interval", ""))
    if start_of is None:
        return WRONG
    start_ns = int(query.get("start", 0)) * NANOSECONDS_PER_MILLISECOND
    found = market_view.history(symbol).candles(start_of, start_ns, market_view.time_ns())
    limit = _limit(query)
    chosen = found[:limit] if "start" in query else found[-limit:]
    return _answer([candle_row(candle) for candle in chosen])


HANDLERS: Mapping[str, Callable[[str, Mapping[str, str], MarketView], Awaitable[RestResponse]]] = {
    "/book": _book,
    "/trades": _trades,
    "/candles": _candles,
}


def _limit(query: Mapping[str, str]) -> int:
    return max(1, min(int(query.get("limit", LIMIT_USUAL)), LIMIT_MAX))


def _answer(body: object) -> RestResponse:
    return RestResponse(msgspec.json.encode(body))


def _market(one: Listing) -> dict[str, str]:
    return {
        "symbol": one.symbol,
        "base": one.base,
        "quote": one.quote,
        "tick_size": one.tick_size,
        "lot_size": one.lot_size,
        "minimum_notional": one.minimum_notional,
        "status": "halted" if one.halted else "trading",
    }


def _trade(trade: TradePrint) -> dict[str, object]:
    return {
        "id": trade.trade_id,
        "price": trade.price,
        "size": trade.size,
        "side": "buy" if trade.taker_buys else "sell",
        "time": trade.time_ns // NANOSECONDS_PER_MILLISECOND,
    }
