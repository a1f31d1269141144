"""Advanced Trade's REST answers, as far as they need no key.

https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/rest-api
"""

from collections.abc import Sequence
from typing import Any

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.simulator.dialect import MarketView, RestRequest, RestResponse
from kit.simulator.history import TRADES_MAX, TradeHistory, TradePrint
from kit.simulator.listing import Listing
from kit.simulator.texts import short
from venues.coinbase.simulator.answers import (
    FIAT,
    NAMES,
    TIME_END_S,
    CoinbaseApiError,
    as_json,
    currencies,
    last_price,
    listing_of,
    ns,
    time_s,
    whole_number,
)
from venues.coinbase.simulator.candles import (
    ADVANCED_SECONDS,
    candle_object,
    interval_start,
)
from venues.coinbase.simulator.times import micro_text, nano_text

CANDLES_MAX = 350
ROWS_MAX = 1000
ROWS_USUAL = 100
MARKET = ["api", "v3", "brokerage", "market"]


async def answer(
    parts: Sequence[str], request: RestRequest, market_view: MarketView
) -> RestResponse:
    """One call, its path in parts. Raises Refusal."""
    path = list(parts)
    if path[0] == "v2":
        return _v2(path[1:], market_view)
    if path == ["api", "v3", "brokerage", "time"]:
        return as_json(_time(market_view))
    if path[:4] != MARKET:
        raise _refusal(404, "NOT_FOUND", "no such path")
    match path[4:]:
        case ["products"]:
            return _products(request, market_view)
        case ["product_book"]:
            return await _book(request, market_view)
        case ["products", product]:
            return as_json(_product(_listed(product, market_view), market_view))
        case ["products", product, "candles"]:
            return _candles(request, market_view.history(_listed(product, market_view).symbol))
        case ["products", product, "ticker"]:
            return await _ticker(_listed(product, market_view).symbol, request, market_view)
    raise _refusal(404, "NOT_FOUND", "no such path")


def _v2(path: Sequence[str], market_view: MarketView) -> RestResponse:
    names = [(one, NAMES.get(one, one)) for one in currencies(market_view)]
    match path:
        case ["time"]:
            return as_json({"data": _time(market_view)})
        case ["currencies"]:
            fiat = [one for one in names if one[0] in FIAT]
            return as_json(
                {"data": [{"id": id_, "name": name, "min_size": "0.01"} for id_, name in fiat]}
            )
        case ["currencies", "crypto"]:
            crypto = [one for one in names if one[0] not in FIAT]
            return as_json(
                {
                    "data": [
                        {"asset_id": id_.lower(), "code": id_, "name": name, "type": "crypto"}
                        for id_, name in crypto
                    ]
                }
            )
        case ["exchange-rates"]:
            return as_json({"data": {"currency": "USD", "rates": {}}})
    raise CoinbaseApiError(404, {"errors": [{"id": "not_found", "message": "Not found"}]})


