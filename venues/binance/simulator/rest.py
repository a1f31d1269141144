"""Binance's REST answers.

Documentation: https://developers.binance.com/docs/binance-spot-api-docs/rest-api and
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import MarketView, RestRequest, RestResponse
from kit.simulator.history import TradeHistory, TradePrint
from kit.simulator.listing import Listing
from kit.simulator.texts import whole
from venues.binance.simulator.candles import candle_row, interval_start
from venues.binance.simulator.messages import Messages

TIME_END_NS = 2**63
FAILURES: Mapping[int, bytes] = {
    418: b'{"code":-1003,"msg":"Way too much request weight used; IP banned. Please use WebSocket '
    b'Streams for live updates to avoid bans."}',
    429: b'{"code":-1003,"msg":"Too much request weight used; current limit is 6000 request weight '
    b'per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API."}',
    500: b'{"code":-1000,"msg":"An unknown error occurred while processing the request."}',
    503: b'{"code":-1008,"msg":"Request throttled by system-level protection."}',
}
INTEREST_RATE = "0.00010000"


class BinanceApiError(Exception):
    """The exchange does not do what it was asked."""

    def __init__(self, code: int, message: str, status: int = 400, **more: object) -> None:
        """``more``: what the answer says besides."""
        super().__init__(message)
        self.error: dict[str, object] = {"code": code, "msg": message, **more}
        self.status = status

    @property
    def body(self) -> bytes:
        """Of the answer."""
        return msgspec.json.encode(self.error)


@dataclass(frozen=True, slots=True)
class OrderLimit:
    """So many orders in so long, of one account."""

    interval: str
    """As exchangeInfo writes it, for example "SECOND"."""
    intervals: int
    seconds: int
    limit: int
    header: str
    """End of the name of the answer's header, for example "10S"."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call gives."""

    weight_per_minute: int
    trades_max: int
    historical_usual: int
    historical_max: int
    candles_max: int
    depth_usual: int
    depth_max: int | None
    """Deeper ones are cut; None: see depths."""
    depths: Collection[int] = ()
    """The only ones that can be asked for; empty: any."""
    window_ms_max: int = TIME_END_NS
    """Of trades by time."""
    trades_usual: int = 500
    orders: Sequence[OrderLimit] = ()


@dataclass(frozen=True, slots=True)
class RestApi:
    """The public calls of one market."""

    prefixes: Sequence[str]
    """Of the paths; versions that answer alike."""
    messages: Messages
    limits: Limits
    symbol: Callable[[Listing], Mapping[str, object]]
    """What exchangeInfo says of an instrument."""
    marks: bool = False
    """Whether there is a premiumIndex."""
    absent: Collection[str] = field(default=())
    """Paths that answer with an empty exchangeInfo: markets that this venue does not pretend, but
    which ccxt asks for in the same breath."""

    async def answer(self, request: RestRequest, market_view: MarketView) -> RestResponse:
        """One call."""
        if request.path in self.absent:
            return _answer({"timezone": "UTC", "rateLimits": [], "symbols": []})
        name = request.path
        for prefix in self.prefixes:
            name = name.removeprefix(prefix)
        try:
            return await self._answer(name, request, market_view)
        except BinanceApiError as refusal:
            return RestResponse(refusal.body, status=refusal.status)

    async def _answer(
        self, name: str, request: RestRequest, market_view: MarketView
    ) -> RestResponse:
        match name:
            case "ping":
                return RestResponse(b"{}")
            case "time":
                return _answer({"serverTime": _now_ms(market_view)})
            case "exchangeInfo":
                return self._exchange_info(request, market_view)
            case "depth":
                return await self._depth(request, market_view)
            case "trades":
                return _answer(self._trades(request, market_view))
            case "historicalTrades":
                return _answer(self._historical_trades(request, market_view))
            case "aggTrades":
                return _answer(self._aggregate_trades(request, market_view))
            case "klines":
                return _answer(self._candles(request, market_view))
            case "premiumIndex" if self.marks:
                return _answer(_premium_index(request, market_view))
        return RestResponse(b'{"code":-1000,"msg":"no such path"}', status=404)

    def _exchange_info(self, request: RestRequest, market_view: MarketView) -> RestResponse:
        recorded = market_view.recorded(request.path)
        if recorded is not None:
            return RestResponse(recorded)
        wanted = _wanted_symbols(request)
        symbols = [self.symbol(listing) for listing in market_view.listings()]
        if wanted:
            symbols = [symbol for symbol in symbols if symbol["symbol"] in wanted]
            if {symbol["symbol"] for symbol in symbols} != set(wanted):
                raise BinanceApiError(-1121, "Invalid symbol.")
        weight = ("REQUEST_WEIGHT", "MINUTE", 1, self.limits.weight_per_minute)
        orders = [("ORDERS", one.interval, one.intervals, one.limit) for one in self.limits.orders]
        names = ("rateLimitType", "interval", "intervalNum", "limit")
        return _answer(
            {
                "timezone": "UTC",
                "serverTime": _now_ms(market_view),
                "rateLimits": [dict(zip(names, limit, strict=True)) for limit in (weight, *orders)],
                "exchangeFilters": [],
                "symbols": symbols,
            }
        )

    async def _depth(self, request: RestRequest, market_view: MarketView) -> RestResponse:
        symbol = _symbol_of(request, market_view)
        limits = self.limits
        limit = _number(request, "limit", limits.depth_usual, limits.depth_max)
        if limits.depths and limit not in limits.depths:
            raise BinanceApiError(-4021, f"{limit} is not valid depth limit.")
        book = await market_view.book(symbol)
        if book is None:
            return RestResponse(FAILURES[503], status=503)
        bids, asks = book.bids[:limit], book.asks[:limit]
        return RestResponse(
            self.messages.depth_answer(book.sequence, bids, asks, market_view.time_ns())
        )

    def _trades(self, request: RestRequest, market_view: MarketView) -> list[dict[str, object]]:
        limit = _number(request, "limit", self.limits.trades_usual, self.limits.trades_max)
        return [
            self.messages.trade_row(one) for one in _history(request, market_view).latest(limit)
        ]

    def _historical_trades(
        self, request: RestRequest, market_view: MarketView
    ) -> list[dict[str, object]]:
        limits = self.limits
        limit = _number(request, "limit", limits.historical_usual, limits.historical_max)
        history = _history(request, market_view)
        if "fromId" in request.query:
            found = history.from_id(_number(request, "fromId", 0), limit)
        else:
            found = history.latest(limit)
        return [self.messages.trade_row(one) for one in found]

    def _aggregate_trades(
        self, request: RestRequest, market_view: MarketView
    ) -> list[dict[str, object]]:
        limit = _number(request, "limit", self.limits.trades_usual, self.limits.trades_max)
        history = _history(request, market_view)
        found: Sequence[TradePrint]
        if "fromId" in request.query:
            found = history.from_id(_number(request, "fromId", 0), limit)
        elif "startTime" in request.query or "endTime" in request.query:
            start_ns, end_ns = _times_ns(request)
            both = {"startTime", "endTime"} <= request.query.keys()
            if both and end_ns - start_ns > self.limits.window_ms_max * NANOSECONDS_PER_MILLISECOND:
                raise BinanceApiError(-1127, "More than 1 hours between startTime and endTime.")
            found = history.between(start_ns, end_ns, limit)
        else:
            found = history.latest(limit)
        return [self.messages.aggregate_row(one) for one in found]

    def _candles(self, request: RestRequest, market_view: MarketView) -> list[list[object]]:
        interval = request.query.get("interval", "")
        start_of = interval_start(interval)
        if start_of is None:
            raise BinanceApiError(-1120, "Invalid interval.")
        limit = _number(request, "limit", self.limits.trades_usual, self.limits.candles_max)
        found = _history(request, market_view).candles(start_of, *_times_ns(request))
        chosen = found[:limit] if "startTime" in request.query else found[-limit:]
        return [candle_row(candle, interval, self.messages.number) for candle in chosen]


