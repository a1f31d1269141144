"""Bybit's REST answers.

Documentation: https://bybit-exchange.github.io/docs/v5/market/instrument and its neighbours.
A call that is refused is answered with status 200 and a ``retCode``.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.simulator.dialect import MarketView, RestRequest, RestResponse
from kit.simulator.history import TradePrint
from kit.simulator.listing import Listing
from kit.simulator.texts import plain, whole
from venues.bybit.simulator.candles import candle_row, interval_start, ticker_event
from venues.bybit.simulator.encode import DAY_NS, BookTopic

TRADES_MAX = 60
CANDLES_MAX = 1000
CANDLES_USUAL = 200
DEPTH_USUAL = 1
DEPTH_MAX = 1000
DEPTH_COUNTED = 200
TIME_END_MS = 2**43
CATEGORIES = ("spot", "linear", "inverse", "option")
PARAMETER_ERROR = 10001
SYSTEM_ERROR = 10016
NO_HEADERS: Mapping[str, str] = {}
FAILURES: Mapping[int, bytes] = {
    403: b"403, access too frequent",
    418: b"403, access too frequent",
    429: b'{"retCode":10006,"retMsg":"Too many visits!","result":{},"retExtInfo":{},"time":0}',
    500: b'{"retCode":10016,"retMsg":"System error. Please try again later.","result":{},'
    b'"retExtInfo":{},"time":0}',
}

Books = Callable[[str, int], BookTopic | None]
"""For a symbol and a depth the book as its topic has told it."""
Result = Mapping[str, object]


class BybitApiError(Exception):
    """The exchange does not do what it was asked."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class _Call:
    """A request, and what it can be answered from."""

    query: Mapping[str, str]
    market_view: MarketView
    books: Books

    def number(self, name: str, usual: int, most: int = TIME_END_MS) -> int:
        """A whole number among the parameters. Raises Refusal."""
        number = whole(self.query.get(name, str(usual)))
        if number is None:
            raise BybitApiError(PARAMETER_ERROR, f"params error: {name} invalid")
        return min(number, most)

    def symbol(self) -> str:
        """The parameter, of a listed market. Raises Refusal."""
        name = self.query.get("symbol", "")
        if name not in {listing.symbol for listing in self.market_view.listings()}:
            raise BybitApiError(PARAMETER_ERROR, "Not supported symbols")
        return name

    def listings(self) -> list[Listing]:
        """Of the symbol, or all. Raises Refusal."""
        chosen = {self.symbol()} if "symbol" in self.query else None
        return [
            one for one in self.market_view.listings() if chosen is None or one.symbol in chosen
        ]

    def category(self) -> str:
        """The parameter. Raises Refusal."""
        category = self.query.get("category", "")
        if category not in CATEGORIES:
            raise BybitApiError(PARAMETER_ERROR, "Illegal category")
        return category

    def spot_symbol(self) -> str:
        """The symbol, of a spot market. Raises Refusal."""
        if self.category() != "spot":
            raise BybitApiError(PARAMETER_ERROR, "Not supported symbols")
        return self.symbol()


async def answer(request: RestRequest, market_view: MarketView, books: Books) -> RestResponse:
    """One call."""
    recorded = market_view.recorded(request.path)
    if recorded is not None:
        return RestResponse(recorded)
    handler = HANDLERS.get(request.path.removeprefix("/v5/market/"))
    if handler is None:
        return RestResponse(b"", status=404)
    try:
        return envelope(await handler(_Call(request.query, market_view, books)), market_view)
    except BybitApiError as refusal:
        return envelope({}, market_view, refusal.code, refusal.message)


def envelope(
    result: Result,
    market_view: MarketView,
    code: int = 0,
    message: str = "OK",
    headers: Mapping[str, str] = NO_HEADERS,
) -> RestResponse:
    """What all answers have in common."""
    time_ms = market_view.time_ns() // NANOSECONDS_PER_MILLISECOND
    body = {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}}
    return RestResponse(msgspec.json.encode({**body, "time": time_ms}), headers=headers)


