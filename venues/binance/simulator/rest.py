"""Binance's public REST calls.

Documentation: https://developers.binance.com/docs/binance-spot-api-docs/rest-api and
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import RestRequest, RestResponse
from kit.simulator.exchange.rest import ApiCall, ApiError, Route
from kit.simulator.history import HistoricalTrade, InstrumentTradeHistory
from kit.simulator.listing import DerivativeMark, Listing
from venues.binance.simulator.authentication import BinanceRateLimits
from venues.binance.simulator.candles import INTERVALS, candle_row
from venues.binance.simulator.encode import Messages
from venues.binance.simulator.errors import (
    INVALID_SYMBOL,
    THROTTLED,
    error_row,
    illegal,
    status_of,
)
from venues.binance.simulator.instruments import futures_symbol, listed, spot_symbol

TIME_END_MS = 2**63 // NANOSECONDS_PER_MILLISECOND
TRADES_DEFAULT, TRADES_MAX = 500, 1000
INTEREST_RATE = "0.00010000"
UNKNOWN_PATH = RestResponse(b'{"code":-1000,"msg":"no such path"}', status=404)
OTHER_MARKETS = ("/fapi/v1/exchangeInfo", "/dapi/v1/exchangeInfo")
"""ccxt loads the markets of all exchanges of Binance at once; those that this one has not are
empty."""
Row = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """How much one call returns, and what it costs."""

    historical_default: int
    historical_max: int
    candles_max: int
    depth_default: int
    depth_max: int | None = None
    """Deeper ones are cut; None: see depths."""
    depths: Collection[int] = ()
    """The only depths that there are; empty: any."""
    span_ms_max: int | None = None
    """The longest time of aggregated trades."""
    weights: Mapping[str, int]
    """By the name of the call; others cost 1."""
    depth_weights: Sequence[tuple[int, int]]
    """The greatest depth, and what it costs."""


SPOT_PAGES = CallLimits(
    historical_default=500,
    historical_max=1000,
    candles_max=1000,
    depth_default=100,
    depth_max=5000,
    weights={
        "exchangeInfo": 20,
        "trades": 25,
        "historicalTrades": 25,
        "aggTrades": 4,
        "klines": 2,
    },
    depth_weights=((100, 5), (500, 25), (1_000, 50), (5_000, 250)),
)
FUTURES_PAGES = CallLimits(
    historical_default=100,
    historical_max=500,
    candles_max=1500,
    depth_default=500,
    depths=(5, 10, 20, 50, 100, 500, 1000),
    span_ms_max=3_600_000,
    weights={"trades": 5, "historicalTrades": 20, "aggTrades": 20, "klines": 5},
    depth_weights=((50, 2), (100, 5), (500, 10), (1_000, 20)),
)


def accept(call: ApiCall, result: object) -> RestResponse:
    return RestResponse(msgspec.json.encode(result))


def reject(call: ApiCall, error: ApiError) -> RestResponse:
    """``{"code":-1121,"msg":"Invalid symbol."}``"""
    return RestResponse(msgspec.json.encode(error_row(error)), status_of(error))


def parameters(request: RestRequest) -> Mapping[str, str]:
    """The parameters of the query and the form."""
    form = request.body.decode(errors="replace")
    sent = (*parse_qsl(form, keep_blank_values=True),)
    return {**dict(sent), **request.query, **dict(parse_qsl(request.raw_query, True))}


def spot_routes(messages: Messages, limits: BinanceRateLimits) -> dict[str, Route]:
    """The public calls of spot."""
    calls = _PublicCalls(messages, limits, SPOT_PAGES)
    empty: Row = {"timezone": "UTC", "rateLimits": [], "symbols": []}
    return {
        **calls.routes("/api/v3", spot_symbol),
        **{f"GET {path}": Route(lambda call: empty) for path in OTHER_MARKETS},
    }


def futures_routes(messages: Messages, limits: BinanceRateLimits) -> dict[str, Route]:
    """The public calls of USD-M futures."""
    calls = _PublicCalls(messages, limits, FUTURES_PAGES)
    return {
        **calls.routes("/fapi/v1", futures_symbol),
        "GET /fapi/v1/premiumIndex": Route(_premium_index),
    }


@dataclass(frozen=True, slots=True)
class _PublicCalls:
    messages: Messages
    limits: BinanceRateLimits
    pages: CallLimits

    def routes(self, root: str, symbol_row: Callable[[Listing], Row]) -> dict[str, Route]:
        def exchange_info(call: ApiCall) -> Row:
            return {
                "timezone": "UTC",
                "serverTime": call.clock_ms,
                "rateLimits": self.limits.rows(),
                "exchangeFilters": [],
                "symbols": [symbol_row(listing) for listing in _listings(call)],
            }

        handlers: Mapping[str, Callable[[ApiCall], object]] = {
            "time": lambda call: {"serverTime": call.clock_ms},
            "trades": self.trades,
            "historicalTrades": self.historical_trades,
            "aggTrades": self.aggregate_trades,
            "klines": self.candles,
        }
        weights = self.pages.weights
        return {
            f"GET {root}/exchangeInfo": Route(
                exchange_info, recorded=True, weight=weights.get("exchangeInfo", 1)
            ),
            f"GET {root}/depth": Route(self.depth, weight=0),
            **{
                f"GET {root}/{name}": Route(handle, weight=weights.get(name, 1))
                for name, handle in handlers.items()
            },
        }

    async def depth(self, call: ApiCall) -> msgspec.Raw:
        """Its weight depends on the depth."""
        pages, symbol = self.pages, listed(call).symbol
        limit = call.integer("limit", pages.depth_default, pages.depth_max)
        if pages.depths and limit not in pages.depths:
            raise ApiError(-4021, f"{limit} is not valid depth limit.")
        weight = next(cost for most, cost in pages.depth_weights if limit <= most)
        self.limits.spend(weight, call.now_ns)
        book = await call.market_view.book(symbol)
        if book is None:
            raise THROTTLED
        bids, asks = book.bids[:limit], book.asks[:limit]
        return msgspec.Raw(self.messages.depth_answer(book.sequence, bids, asks, call.now_ns))

    def trades(self, call: ApiCall) -> list[Row]:
        limit = call.integer("limit", TRADES_DEFAULT, TRADES_MAX)
        return [self._trade_row(one) for one in _history(call).latest(limit)]

    def historical_trades(self, call: ApiCall) -> list[Row]:
        pages, history = self.pages, _history(call)
        limit = call.integer("limit", pages.historical_default, pages.historical_max)
        by_id = "fromId" in call.parameters
        found = history.from_id(call.integer("fromId"), limit) if by_id else history.latest(limit)
        return [self._trade_row(one) for one in found]

    def aggregate_trades(self, call: ApiCall) -> list[Row]:
        """Each trade stands alone, under its own id."""
        history, given = _history(call), call.parameters.keys()
        limit = call.integer("limit", TRADES_DEFAULT, TRADES_MAX)
        found: Sequence[HistoricalTrade]
        if "fromId" in given:
            found = history.from_id(call.integer("fromId"), limit)
        elif given & {"startTime", "endTime"}:
            found = history.between(*times_ns(call, self.pages.span_ms_max), limit)
        else:
            found = history.latest(limit)
        return [self._aggregate_row(one) for one in found]

    def candles(self, call: ApiCall) -> list[list[object]]:
        name = call.text("interval")
        interval = call.choice("interval", INTERVALS, ApiError(-1120, "Invalid interval."))
        limit = call.integer("limit", TRADES_DEFAULT, self.pages.candles_max)
        found = _history(call).candles(interval.start_ns, *times_ns(call))
        chosen = found[:limit] if "startTime" in call.parameters else found[-limit:]
        return [candle_row(candle, name, self.messages.number) for candle in chosen]

    def _trade_row(self, trade: HistoricalTrade) -> Row:
        """``{"id","price","qty","quoteQty","time","isBuyerMaker",…}``"""
        price, size, number = Decimal(trade.price), Decimal(trade.size), self.messages.number
        return {
            "id": trade.trade_id,
            "price": number(price),
            "qty": number(size),
            "quoteQty": number(price * size),
            "time": trade.time_ns // NANOSECONDS_PER_MILLISECOND,
            "isBuyerMaker": not trade.taker_buys,
            **self.messages.best_match_row,
        }

    def _aggregate_row(self, trade: HistoricalTrade) -> Row:
        """``{"a","p","q","f","l","T","m",…}``"""
        number = self.messages.number
        return {
            "a": trade.trade_id,
            "p": number(Decimal(trade.price)),
            "q": number(Decimal(trade.size)),
            "f": trade.trade_id,
            "l": trade.trade_id,
            "T": trade.time_ns // NANOSECONDS_PER_MILLISECOND,
            "m": not trade.taker_buys,
            **self.messages.best_match_flag,
        }


def times_ns(call: ApiCall, span_ms_max: int | None = None) -> tuple[int, int]:
    """``startTime`` and the end of the millisecond ``endTime``. Raises ApiError: both are given,
    and too far apart."""
    start_ms, end_ms = call.integer("startTime", 0), call.integer("endTime", TIME_END_MS)
    are_both = {"startTime", "endTime"} <= call.parameters.keys()
    if are_both and span_ms_max is not None and end_ms - start_ms > span_ms_max:
        raise ApiError(-1127, "More than 1 hours between startTime and endTime.")
    start_ns, end_ns = (one * NANOSECONDS_PER_MILLISECOND for one in (start_ms, end_ms + 1))
    return start_ns, end_ns - 1


def _premium_index(call: ApiCall) -> object:
    """``{"symbol","markPrice","indexPrice",…,"lastFundingRate","nextFundingTime","time"}``, or the
    rows of all symbols."""
    if call.text("symbol"):
        symbol = listed(call).symbol
        mark = call.market_view.mark(symbol)
        return {} if mark is None else _mark_row(call, symbol, mark)
    marks = ((one.symbol, call.market_view.mark(one.symbol)) for one in call.listings())
    return [_mark_row(call, symbol, mark) for symbol, mark in marks if mark is not None]


def _mark_row(call: ApiCall, symbol: str, mark: DerivativeMark) -> Row:
    return {
        "symbol": symbol,
        "markPrice": mark.mark_price,
        "indexPrice": mark.index_price,
        "estimatedSettlePrice": mark.index_price,
        "lastFundingRate": mark.funding_rate,
        "interestRate": INTEREST_RATE,
        "nextFundingTime": mark.next_funding_time_ns // NANOSECONDS_PER_MILLISECOND,
        "time": call.now_ms,
    }


def _history(call: ApiCall) -> InstrumentTradeHistory[Any]:
    return call.market_view.history(listed(call).symbol)


def _listings(call: ApiCall) -> Sequence[Listing]:
    """The instruments in ``symbols``, a JSON list, or in ``symbol``, or all."""
    if "symbols" not in call.parameters:
        return call.listings()
    try:
        names = msgspec.json.decode(call.text("symbols"), type=list[str])
    except msgspec.DecodeError:
        raise illegal("symbols") from None
    found = [one for one in call.market_view.listings() if one.symbol in names]
    if {one.symbol for one in found} != set(names):
        raise INVALID_SYMBOL
    return found