def _premium_index(request: RestRequest, market_view: MarketView) -> object:
    """``{"symbol","markPrice","indexPrice",…,"lastFundingRate","nextFundingTime","time"}``, or such
    of all symbols."""
    symbols = [listing.symbol for listing in market_view.listings()]
    rows = [_mark(symbol, market_view) for symbol in symbols]
    if "symbol" not in request.query:
        return [row for row in rows if row]
    return rows[symbols.index(_symbol_of(request, market_view))]


def _mark(symbol: str, market_view: MarketView) -> dict[str, object]:
    mark = market_view.mark(symbol)
    if mark is None:
        return {}
    return {
        "symbol": symbol,
        "markPrice": mark.mark_price,
        "indexPrice": mark.index_price,
        "estimatedSettlePrice": mark.index_price,
        "lastFundingRate": mark.funding_rate,
        "interestRate": INTEREST_RATE,
        "nextFundingTime": mark.next_funding_time_ns // NANOSECONDS_PER_MILLISECOND,
        "time": _now_ms(market_view),
    }


def _history(request: RestRequest, market_view: MarketView) -> TradeHistory[Any]:
    return market_view.history(_symbol_of(request, market_view))


def _symbol_of(request: RestRequest, market_view: MarketView) -> str:
    symbol = request.query.get("symbol", "")
    if not symbol:
        raise BinanceApiError(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null.")
    if all(listing.symbol != symbol for listing in market_view.listings()):
        raise BinanceApiError(-1121, "Invalid symbol.")
    return symbol


def _number(request: RestRequest, name: str, usual: int, most: int | None = None) -> int:
    number = whole(request.query.get(name, str(usual)))
    if number is None:
        raise BinanceApiError(-1100, f"Illegal characters found in parameter '{name}'.")
    return number if most is None else min(number, most)


def _times_ns(request: RestRequest) -> tuple[int, int]:
    start_ms = _number(request, "startTime", 0)
    end_ms = _number(request, "endTime", TIME_END_NS // NANOSECONDS_PER_MILLISECOND)
    start_ns = start_ms * NANOSECONDS_PER_MILLISECOND
    return start_ns, end_ms * NANOSECONDS_PER_MILLISECOND + NANOSECONDS_PER_MILLISECOND - 1


def _wanted_symbols(request: RestRequest) -> list[str]:
    if "symbol" in request.query:
        return [request.query["symbol"]]
    if "symbols" not in request.query:
        return []
    try:
        return msgspec.json.decode(request.query["symbols"], type=list[str])
    except msgspec.DecodeError:
        raise BinanceApiError(-1100, "Illegal characters found in parameter 'symbols'.") from None


def _now_ms(market_view: MarketView) -> int:
    return market_view.time_ns() // NANOSECONDS_PER_MILLISECOND


def _answer(value: object) -> RestResponse:
    return RestResponse(msgspec.json.encode(value))
