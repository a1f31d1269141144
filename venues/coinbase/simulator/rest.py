"""Coinbase's public REST calls, of Advanced Trade and of Exchange.

Documentation: https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/rest-api
https://docs.cdp.coinbase.com/exchange/introduction/welcome
"""

from collections.abc import Mapping
from urllib.parse import parse_qs

import msgspec

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import RestRequest, RestResponse
from kit.simulator.exchange.candles import CandleInterval
from kit.simulator.exchange.listings_and_prices import last_price
from kit.simulator.exchange.parameters import json_parameters
from kit.simulator.exchange.rest import ApiCall, ApiError, public
from kit.simulator.history import TRADES_MAX, HistoricalTrade
from kit.simulator.listing import ExchangeBookSnapshot, Listing
from kit.simulator.text_conversion import instant_ns, plain, short, whole
from venues.coinbase.simulator.candles import (
    ADVANCED_INTERVALS,
    EXCHANGE_INTERVALS,
    candle_object,
    candle_row,
    micro_text,
)
from venues.coinbase.simulator.errors import (
    UNAUTHORIZED,
    advanced_error,
    exchange_error,
    exchange_invalid,
)
from venues.coinbase.simulator.instruments import FIAT, asset_name, assets

ADVANCED_CANDLES_MAX, EXCHANGE_CANDLES_MAX = 350, 300
ROWS_DEFAULT, ROWS_MAX = 100, 1000
LEVELS = {"1": 1, "2": 5000, "3": 5000}
"""How deep a book is. The real level 3 has single orders, this one is the same as level 2."""
TIME_END_NS = 2**63
LIMITS = ("cancel_only", "limit_only", "post_only", "auction_mode")
NO_LIMITS = dict.fromkeys(LIMITS, False)
NOT_DISABLED = dict.fromkeys((*LIMITS, "is_disabled", "view_only"), False)

Row = dict[str, object]


def accept(call: ApiCall, result: object) -> RestResponse:
    if isinstance(result, RestResponse):
        return result
    return RestResponse(msgspec.json.encode(result))


def advanced_reject(call: ApiCall, error: ApiError) -> RestResponse:
    """``{"error":"NOT_FOUND","error_details":"…","message":"…"}``"""
    if error is UNAUTHORIZED:
        return RestResponse(b"Unauthorized\n", error.status, content_type="text/plain")
    body = {"error": error.code, "error_details": error.message, "message": error.message}
    return RestResponse(msgspec.json.encode(body), error.status)


def exchange_reject(call: ApiCall, error: ApiError) -> RestResponse:
    """``{"message":"NotFound"}``"""
    return RestResponse(msgspec.json.encode({"message": error.message}), error.status)


def query_parameters(request: RestRequest) -> Mapping[str, str]:
    """The query; a parameter that comes more than once has its values with commas."""
    repeated = parse_qs(request.raw_query).items()
    return {**request.query, **{name: ",".join(texts) for name, texts in repeated}}


def exchange_parameters(request: RestRequest) -> Mapping[str, str]:
    """The query, and the members of the body. Raises ApiError."""
    try:
        return {**query_parameters(request), **json_parameters(request.body)}
    except ValueError:
        raise exchange_invalid("body") from None


def instant(call: ApiCall, name: str, default_ns: int) -> int:
    """A time in seconds since the Unix epoch, or RFC 3339, as ns. Raises ApiError."""
    text = call.text(name)
    if not text:
        return default_ns
    seconds = whole(text)
    found_ns = instant_ns(text) if seconds is None else seconds * NANOSECONDS_PER_SECOND
    if found_ns is None:
        raise call.errors.invalid(name)
    return found_ns


async def _book_of(call: ApiCall) -> ExchangeBookSnapshot:
    book = await call.market_view.book(call.listing("product_id").symbol)
    if book is None:
        raise call.errors.unavailable
    return book


def _advanced_products(call: ApiCall) -> Row:
    is_spot = call.text("product_type", "SPOT") == "SPOT"
    products = [_advanced_row(call, one) for one in call.listings()] if is_spot else []
    return {"products": products, "num_products": len(products)}


def _advanced_product(call: ApiCall) -> Row:
    return _advanced_row(call, call.listing("product_id"))


