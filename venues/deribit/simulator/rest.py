"""Deribit's public methods, the same over HTTP and over the websocket.

Documentation: https://docs.deribit.com/api-reference/market-data
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from kit.base.clock import NANOSECONDS_PER_MICROSECOND, NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import MarketView, RestResponse
from kit.simulator.exchange.candles import day_of
from kit.simulator.exchange.rest import ApiCall, ApiError, Handler
from kit.simulator.history import HistoricalTrade
from kit.simulator.listing import DerivativeMark, ExchangeBookSnapshot, Listing
from venues.deribit.simulator.candles import INTERVALS, chart, number, stats
from venues.deribit.simulator.errors import error_row, rejection, wrong
from venues.deribit.simulator.instruments import contracts, described, is_inverse, state

BASE_PATH = "/api/v2/"
TRADES_DEFAULT, TRADES_MAX = 10, 1000
CANDLES_MAX = 5000
DEPTH_DEFAULT = 5
TIME_END_MS = 2**63 // NANOSECONDS_PER_MILLISECOND - 1
VERSION = "1.2.26"
OPEN_INTEREST = 560_105_870
"""Nobody holds positions in a simulated market; clients expect a number."""
Row = dict[str, object]


def accept(call: ApiCall, result: object) -> RestResponse:
    """``{"jsonrpc":"2.0","result":…,"usIn",…}``"""
    return RestResponse(envelope({"result": result}, call.market_view))


def reject(call: ApiCall, error: ApiError) -> RestResponse:
    """``{"jsonrpc":"2.0","error":{"message","code"},"usIn",…}``"""
    return RestResponse(envelope({"error": error_row(error)}, call.market_view), error.status)


def envelope(members: Mapping[str, object], market_view: MarketView) -> bytes:
    """``{"jsonrpc":"2.0",…,"usIn","usOut","usDiff","testnet":false}``"""
    now_us = market_view.time_ns() // NANOSECONDS_PER_MICROSECOND
    times = {"usIn": now_us, "usOut": now_us, "usDiff": 0, "testnet": False}
    return msgspec.json.encode({"jsonrpc": "2.0", **members, **times})


def _test(call: ApiCall) -> Row:
    return {"version": VERSION}


def _time(call: ApiCall) -> int:
    return call.clock_ms


def _currencies(call: ApiCall) -> list[Row]:
    bases = dict.fromkeys(str(one["base_currency"]) for one in _described(call))
    return [
        {"currency": base, "currency_long": base, "coin_type": base, "fee_precision": 4}
        for base in bases
    ]


def _instruments(call: ApiCall) -> list[Row]:
    currency, kind = call.text("currency", "any"), call.text("kind", "any")
    return [
        one
        for one in _described(call)
        if currency in ("any", one["base_currency"]) and kind in ("any", one["kind"])
    ]


def _instrument(call: ApiCall) -> Row | None:
    return described(_listing(call))


async def _order_book(call: ApiCall) -> Row:
    found, depth = _listing(call), call.integer("depth", DEPTH_DEFAULT)
    book = await call.market_view.book(found.symbol)
    if book is None:
        raise rejection(10040, "retry")
    sides = {"bids": book_side(book.bids[:depth]), "asks": book_side(book.asks[:depth])}
    return {**ticker(found, book, call.market_view), "change_id": book.sequence, **sides}


async def _ticker(call: ApiCall) -> Row:
    found = _listing(call)
    return ticker(found, await call.market_view.book(found.symbol), call.market_view)


def _trades(call: ApiCall) -> Row:
    """From start_seq up, down to end_seq from the newest, or the newest."""
    found = _listing(call)
    history, count = call.market_view.history(found.symbol), _count(call)
    if call.text("start_seq"):
        first = call.integer("start_seq")
        last = call.integer("end_seq", first + count)
        inside = [one for one in history.from_id(first, count + 1) if one.trade_id <= last]
    elif call.text("end_seq"):
        last = call.integer("end_seq")
        inside = list(history.from_id(last - count, count + 1))
        inside = [one for one in inside if one.trade_id <= last][-count:]
    else:
        inside = list(history.latest(count + 1))[::-1]
    return _page(inside, count, call, found)


def _trades_of_time(call: ApiCall) -> Row:
    found, count = _listing(call), _count(call)
    start_ns = call.integer("start_timestamp", 0) * NANOSECONDS_PER_MILLISECOND
    end_ns = (call.integer("end_timestamp", TIME_END_MS) + 1) * NANOSECONDS_PER_MILLISECOND - 1
    inside = call.market_view.history(found.symbol).between(start_ns, end_ns, count + 1)
    return _page(inside, count, call, found)


def _chart(call: ApiCall) -> Row:
    """From the candle that the first time belongs to."""
    symbol = _listing(call).symbol
    one_of = wrong("resolution", "must be one of " + ", ".join(INTERVALS))
    interval = call.choice("resolution", INTERVALS, one_of)
    start_ns = call.integer("start_timestamp") * NANOSECONDS_PER_MILLISECOND
    end_ns = call.integer("end_timestamp") * NANOSECONDS_PER_MILLISECOND
    history = call.market_view.history(symbol)
    found = history.candles(interval.start_ns, interval.start_ns(start_ns), end_ns)
    return chart(found[-CANDLES_MAX:], is_inverse(symbol))


METHODS: Mapping[str, Handler] = {
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


def ticker(listing: Listing, book: ExchangeBookSnapshot | None, market_view: MarketView) -> Row:
    """What a ticker frame, and the answers to ticker and get_order_book, have in common."""
    symbol, inverse = listing.symbol, is_inverse(listing.symbol)
    day = day_of(market_view, symbol)
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
    trade: HistoricalTrade, tick_direction: int, listing: Listing, mark: DerivativeMark | None
) -> Row:
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
    """The currency stands in front, except for Bitcoin."""
    return str(trade_seq) if base == "BTC" else f"{base}-{trade_seq}"


def book_side(levels: Sequence[Sequence[str]]) -> list[tuple[msgspec.Raw, msgspec.Raw]]:
    """``[[30434.5,600.0],…]``"""
    return [(number(price), number(size)) for price, size in levels]


def _marks(mark: DerivativeMark | None) -> Row:
    if mark is None:
        return {}
    return {
        "mark_price": number(mark.mark_price),
        "index_price": number(mark.index_price),
        "estimated_delivery_price": number(mark.index_price),
        "funding_8h": number(mark.funding_rate),
        "current_funding": number(mark.funding_rate),
    }


def _page(trades: Sequence[HistoricalTrade], count: int, call: ApiCall, listing: Listing) -> Row:
    chosen = list(trades[:count])
    sorting = call.text("sorting", "default")
    if sorting != "default":
        chosen.sort(key=lambda one: one.trade_id, reverse=sorting == "desc")
    directions, mark = _directions(chosen), call.market_view.mark(listing.symbol)
    rows = [trade_row(one, directions[one.trade_id], listing, mark) for one in chosen]
    return {"trades": rows, "has_more": len(trades) > count}


def _directions(trades: Sequence[HistoricalTrade]) -> dict[int, int]:
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


def _described(call: ApiCall) -> list[Row]:
    entries = map(described, call.market_view.listings())
    return [entry for entry in entries if entry is not None]


def _listing(call: ApiCall) -> Listing:
    if not call.text("instrument_name"):
        raise wrong("instrument_name", "value is required")
    return call.listing("instrument_name")


def _count(call: ApiCall) -> int:
    count = call.integer("count", TRADES_DEFAULT)
    if not 1 <= count <= TRADES_MAX:
        raise wrong("count", f"must be from 1 to {TRADES_MAX}")
    return count