async def _time(call: _Call) -> Result:
    time_ns = call.market_view.time_ns()
    return {"timeSecond": str(time_ns // NANOSECONDS_PER_SECOND), "timeNano": str(time_ns)}


async def _instruments(call: _Call) -> Result:
    """Derivatives are asked for by ccxt in the same breath; this venue lists none."""
    category = call.category()
    found = [_instrument(one) for one in call.listings()] if category == "spot" else []
    return {"category": category, "list": found, "nextPageCursor": ""}


async def _book(call: _Call) -> Result:
    """``u`` is that of the topic of 200 levels, as deep as that goes."""
    symbol, limit = call.spot_symbol(), call.number("limit", DEPTH_USUAL, DEPTH_MAX)
    topic = call.books(symbol, DEPTH_COUNTED if limit <= DEPTH_COUNTED else DEPTH_MAX)
    time_ms = call.market_view.time_ns() // NANOSECONDS_PER_MILLISECOND
    book = await call.market_view.book(symbol) if topic is None else topic.book()
    if book is None:
        raise BybitApiError(SYSTEM_ERROR, "Request timeout, please try again later")
    return {
        "s": symbol,
        "a": book.asks[:limit],
        "b": book.bids[:limit],
        "ts": time_ms,
        "u": book.sequence,
        "seq": book.sequence if topic is None else topic.desk.sequence,
        "cts": time_ms,
    }


async def _trades(call: _Call) -> Result:
    """The newest, newest first, and nothing before."""
    symbol = call.spot_symbol()
    found = call.market_view.history(symbol).latest(call.number("limit", TRADES_MAX, TRADES_MAX))
    return {"category": "spot", "list": [_trade(one, symbol) for one in reversed(found)]}


async def _candles(call: _Call) -> Result:
    """Newest first; of more than the limit the oldest when a start is given."""
    symbol = call.spot_symbol()
    start_of = interval_start(call.query.get("interval", ""))
    if start_of is None:
        raise BybitApiError(PARAMETER_ERROR, "Invalid period!")
    limit = call.number("limit", CANDLES_USUAL, CANDLES_MAX)
    times_ns = (
        call.number("start", 0) * NANOSECONDS_PER_MILLISECOND,
        call.number("end", TIME_END_MS) * NANOSECONDS_PER_MILLISECOND,
    )
    found = call.market_view.history(symbol).candles(start_of, *times_ns)
    chosen = found[:limit] if "start" in call.query else found[-limit:]
    rows = [candle_row(candle) for candle in reversed(chosen)]
    return {"category": "spot", "symbol": symbol, "list": rows}


async def _tickers(call: _Call) -> Result:
    category = call.category()
    now_ns = call.market_view.time_ns()
    first_ns = now_ns - DAY_NS
    found: list[Result] = []
    for listing in call.listings() if category == "spot" else ():
        book = await call.market_view.book(listing.symbol)
        history = call.market_view.history(listing.symbol)
        for day in history.candles(lambda at_ns: first_ns, first_ns, now_ns):
            bid, ask = (book.bids[0], book.asks[0]) if book else (("", ""), ("", ""))
            best = {"bid1Price": bid[0], "bid1Size": bid[1]}
            best |= {"ask1Price": ask[0], "ask1Size": ask[1]}
            found.append({**ticker_event(day, listing.symbol), **best})
    return {"category": category, "list": found}


HANDLERS: Mapping[str, Callable[[_Call], Awaitable[Result]]] = {
    "time": _time,
    "instruments-info": _instruments,
    "orderbook": _book,
    "recent-trade": _trades,
    "kline": _candles,
    "tickers": _tickers,
}


def _instrument(listing: Listing) -> Result:
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


def _trade(trade: TradePrint, symbol: str) -> Result:
    """``{"execId","symbol","price","size","side","time","isBlockTrade","isRPITrade","seq"}``"""
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