def _advanced_row(call: ApiCall, one: Listing) -> Row:
    price = last_price(call.market_view, one.symbol)
    return {
        "product_id": one.symbol,
        "price": "" if price is None else plain(price),
        "price_percentage_change_24h": "0",
        "volume_24h": "0",
        "base_increment": one.lot_size,
        "quote_increment": one.tick_size,
        "quote_min_size": one.minimum_notional,
        "quote_max_size": "150000000",
        "base_min_size": one.lot_size,
        "base_max_size": "3400",
        "status": "online",
        "trading_disabled": one.halted,
        **NOT_DISABLED,
        "product_type": "SPOT",
        "alias": "",
        "alias_to": [],
        "quote_currency_id": one.quote,
        "base_currency_id": one.base,
        "price_increment": one.tick_size,
        "display_name": one.symbol,
    }


async def _advanced_book(call: ApiCall) -> Row:
    book, limit = await _book_of(call), call.integer("limit", ROWS_MAX)
    bids, asks = (
        [{"price": short(price), "size": short(size)} for price, size in side[:limit]]
        for side in (book.bids, book.asks)
    )
    product, at = call.text("product_id"), micro_text(call.now_ns)
    return {"pricebook": {"product_id": product, "bids": bids, "asks": asks, "time": at}}


