"""Bybit's public REST calls.

Documentation: https://bybit-exchange.github.io/docs/v5/market/instrument and its neighbours.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.simulator.dialect import RestResponse
from kit.simulator.exchange.candles import day_of
from kit.simulator.exchange.rest import ApiCall, ApiError, Route, public
from kit.simulator.history import HistoricalTrade
from kit.simulator.listing import Listing
from kit.simulator.text_conversion import plain
from venues.bybit.simulator.candles import INTERVALS, candle_row, ticker_event
from venues.bybit.simulator.encode import BookTopic
from venues.bybit.simulator.errors import ILLEGAL_CATEGORY, PARAMETER_ERROR, SYSTEM_ERROR

TRADES_MAX = 60
CANDLES_DEFAULT, CANDLES_MAX = 200, 1000
DEPTH_DEFAULT, DEPTH_MAX = 1, 1000
DEPTH_COUNTED = 200
TIME_END_MS = 2**43
CATEGORIES = ("spot", "linear", "inverse", "option")

Books = Callable[[str, int], BookTopic | None]
"""For a symbol and a depth the book as its topic has published it."""
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The answer to a call for several orders."""

    rows: Sequence[Row]
    outcomes: Sequence[Row]
    """``{"code":0,"msg":"OK"}`` of each row."""


def is_spot(call: ApiCall) -> bool:
    """Whether a call is about spot; this exchange lists nothing of the other categories. Raises
    ApiError."""
    category = call.text("category")
    if category not in CATEGORIES:
        raise ILLEGAL_CATEGORY
    return category == "spot"


def accept(call: ApiCall, result: object) -> RestResponse:
    """``{"retCode":0,"retMsg":"OK","result":{…},"retExtInfo":{},"time":…}``"""
    if isinstance(result, BatchResult):
        return _answer(call, 0, "OK", {"list": result.rows}, {"list": result.outcomes})
    return _answer(call, 0, "OK", result)


def reject(call: ApiCall, error: ApiError) -> RestResponse:
    """``{"retCode":10001,"retMsg":"Illegal category","result":{},"retExtInfo":{},"time":…}``"""
    return _answer(call, error.code, error.message, {})


def _answer(
    call: ApiCall,
    code: int | str,
    message: str,
    result: object,
    outcomes: Mapping[str, object] | None = None,
) -> RestResponse:
    extra = {} if outcomes is None else outcomes
    body = {"retCode": code, "retMsg": message, "result": result, "retExtInfo": extra}
    return RestResponse(msgspec.json.encode({**body, "time": call.now_ms}))


def routes(books: Books) -> dict[str, Route]:
    async def order_book(call: ApiCall) -> Row:
        """``u`` is the one of the topic of 200 levels, as deep as that goes."""
        symbol, limit = _spot_symbol(call), call.integer("limit", DEPTH_DEFAULT, DEPTH_MAX)
        topic = books(symbol, DEPTH_COUNTED if limit <= DEPTH_COUNTED else DEPTH_MAX)
        book = await call.market_view.book(symbol) if topic is None else topic.book()
        if book is None:
            raise ApiError(SYSTEM_ERROR, "Request timeout, please try again later")
        return {
            "s": symbol,
            "a": book.asks[:limit],
            "b": book.bids[:limit],
            "ts": call.now_ms,
            "u": book.sequence,
            "seq": book.sequence if topic is None else topic.market.sequence,
            "cts": call.now_ms,
        }

    handlers: Mapping[str, Callable[[ApiCall], object]] = {
        "GET /v5/market/time": _time,
        "GET /v5/market/instruments-info": _instruments,
        "GET /v5/market/orderbook": order_book,
        "GET /v5/market/recent-trade": _trades,
        "GET /v5/market/kline": _candles,
        "GET /v5/market/tickers": _tickers,
    }
    return public(handlers, recorded=True)


def _spot_symbol(call: ApiCall) -> str:
    if not is_spot(call):
        raise call.errors.unknown_symbol
    return call.listing().symbol


def _time(call: ApiCall) -> Row:
    seconds = call.clock_ns // NANOSECONDS_PER_SECOND
    return {"timeSecond": str(seconds), "timeNano": str(call.clock_ns)}


def _instruments(call: ApiCall) -> Row:
    """ccxt asks for derivatives as well; this exchange lists none."""
    found = [_instrument(one) for one in call.listings()] if is_spot(call) else []
    return {"category": call.text("category"), "list": found, "nextPageCursor": ""}


def _trades(call: ApiCall) -> Row:
    """The newest, newest first, and nothing before."""
    symbol = _spot_symbol(call)
    limit = call.integer("limit", TRADES_MAX, TRADES_MAX)
    found = call.market_view.history(symbol).latest(limit)
    return {"category": "spot", "list": [_trade(one, symbol) for one in reversed(found)]}


def _candles(call: ApiCall) -> Row:
    """Newest first; of more than the limit the oldest when a start is given."""
    symbol = _spot_symbol(call)
    unknown = ApiError(PARAMETER_ERROR, "Invalid period!")
    interval = call.choice("interval", INTERVALS, unknown)
    limit = call.integer("limit", CANDLES_DEFAULT, CANDLES_MAX)
    start_ms = call.integer("start", 0, TIME_END_MS)
    end_ms = call.integer("end", TIME_END_MS, TIME_END_MS)
    times_ns = (one * NANOSECONDS_PER_MILLISECOND for one in (start_ms, end_ms))
    found = call.market_view.history(symbol).candles(interval.start_ns, *times_ns)
    chosen = found[:limit] if call.text("start") else found[-limit:]
    rows = [candle_row(candle) for candle in reversed(chosen)]
    return {"category": "spot", "symbol": symbol, "list": rows}


async def _tickers(call: ApiCall) -> Row:
    found: list[Row] = []
    for listing in call.listings() if is_spot(call) else ():
        book = await call.market_view.book(listing.symbol)
        day = day_of(call.market_view, listing.symbol)
        if day is not None:
            bid, ask = (book.bids[0], book.asks[0]) if book else (("", ""), ("", ""))
            best = {"bid1Price": bid[0], "bid1Size": bid[1]}
            best |= {"ask1Price": ask[0], "ask1Size": ask[1]}
            found.append({**ticker_event(day, listing.symbol), **best})
    return {"category": call.text("category"), "list": found}


def _instrument(listing: Listing) -> Row:
    marks = {"simulator": "tick and lot as seen in a capture"} if listing.derived else {}
    return {
        **marks,
        "symbol": listing.symbol,
        "baseCoin": listing.base,
        "quoteCoin": listing.quote,
        "innovation": "0",
        "status": "Closed" if listing.halted else "Trading",
        "marginTrading": "none",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": listing.lot_size,
            "quotePrecision": "0.00000001",
            "minOrderQty": listing.lot_size,
            "maxOrderQty": "1000000",
            "minOrderAmt": listing.minimum_notional,
            "maxOrderAmt": "4000000",
        },
        "priceFilter": {"tickSize": listing.tick_size},
        "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
    }


def _trade(trade: HistoricalTrade, symbol: str) -> Row:
    """``{"execId","symbol","price","size","side","time","isBlockTrade","isRPITrade"}``"""
    return {
        "execId": str(trade.trade_id),
        "symbol": symbol,
        "price": plain(Decimal(trade.price)),
        "size": plain(Decimal(trade.size)),
        "side": "Buy" if trade.taker_buys else "Sell",
        "time": str(trade.time_ns // NANOSECONDS_PER_MILLISECOND),
        "isBlockTrade": False,
        "isRPITrade": False,
    }
