"""Examplex's REST calls.

To change: paths, parameters and answers.
"""

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import RestResponse
from kit.simulator.exchange.rest import ApiCall, ApiError, public
from kit.simulator.history import HistoricalTrade
from kit.simulator.listing import Listing
from ops.templates.examplex.simulator.candles import INTERVALS, candle_row

LIMIT_DEFAULT = 100
LIMIT_MAX = 1000


def accept(call: ApiCall, result: object) -> RestResponse:
    return RestResponse(msgspec.json.encode(result))


def reject(call: ApiCall, error: ApiError) -> RestResponse:
    """``{"error":"unknown symbol"}``"""
    return RestResponse(msgspec.json.encode({"error": error.code}), error.status)


def _instruments(call: ApiCall) -> list[dict[str, str]]:
    return [_instrument(one) for one in call.market_view.listings()]


async def _book(call: ApiCall) -> dict[str, object]:
    book = await call.market_view.book(call.listing().symbol)
    if book is None:
        raise call.errors.unavailable
    sides = {"bids": book.bids, "asks": book.asks}
    return {"time": call.now_ms, "sequence": book.sequence, **sides}


def _trades(call: ApiCall) -> list[dict[str, object]]:
    """From an id, from a time, or the newest; oldest first."""
    history = call.market_view.history(call.listing().symbol)
    limit = call.limit(LIMIT_DEFAULT, LIMIT_MAX)
    if call.text("from_id"):
        found = history.from_id(call.integer("from_id"), limit)
    elif call.text("start"):
        start_ns = call.integer("start") * NANOSECONDS_PER_MILLISECOND
        found = history.between(start_ns, call.now_ns, limit)
    else:
        found = history.latest(limit)
    return [_trade(one) for one in found]


def _candles(call: ApiCall) -> list[list[object]]:
    """From a time, or the newest; oldest first."""
    history = call.market_view.history(call.listing().symbol)
    interval = call.choice("interval", INTERVALS)
    start_ns = call.integer("start", 0) * NANOSECONDS_PER_MILLISECOND
    found = history.candles(interval.start_ns, start_ns, call.now_ns)
    limit = call.limit(LIMIT_DEFAULT, LIMIT_MAX)
    chosen = found[:limit] if call.text("start") else found[-limit:]
    return [candle_row(candle) for candle in chosen]


ROUTES = public(
    {
        "GET /instruments": _instruments,
        "GET /book": _book,
        "GET /trades": _trades,
        "GET /candles": _candles,
    },
    recorded=True,
)


def _instrument(one: Listing) -> dict[str, str]:
    return {
        "symbol": one.symbol,
        "base": one.base,
        "quote": one.quote,
        "tick_size": one.tick_size,
        "lot_size": one.lot_size,
        "minimum_notional": one.minimum_notional,
        "status": "halted" if one.halted else "trading",
    }


def _trade(trade: HistoricalTrade) -> dict[str, object]:
    return {
        "id": trade.trade_id,
        "price": trade.price,
        "size": trade.size,
        "side": "buy" if trade.taker_buys else "sell",
        "time": trade.time_ns // NANOSECONDS_PER_MILLISECOND,
    }