async def _advanced_trades(call: ApiCall) -> Row:
    """Newest first; ``side`` is the maker's. The best bid and ask are of now."""
    product = call.listing("product_id").symbol
    limit = call.integer("limit", ROWS_DEFAULT, ROWS_MAX)
    times_ns = instant(call, "start", 0), instant(call, "end", TIME_END_NS)
    found = call.market_view.history(product).between(*times_ns, TRADES_MAX)[-limit:]
    rows = [
        {
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
        for one in reversed(found)
    ]
    best = {"best_bid": "", "best_ask": ""}
    if rows and not (call.text("start") or call.text("end")):
        book = await call.market_view.book(product)
        if book is not None and book.bids and book.asks:
            best = {"best_bid": short(book.bids[0][0]), "best_ask": short(book.asks[0][0])}
    return {"trades": rows, **best}


def _advanced_candles(call: ApiCall) -> Row:
    """Newest first; none for an interval without a trade."""
    history = call.market_view.history(call.listing("product_id").symbol)
    interval = call.choice("granularity", ADVANCED_INTERVALS)
    start_ns, end_ns = instant(call, "start", 0), instant(call, "end", 0)
    if not 0 <= end_ns - start_ns < _span_ns(interval, ADVANCED_CANDLES_MAX):
        few = f"number of candles requested should be less than {ADVANCED_CANDLES_MAX}"
        raise advanced_error(f"start and end argument is invalid - {few}")
    found = history.candles(interval.start_ns, start_ns, end_ns)
    return {"candles": [candle_object(candle) for candle in reversed(found)]}


def _span_ns(interval: CandleInterval, candles: int) -> int:
    return interval.seconds * candles * NANOSECONDS_PER_SECOND


def _fiat_currencies(call: ApiCall) -> Row:
    found = [one for one in assets(call.market_view) if one in FIAT]
    return {"data": [{"id": one, "name": asset_name(one), "min_size": "0.01"} for one in found]}


def _crypto_currencies(call: ApiCall) -> Row:
    found = [one for one in assets(call.market_view) if one not in FIAT]
    return {
        "data": [
            {"asset_id": one.lower(), "code": one, "name": asset_name(one), "type": "crypto"}
            for one in found
        ]
    }


def _exchange_rates(call: ApiCall) -> Row:
    return {"data": {"currency": "USD", "rates": {}}}


def _currencies(call: ApiCall) -> list[Row]:
    return [_currency(one) for one in assets(call.market_view)]


def _currency(asset: str) -> Row:
    is_fiat = asset in FIAT
    smallest = "0.01" if is_fiat else "0.00000001"
    return {
        "id": asset,
        "name": asset_name(asset),
        "min_size": smallest,
        "status": "online",
        "message": "",
        "max_precision": smallest,
        "details": {"type": "fiat" if is_fiat else "crypto"},
        "supported_networks": [],
    }


def _products(call: ApiCall) -> list[Row]:
    return [_row(one) for one in call.listings()]


def _product(call: ApiCall) -> Row:
    return _row(call.listing("product_id"))


def _row(one: Listing) -> Row:
    return {
        "id": one.symbol,
        "base_currency": one.base,
        "quote_currency": one.quote,
        "quote_increment": one.tick_size,
        "base_increment": one.lot_size,
        "display_name": one.symbol,
        "min_market_funds": one.minimum_notional,
        "margin_enabled": False,
        "status": "online",
        "trading_disabled": one.halted,
        **NO_LIMITS,
    }


async def _book(call: ApiCall) -> Row:
    book = await _book_of(call)
    levels = call.having({"level": call.text("level", "1")}).choice("level", LEVELS)
    bids, asks = (
        [[price, size, 1] for price, size in side[:levels]] for side in (book.bids, book.asks)
    )
    return {
        "bids": bids,
        "asks": asks,
        "sequence": book.sequence,
        "auction_mode": False,
        "time": micro_text(call.now_ns),
    }


def _trades(call: ApiCall) -> RestResponse:
    """Newest first: those older than the id ``after``, or newer than the id ``before``."""
    history = call.market_view.history(call.listing("product_id").symbol)
    limit = call.integer("limit", ROWS_MAX, ROWS_MAX)
    after, before = call.integer("after", 0), call.integer("before", 0)
    newest = history.latest(1)
    end = min(after or newest[0].trade_id + 1, newest[0].trade_id + 1) if newest else 0
    found = history.from_id(end - limit, limit)
    rows = [_trade(one) for one in reversed(found) if before < one.trade_id < end]
    cursors = {"CB-BEFORE": rows[0], "CB-AFTER": rows[-1]} if rows else {}
    headers = {name: str(row["trade_id"]) for name, row in cursors.items()}
    return RestResponse(msgspec.json.encode(rows), headers=headers)


def _candles(call: ApiCall) -> msgspec.Raw:
    """Newest first, as numbers; none for an interval without a trade."""
    history = call.market_view.history(call.listing("product_id").symbol)
    call = call.having({"granularity": call.text("granularity", "60")})
    unsupported = exchange_error("Unsupported granularity")
    interval = call.choice("granularity", EXCHANGE_INTERVALS, unsupported)
    start_ns = instant(call, "start", call.now_ns - _span_ns(interval, EXCHANGE_CANDLES_MAX - 1))
    end_ns = instant(call, "end", call.now_ns)
    if end_ns - start_ns >= _span_ns(interval, EXCHANGE_CANDLES_MAX + 1):
        many = f"Count of aggregations requested exceeds {EXCHANGE_CANDLES_MAX}"
        raise exchange_error(f"granularity too small for the requested time range. {many}")
    found = history.candles(interval.start_ns, start_ns, end_ns)
    return msgspec.Raw(f"[{','.join(map(candle_row, reversed(found)))}]".encode())


async def _ticker(call: ApiCall) -> Row:
    book = await _book_of(call)
    newest = call.market_view.history(call.text("product_id")).latest(1)
    if not newest or not book.bids or not book.asks:
        raise call.errors.unknown_symbol
    row = _trade(newest[0])
    del row["side"]
    return {**row, "bid": book.bids[0][0], "ask": book.asks[0][0], "volume": "0"}


def _trade(one: HistoricalTrade) -> Row:
    """``side`` is the maker's."""
    return {
        "trade_id": one.trade_id,
        "side": "sell" if one.taker_buys else "buy",
        "size": one.size,
        "price": one.price,
        "time": micro_text(one.time_ns),
    }


def _time(call: ApiCall) -> Row:
    seconds, iso = call.clock_ms // 1_000, micro_text(call.clock_ns)
    return {"iso": iso, "epochSeconds": str(seconds), "epochMillis": str(call.clock_ms)}


MARKET = "GET /api/v3/brokerage/market"
ADVANCED_ROUTES = public(
    {
        f"{MARKET}/products": _advanced_products,
        f"{MARKET}/products/{{product_id}}": _advanced_product,
        f"{MARKET}/products/{{product_id}}/candles": _advanced_candles,
        f"{MARKET}/products/{{product_id}}/ticker": _advanced_trades,
        f"{MARKET}/product_book": _advanced_book,
        "GET /api/v3/brokerage/time": _time,
        "GET /v2/currencies": _fiat_currencies,
        "GET /v2/currencies/crypto": _crypto_currencies,
        "GET /v2/exchange-rates": _exchange_rates,
    },
    recorded=True,
)
EXCHANGE_ROUTES = public(
    {
        "GET /currencies": _currencies,
        "GET /products": _products,
        "GET /products/{product_id}": _product,
        "GET /products/{product_id}/book": _book,
        "GET /products/{product_id}/candles": _candles,
        "GET /products/{product_id}/ticker": _ticker,
        "GET /products/{product_id}/trades": _trades,
    },
    recorded=True,
)
