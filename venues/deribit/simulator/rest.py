"""Deribit's methods, the same over HTTP and over the websocket.

Documentation: https://docs.deribit.com/api-reference/market-data
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import MarketView, RestRequest, RestResponse
from kit.simulator.history import TradeHistory, TradePrint
from kit.simulator.listing import BookSnapshot, Listing, Mark
from kit.simulator.texts import whole
from venues.deribit.simulator.candles import (
    RESOLUTIONS,
    chart,
    last_day,
    number,
    start_of,
    stats,
)
from venues.deribit.simulator.contracts import contracts, described, is_inverse, state

BASE_PATH = "/api/v2/"
TRADES_USUAL, TRADES_MAX = 10, 1000
CANDLES_MAX = 5000
DEPTH_USUAL = 5
NANOSECONDS_PER_MICROSECOND = 1_000
TIME_END_MS = 2**63 // NANOSECONDS_PER_MILLISECOND - 1
VERSION = "1.2.26"
OPEN_INTEREST = 560_105_870
"""Nobody holds positions in a simulated market; clients want to see a number."""
FAILURES: Mapping[int, bytes] = {
    429: b'{"jsonrpc":"2.0","error":{"message":"too_many_requests","code":10028},"testnet":false}',
    418: b'{"jsonrpc":"2.0","error":{"message":"too_many_requests","code":10028},"testnet":false}',
    500: b'{"jsonrpc":"2.0","error":{"message":"internal_server_error","code":11094},'
    b'"testnet":false}',
}

Parameters = Mapping[str, str]
Method = Callable[[Parameters, MarketView], Awaitable[object]]


class DeribitApiError(Exception):
    """The exchange does not do what it was asked."""

    def __init__(self, code: int, message: str, **data: str) -> None:
        super().__init__(message)
        self.error = {"message": message, **({"data": data} if data else {}), "code": code}


def wrong(parameter: str, reason: str) -> DeribitApiError:
    """A parameter is not as it should be."""
    return DeribitApiError(-32602, "Invalid params", reason=reason, param=parameter)


async def answer(request: RestRequest, market_view: MarketView) -> RestResponse:
    """One call over HTTP."""
    method = request.path.removeprefix(BASE_PATH)
    try:
        result = await perform(method, request.query, market_view)
    except DeribitApiError as refusal:
        return RestResponse(envelope({"error": refusal.error}, market_view), status=400)
    return RestResponse(envelope({"result": result}, market_view))


async def perform(method: str, parameters: Parameters, market_view: MarketView) -> object:
    """The result of a method. Raises Refusal."""
    function = METHODS.get(method)
    if function is None:
        raise DeribitApiError(-32601, "Method not found")
    return await function(parameters, market_view)


def envelope(said: Mapping[str, object], market_view: MarketView) -> bytes:
    """``{"jsonrpc":"2.0",…,"usIn","usOut","usDiff","testnet":false}``"""
    now_us = market_view.time_ns() // NANOSECONDS_PER_MICROSECOND
    times = {"usIn": now_us, "usOut": now_us, "usDiff": 0, "testnet": False}
    return msgspec.json.encode({"jsonrpc": "2.0", **said, **times})


async def _test(parameters: Parameters, market_view: MarketView) -> object:
    return {"version": VERSION}


async def _time(parameters: Parameters, market_view: MarketView) -> object:
    return market_view.time_ns() // NANOSECONDS_PER_MILLISECOND


async def _currencies(parameters: Parameters, market_view: MarketView) -> object:
    bases = dict.fromkeys(str(one["base_currency"]) for one in _described(market_view))
    return [
        {"currency": base, "currency_long": base, "coin_type": base, "fee_precision": 4}
        for base in bases
    ]


async def _instruments(parameters: Parameters, market_view: MarketView) -> object:
    currency, kind = parameters.get("currency", "any"), parameters.get("kind", "any")
    return [
        one
        for one in _described(market_view)
        if currency in ("any", one["base_currency"]) and kind in ("any", one["kind"])
    ]


async def _instrument(parameters: Parameters, market_view: MarketView) -> object:
    return described(_listing(parameters, market_view))


async def _order_book(parameters: Parameters, market_view: MarketView) -> object:
    found = _listing(parameters, market_view)
    depth = _integer(parameters, "depth", DEPTH_USUAL)
    book = await market_view.book(found.symbol)
    if book is None:
        raise DeribitApiError(10040, "retry")
    sides = {"bids": book_side(book.bids[:depth]), "asks": book_side(book.asks[:depth])}
    return {**ticker(found, book, market_view), "change_id": book.sequence, **sides}


async def _ticker(parameters: Parameters, market_view: MarketView) -> object:
    found = _listing(parameters, market_view)
    return ticker(found, await market_view.book(found.symbol), market_view)


async def _trades(parameters: Parameters, market_view: MarketView) -> object:
    """From start_seq up, down to end_seq from the newest, or simply the newest."""
    found = _listing(parameters, market_view)
    history, count = market_view.history(found.symbol), _count(parameters)
    if "start_seq" in parameters:
        first = _integer(parameters, "start_seq", 0)
        last = _integer(parameters, "end_seq", first + count)
        inside = [one for one in history.from_id(first, count + 1) if one.trade_id <= last]
    elif "end_seq" in parameters:
        last = _integer(parameters, "end_seq", 0)
        inside = list(history.from_id(last - count, count + 1))
        inside = [one for one in inside if one.trade_id <= last][-count:]
    else:
        inside = list(history.latest(count + 1))[::-1]
    return _page(inside, count, parameters, found, market_view)


async def _trades_of_time(parameters: Parameters, market_view: MarketView) -> object:
    found = _listing(parameters, market_view)
    count = _count(parameters)
    start_ns = _integer(parameters, "start_timestamp", 0) * NANOSECONDS_PER_MILLISECOND
    end_ms = _integer(parameters, "end_timestamp", TIME_END_MS)
    end_ns = (end_ms + 1) * NANOSECONDS_PER_MILLISECOND - 1
    inside = market_view.history(found.symbol).between(start_ns, end_ns, count + 1)
    return _page(inside, count, parameters, found, market_view)


async def _chart(parameters: Parameters, market_view: MarketView) -> object:
    """From the candle that the first time is in."""
    symbol = _listing(parameters, market_view).symbol
    resolution = parameters.get("resolution", "")
    if resolution not in RESOLUTIONS:
        raise wrong("resolution", "must be one of " + ", ".join(RESOLUTIONS))
    start_ns, end_ns = (
        _integer(parameters, name) * NANOSECONDS_PER_MILLISECOND
        for name in ("start_timestamp", "end_timestamp")
    )
    begin = start_of(resolution)
    found = market_view.history(symbol).candles(begin, begin(start_ns), end_ns)
    return chart(found[-CANDLES_MAX:], is_inverse(symbol))


METHODS: Mapping[str, Method] = {
    "public/test": _test,
    "public/get_time": _time,
    "public/get_currencies": _currencies,
    "public/get_instruments": _instruments,
    "public/get_instrument": _instrument,
    "public/get_order_book": _order_book,
    "public/ticker": _ticker,
    "public/get_last_trades_by_instrument": _trades,
    "public/get_last_trades_by_instrument_and_time": _trades_of_time,
    "public/get_tradingview_chart_data": _chart,
}


def ticker(
    listing: Listing, book: BookSnapshot | None, market_view: MarketView
) -> dict[str, object]:
    """What a ticker frame, and the answers to ticker and get_order_book, have in common."""
    symbol, inverse = listing.symbol, is_inverse(listing.symbol)
    history: TradeHistory[Any] = market_view.history(symbol)
    day = last_day(history, market_view.time_ns())
    best_bid = book.bids[0] if book is not None and book.bids else ("0", "0")
    best_ask = book.asks[0] if book is not None and book.asks else ("0", "0")
    return {
        "timestamp": market_view.time_ns() // NANOSECONDS_PER_MILLISECOND,
        "stats": stats(day, inverse),
        "state": state(listing),
        "open_interest": OPEN_INTEREST,
        "last_price": None if day is None else number(day.close),
        "instrument_name": symbol,
        **_marks(market_view.mark(symbol)),
        "best_bid_price": number(best_bid[0]),
        "best_bid_amount": number(best_bid[1]),
        "best_ask_price": number(best_ask[0]),
        "best_ask_amount": number(best_ask[1]),
    }


def trade_row(
    trade: TradePrint, tick_direction: int, listing: Listing, mark: Mark | None
) -> dict[str, object]:
    """``{"trade_seq","trade_id","timestamp","tick_direction","price",…,"direction","amount"}``"""
    return {
        "trade_seq": trade.trade_id,
        "trade_id": trade_id(trade.trade_id, listing.base),
        "timestamp": trade.time_ns // NANOSECONDS_PER_MILLISECOND,
        "tick_direction": tick_direction,
        "price": number(trade.price),
        **({} if mark is None else {"mark_price": number(mark.mark_price)}),
        "instrument_name": listing.symbol,
        **({} if mark is None else {"index_price": number(mark.index_price)}),
        "direction": "buy" if trade.taker_buys else "sell",
        "contracts": number(contracts(trade.size, listing)),
        "amount": number(trade.size),
    }


def trade_id(trade_seq: int, base: str) -> str:
    """Only those of Bitcoin have no currency in front."""
    return str(trade_seq) if base == "BTC" else f"{base}-{trade_seq}"


def book_side(levels: Sequence[Sequence[str]]) -> list[tuple[msgspec.Raw, msgspec.Raw]]:
    """``[[30434.5,600.0],…]``"""
    return [(number(price), number(size)) for price, size in levels]


def _marks(mark: Mark | None) -> dict[str, object]:
    if mark is None:
        return {}
    return {
        "mark_price": number(mark.mark_price),
        "index_price": number(mark.index_price),
        "estimated_delivery_price": number(mark.index_price),
        "funding_8h": number(mark.funding_rate),
        "current_funding": number(mark.funding_rate),
    }


def _page(
    trades: Sequence[TradePrint],
    count: int,
    parameters: Parameters,
    listing: Listing,
    market_view: MarketView,
) -> object:
    chosen = list(trades[:count])
    sorting = parameters.get("sorting", "default")
    if sorting != "default":
        chosen.sort(key=lambda one: one.trade_id, reverse=sorting == "desc")
    directions, mark = _directions(chosen), market_view.mark(listing.symbol)
    rows = [trade_row(one, directions[one.trade_id], listing, mark) for one in chosen]
    return {"trades": rows, "has_more": len(trades) > count}


def _directions(trades: Sequence[TradePrint]) -> dict[int, int]:
    found: dict[int, int] = {}
    last, before = Decimal(0), 0
    for trade in sorted(trades, key=lambda one: one.trade_id):
        price = Decimal(trade.price)
        before = found[trade.trade_id] = tick_direction(last, price, before)
        last = price
    return found


def tick_direction(last: Decimal, price: Decimal, before: int) -> int:
    """0 up, 1 the same after up, 2 down, 3 the same after down."""
    if price == last:
        return before | 1
    return 0 if price > last else 2


def _described(market_view: MarketView) -> list[dict[str, object]]:
    entries = map(described, market_view.listings())
    return [entry for entry in entries if entry is not None]


def _listing(parameters: Parameters, market_view: MarketView) -> Listing:
    symbol = parameters.get("instrument_name", "")
    if not symbol:
        raise wrong("instrument_name", "value is required")
    for listing in market_view.listings():
        if listing.symbol == symbol:
            return listing
    raise wrong("instrument_name", "instrument not found")


def _count(parameters: Parameters) -> int:
    count = _integer(parameters, "count", TRADES_USUAL)
    if not 1 <= count <= TRADES_MAX:
        raise wrong("count", f"must be from 1 to {TRADES_MAX}")
    return count


def _integer(parameters: Parameters, name: str, usual: int | None = None) -> int:
    text = parameters.get(name)
    if text is None:
        if usual is None:
            raise wrong(name, "value is required")
        return usual
    number = whole(text)
    if number is None:
        raise wrong(name, "must be an integer")
    return number