def _time(market_view: MarketView) -> dict[str, str]:
    now_ns = market_view.time_ns()
    return {
        "iso": nano_text(now_ns),
        "epochSeconds": str(now_ns // NANOSECONDS_PER_SECOND),
        "epochMillis": str(now_ns // NANOSECONDS_PER_MILLISECOND),
    }


def _products(request: RestRequest, market_view: MarketView) -> RestResponse:
    spot = request.query.get("product_type", "SPOT") == "SPOT"
    products = [_product(one, market_view) for one in market_view.listings()] if spot else []
    return as_json({"products": products, "num_products": len(products)})


def _product(one: Listing, market_view: MarketView) -> dict[str, object]:
    return {
        "product_id": one.symbol,
        "price": short(last_price(market_view.history(one.symbol))),
        "price_percentage_change_24h": "0",
        "volume_24h": "0",
        "volume_percentage_change_24h": "0",
        "base_increment": one.lot_size,
        "quote_increment": one.tick_size,
        "quote_min_size": one.minimum_notional,
        "quote_max_size": "150000000",
        "base_min_size": one.lot_size,
        "base_max_size": "3400",
        "base_name": NAMES.get(one.base, one.base),
        "quote_name": NAMES.get(one.quote, one.quote),
        "watched": False,
        "is_disabled": False,
        "new": False,
        "status": "online",
        "cancel_only": False,
        "limit_only": False,
        "post_only": False,
        "trading_disabled": one.halted,
        "auction_mode": False,
        "product_type": "SPOT",
        "quote_currency_id": one.quote,
        "base_currency_id": one.base,
        "fcm_trading_session_details": None,
        "mid_market_price": "",
        "alias": "",
        "alias_to": [],
        "base_display_symbol": one.base,
        "quote_display_symbol": one.quote,
        "view_only": False,
        "price_increment": one.tick_size,
        "display_name": one.symbol,
        "product_venue": "CBE",
    }


async def _book(request: RestRequest, market_view: MarketView) -> RestResponse:
    product = _listed(request.query.get("product_id", ""), market_view).symbol
    limit = _number(request, "limit", ROWS_MAX)
    book = await market_view.book(product)
    if book is None:
        raise _refusal(503, "UNAVAILABLE", "no book")
    bids, asks = (
        [{"price": short(price), "size": short(size)} for price, size in side[:limit]]
        for side in (book.bids, book.asks)
    )
    at = micro_text(market_view.time_ns())
    return as_json({"pricebook": {"product_id": product, "bids": bids, "asks": asks, "time": at}})


async def _ticker(product: str, request: RestRequest, market_view: MarketView) -> RestResponse:
    """Trades, newest first; of a time, the newest of it."""
    history = market_view.history(product)
    limit = min(_number(request, "limit", ROWS_USUAL), ROWS_MAX)
    start_s, end_s = _seconds(request, "start", 0), _seconds(request, "end", TIME_END_S)
    found = history.between(ns(start_s), ns(end_s), TRADES_MAX)[-limit:]
    rows = [_trade(product, one) for one in reversed(found)]
    best = {"best_bid": "", "best_ask": ""}
    if request.query.keys().isdisjoint(("start", "end")) and rows:
        book = await market_view.book(product)
        if book is not None and book.bids and book.asks:
            best = {"best_bid": short(book.bids[0][0]), "best_ask": short(book.asks[0][0])}
    return as_json({"trades": rows, **best})


def _candles(request: RestRequest, history: TradeHistory[Any]) -> RestResponse:
    """Newest first, and none for an interval without a trade."""
    seconds = ADVANCED_SECONDS.get(request.query.get("granularity", ""))
    if seconds is None:
        raise _refusal(400, "INVALID_ARGUMENT", "granularity argument is invalid")
    start_s, end_s = _seconds(request, "start", 0), _seconds(request, "end", 0)
    if not 0 <= end_s - start_s < CANDLES_MAX * seconds:
        few = f"number of candles requested should be less than {CANDLES_MAX}"
        raise _refusal(400, "INVALID_ARGUMENT", f"start and end argument is invalid - {few}")
    found = history.candles(interval_start(seconds), ns(start_s), ns(end_s))
    return as_json({"candles": [candle_object(candle) for candle in reversed(found)]})


def _trade(product: str, one: TradePrint) -> dict[str, str]:
    """The side is the maker's."""
    return {
        "trade_id": str(one.trade_id),
        "product_id": product,
        "price": short(one.price),
        "size": short(one.size),
        "time": micro_text(one.time_ns),
        "side": "SELL" if one.taker_buys else "BUY",
        "bid": "",
        "ask": "",
        "exchange": "coinbase",
    }


def _listed(product: str, market_view: MarketView) -> Listing:
    found = listing_of(product, market_view)
    if found is None:
        raise _refusal(404, "NOT_FOUND", "product_id is not found")
    return found


def _number(request: RestRequest, name: str, usual: int) -> int:
    found = whole_number(request, name, usual)
    if found is None:
        raise _refusal(400, "INVALID_ARGUMENT", f"{name} argument is invalid")
    return found


def _seconds(request: RestRequest, name: str, usual: int) -> int:
    found = time_s(request, name, usual)
    if found is None:
        raise _refusal(400, "INVALID_ARGUMENT", f"{name} argument is invalid")
    return found


def _refusal(status: int, error: str, message: str) -> CoinbaseApiError:
    return CoinbaseApiError(status, {"error": error, "error_details": message, "message": message})
