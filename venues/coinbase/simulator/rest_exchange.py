"""Exchange's REST answers, as far as they need no key.

https://docs.cdp.coinbase.com/exchange/introduction/welcome
"""

from collections.abc import Sequence
from typing import Any

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import MarketView, RestRequest, RestResponse
from kit.simulator.history import TradeHistory, TradePrint
from kit.simulator.listing import Listing
from venues.coinbase.simulator.answers import (
    FIAT,
    NAMES,
    CoinbaseApiError,
    as_json,
    currencies,
    listing_of,
    ns,
    time_s,
    whole_number,
)
from venues.coinbase.simulator.candles import EXCHANGE_SECONDS, candle_row, interval_start
from venues.coinbase.simulator.times import micro_text, nano_text

CANDLES_MAX = 300
ROWS_MAX = 1000
LEVELS = {"1": 1, "2": 5000, "3": 5000}
"""How deep a book is given; level 3, of single orders, is given as level 2."""
DAY_S = 86_400


async def answer(
    parts: Sequence[str], request: RestRequest, market_view: MarketView
) -> RestResponse:
    """One call, its path in parts. Raises Refusal."""
    match parts:
        case ["time"]:
            now_ns = market_view.time_ns()
            return as_json({"iso": nano_text(now_ns), "epoch": now_ns / NANOSECONDS_PER_SECOND})
        case ["currencies"]:
            return as_json([_currency(one) for one in currencies(market_view)])
        case ["products"]:
            return as_json([_product(one) for one in market_view.listings()])
        case ["products", product]:
            return as_json(_product(_listed(product, market_view)))
        case ["products", product, "book"]:
            return await _book(request, _listed(product, market_view).symbol, market_view)
        case ["products", product, "trades"]:
            return _trades(request, market_view.history(_listed(product, market_view).symbol))
        case ["products", product, "candles"]:
            return _candles(
                request, market_view.history(_listed(product, market_view).symbol), market_view
            )
        case ["products", product, "ticker"]:
            return await _ticker(_listed(product, market_view).symbol, market_view)
        case ["products", product, "stats"]:
            return _stats(market_view.history(_listed(product, market_view).symbol), market_view)
    raise CoinbaseApiError(404, {"message": "NotFound"})


def _currency(one: str) -> dict[str, object]:
    kind = "fiat" if one in FIAT else "crypto"
    return {
        "id": one,
        "name": NAMES.get(one, one),
        "min_size": "0.01" if one in FIAT else "0.00000001",
        "status": "online",
        "message": "",
        "max_precision": "0.01" if one in FIAT else "0.00000001",
        "convertible_to": [],
        "details": {"type": kind},
        "default_network": "",
        "supported_networks": [],
    }


def _product(one: Listing) -> dict[str, object]:
    return {
        "id": one.symbol,
        "base_currency": one.base,
        "quote_currency": one.quote,
        "quote_increment": one.tick_size,
        "base_increment": one.lot_size,
        "display_name": one.symbol,
        "min_market_funds": one.minimum_notional,
        "margin_enabled": False,
        "post_only": False,
        "limit_only": False,
        "cancel_only": False,
        "status": "online",
        "status_message": "",
        "trading_disabled": one.halted,
        "fx_stablecoin": False,
        "max_slippage_percentage": "0.02000000",
        "auction_mode": False,
    }


async def _book(request: RestRequest, product: str, market_view: MarketView) -> RestResponse:
    depth = LEVELS.get(request.query.get("level", "1"))
    if depth is None:
        raise CoinbaseApiError(400, {"message": "Invalid level"})
    book = await market_view.book(product)
    if book is None:
        raise CoinbaseApiError(503, {"message": "no book"})
    bids, asks = (
        [[price, size, 1] for price, size in side[:depth]] for side in (book.bids, book.asks)
    )
    return as_json(
        {
            "bids": bids,
            "asks": asks,
            "sequence": book.sequence,
            "auction_mode": False,
            "auction": None,
            "time": micro_text(market_view.time_ns()),
        }
    )


def _trades(request: RestRequest, history: TradeHistory[Any]) -> RestResponse:
    """Newest first. ``after`` asks for older ones than this id, ``before`` for newer ones."""
    limit = whole_number(request, "limit", ROWS_MAX)
    after, before = whole_number(request, "after", 0), whole_number(request, "before", 0)
    if limit is None or after is None or before is None:
        raise CoinbaseApiError(400, {"message": "Invalid page"})
    limit = min(limit, ROWS_MAX)
    newest = history.latest(1)
    end = min(after or newest[0].trade_id + 1, newest[0].trade_id + 1) if newest else 0
    found = history.from_id(end - limit, limit)
    wanted = [one for one in found if before < one.trade_id < end]
    rows = [_trade(one) for one in reversed(wanted)]
    cursors = {"CB-BEFORE": rows[0]["trade_id"], "CB-AFTER": rows[-1]["trade_id"]} if rows else {}
    return as_json(rows, headers={name: str(number) for name, number in cursors.items()})


def _candles(
    request: RestRequest, history: TradeHistory[Any], market_view: MarketView
) -> RestResponse:
    """Newest first, as bare numbers, and none for an interval without a trade."""
    seconds = whole_number(request, "granularity", 60)
    if seconds not in EXCHANGE_SECONDS:
        raise CoinbaseApiError(400, {"message": "Unsupported granularity"})
    now_s = market_view.time_ns() // NANOSECONDS_PER_SECOND
    end_s = time_s(request, "end", now_s)
    start_s = time_s(request, "start", now_s - (CANDLES_MAX - 1) * seconds)
    if start_s is None or end_s is None:
        raise CoinbaseApiError(400, {"message": "Invalid start or end"})
    if (end_s - start_s) // seconds > CANDLES_MAX:
        many = f"Count of aggregations requested exceeds {CANDLES_MAX}"
        few = f"granularity too small for the requested time range. {many}"
        raise CoinbaseApiError(400, {"message": few})
    found = history.candles(interval_start(seconds), ns(start_s), ns(end_s))
    return RestResponse(f"[{','.join(map(candle_row, reversed(found)))}]".encode())


async def _ticker(product: str, market_view: MarketView) -> RestResponse:
    newest = market_view.history(product).latest(1)
    book = await market_view.book(product)
    if not newest or book is None or not book.bids or not book.asks:
        raise CoinbaseApiError(404, {"message": "NotFound"})
    row = _trade(newest[0])
    del row["side"]
    return as_json({**row, "bid": book.bids[0][0], "ask": book.asks[0][0], "volume": "0"})


def _stats(history: TradeHistory[Any], market_view: MarketView) -> RestResponse:
    first_ns = market_view.time_ns() - ns(DAY_S)
    day = history.candles(lambda at_ns: first_ns, first_ns, market_view.time_ns())
    if not day:
        raise CoinbaseApiError(404, {"message": "NotFound"})
    numbers = {"open": day[0].open, "high": day[0].high, "low": day[0].low, "last": day[0].close}
    volumes = {"volume": day[0].volume, "volume_30day": day[0].volume}
    return as_json({name: f"{number:f}" for name, number in (numbers | volumes).items()})


def _trade(one: TradePrint) -> dict[str, object]:
    """The side is the maker's."""
    return {
        "trade_id": one.trade_id,
        "side": "sell" if one.taker_buys else "buy",
        "size": one.size,
        "price": one.price,
        "time": micro_text(one.time_ns),
    }


def _listed(product: str, market_view: MarketView) -> Listing:
    found = listing_of(product, market_view)
    if found is None:
        raise CoinbaseApiError(404, {"message": "NotFound"})
    return found
