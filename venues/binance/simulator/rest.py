"""Binance's REST answers.

Documentation: https://developers.binance.com/docs/binance-spot-api-docs/rest-api
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from kit.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import Answer, BookSnapshot, Floor, Listing, Request
from kit.simulator.history import TradeHistory, TradePrint
from venues.binance.simulator.candles import candle_row, eight_places, interval_start

TRADES_MAX = 1000
TRADES_USUAL = 500
DEPTH_USUAL = 100
TIME_END_NS = 2**63
EMPTY_LISTS = ("/fapi/v1/exchangeInfo", "/dapi/v1/exchangeInfo")
"""Asked for by ccxt in the same breath; this venue lists no derivatives."""
ORDER_TYPES = ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"]
FAILURES: Mapping[int, bytes] = {
    418: b'{"code":-1003,"msg":"Way too much request weight used; IP banned. Please use WebSocket '
    b'Streams for live updates to avoid bans."}',
    429: b'{"code":-1003,"msg":"Too much request weight used; current limit is 6000 request weight '
    b'per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API."}',
    500: b'{"code":-1000,"msg":"An unknown error occurred while processing the request."}',
    503: b'{"code":-1008,"msg":"Request throttled by system-level protection."}',
}


class Refusal(Exception):
    """The exchange does not do what it was asked."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.body = msgspec.json.encode({"code": code, "msg": message})
        self.status = status


async def answer(request: Request, floor: Floor) -> Answer:
    """One call."""
    if request.path in EMPTY_LISTS:
        return _answer({"timezone": "UTC", "rateLimits": [], "symbols": []})
    handler = HANDLERS.get(request.path.removeprefix("/api/v3/").removeprefix("/api/v1/"))
    if handler is None:
        return Answer(b'{"code":-1000,"msg":"no such path"}', status=404)
    try:
        return await handler(request, floor)
    except Refusal as refusal:
        return Answer(refusal.body, status=refusal.status)


async def _ping(request: Request, floor: Floor) -> Answer:
    return Answer(b"{}")


async def _time(request: Request, floor: Floor) -> Answer:
    return _answer({"serverTime": floor.time_ns() // NANOSECONDS_PER_MILLISECOND})


async def _exchange_info(request: Request, floor: Floor) -> Answer:
    recorded = floor.recorded(request.path)
    if recorded is not None:
        return Answer(recorded)
    wanted = _wanted_symbols(request)
    symbols = [_symbol(listing) for listing in floor.listings()]
    if wanted:
        symbols = [symbol for symbol in symbols if symbol["symbol"] in wanted]
        if len(symbols) != len(wanted):
            raise Refusal(-1121, "Invalid symbol.")
    return _answer(
        {
            "timezone": "UTC",
            "serverTime": floor.time_ns() // NANOSECONDS_PER_MILLISECOND,
            "rateLimits": [
                {
                    "rateLimitType": "REQUEST_WEIGHT",
                    "interval": "MINUTE",
                    "intervalNum": 1,
                    "limit": 6000,
                }
            ],
            "exchangeFilters": [],
            "symbols": symbols,
        }
    )


async def _depth(request: Request, floor: Floor) -> Answer:
    limit = _number(request, "limit", DEPTH_USUAL, 5000)
    book = await floor.book(_symbol_of(request, floor))
    if book is None:
        return Answer(FAILURES[503], status=503)
    return Answer(depth_body(book, limit))


async def _trades(request: Request, floor: Floor) -> Answer:
    limit = _number(request, "limit", TRADES_USUAL, TRADES_MAX)
    return _answer([_trade(one) for one in _history(request, floor).latest(limit)])


async def _historical_trades(request: Request, floor: Floor) -> Answer:
    limit = _number(request, "limit", TRADES_USUAL, TRADES_MAX)
    history = _history(request, floor)
    if "fromId" in request.query:
        found = history.from_id(_number(request, "fromId", 0), limit)
    else:
        found = history.latest(limit)
    return _answer([_trade(one) for one in found])


async def _aggregate_trades(request: Request, floor: Floor) -> Answer:
    limit = _number(request, "limit", TRADES_USUAL, TRADES_MAX)
    history = _history(request, floor)
    found: Sequence[TradePrint]
    if "fromId" in request.query:
        found = history.from_id(_number(request, "fromId", 0), limit)
    elif "startTime" in request.query or "endTime" in request.query:
        found = history.between(*_times_ns(request), limit)
    else:
        found = history.latest(limit)
    return _answer([_aggregate(one) for one in found])


async def _candles(request: Request, floor: Floor) -> Answer:
    interval = request.query.get("interval", "")
    start_of = interval_start(interval)
    if start_of is None:
        raise Refusal(-1120, "Invalid interval.")
    limit = _number(request, "limit", TRADES_USUAL, TRADES_MAX)
    found = _history(request, floor).candles(start_of, *_times_ns(request))
    chosen = found[:limit] if "startTime" in request.query else found[-limit:]
    return _answer([candle_row(candle, interval) for candle in chosen])


HANDLERS: Mapping[str, Callable[[Request, Floor], Awaitable[Answer]]] = {
    "ping": _ping,
    "time": _time,
    "exchangeInfo": _exchange_info,
    "depth": _depth,
    "trades": _trades,
    "historicalTrades": _historical_trades,
    "aggTrades": _aggregate_trades,
    "klines": _candles,
}


def depth_body(book: BookSnapshot, limit: int) -> bytes:
    """``{"lastUpdateId","bids":[["price","size"]],"asks":[]}``: the body of a depth answer, and of
    a partial book frame."""
    return msgspec.json.encode(
        {"lastUpdateId": book.sequence, "bids": book.bids[:limit], "asks": book.asks[:limit]}
    )


def _history(request: Request, floor: Floor) -> TradeHistory[Any]:
    return floor.history(_symbol_of(request, floor))


def _symbol_of(request: Request, floor: Floor) -> str:
    symbol = request.query.get("symbol", "")
    if not symbol:
        raise Refusal(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null.")
    if all(listing.symbol != symbol for listing in floor.listings()):
        raise Refusal(-1121, "Invalid symbol.")
    return symbol


def _number(request: Request, name: str, usual: int, most: int | None = None) -> int:
    text = request.query.get(name, str(usual))
    if not text.isdigit() or len(text) > 18:
        raise Refusal(-1100, f"Illegal characters found in parameter '{name}'.")
    return int(text) if most is None else min(int(text), most)


def _times_ns(request: Request) -> tuple[int, int]:
    start_ms = _number(request, "startTime", 0)
    end_ms = _number(request, "endTime", TIME_END_NS // NANOSECONDS_PER_MILLISECOND)
    start_ns = start_ms * NANOSECONDS_PER_MILLISECOND
    return start_ns, end_ms * NANOSECONDS_PER_MILLISECOND + NANOSECONDS_PER_MILLISECOND - 1


def _wanted_symbols(request: Request) -> list[str]:
    if "symbol" in request.query:
        return [request.query["symbol"]]
    if "symbols" not in request.query:
        return []
    try:
        return msgspec.json.decode(request.query["symbols"], type=list[str])
    except msgspec.DecodeError:
        raise Refusal(-1100, "Illegal characters found in parameter 'symbols'.") from None


def _symbol(listing: Listing) -> dict[str, object]:
    marks = {"simulator": "tick and lot as seen in a capture"} if listing.derived else {}
    return {
        **marks,
        "symbol": listing.symbol,
        "status": "TRADING",
        "baseAsset": listing.base,
        "baseAssetPrecision": 8,
        "quoteAsset": listing.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ORDER_TYPES,
        "icebergAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": listing.tick_size,
                "maxPrice": "10000000.00000000",
                "tickSize": listing.tick_size,
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": listing.lot_size,
                "maxQty": "1000000.00000000",
                "stepSize": listing.lot_size,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": listing.minimum_notional,
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }


def _trade(trade: TradePrint) -> dict[str, object]:
    """``{"id","price","qty","quoteQty","time","isBuyerMaker","isBestMatch"}``"""
    return {
        "id": trade.trade_id,
        "price": eight_places(Decimal(trade.price)),
        "qty": eight_places(Decimal(trade.size)),
        "quoteQty": eight_places(Decimal(trade.price) * Decimal(trade.size)),
        "time": trade.time_ns // NANOSECONDS_PER_MILLISECOND,
        "isBuyerMaker": not trade.taker_buys,
        "isBestMatch": True,
    }


def _aggregate(trade: TradePrint) -> dict[str, object]:
    """``{"a","p","q","f","l","T","m","M"}``; each trade stands alone, under its own id."""
    return {
        "a": trade.trade_id,
        "p": eight_places(Decimal(trade.price)),
        "q": eight_places(Decimal(trade.size)),
        "f": trade.trade_id,
        "l": trade.trade_id,
        "T": trade.time_ns // NANOSECONDS_PER_MILLISECOND,
        "m": not trade.taker_buys,
        "M": True,
    }


def _answer(value: object) -> Answer:
    return Answer(msgspec.json.encode(value))
