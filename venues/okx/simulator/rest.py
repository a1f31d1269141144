"""OKX's public REST calls.

Documentation: https://www.okx.com/docs-v5/en/#order-book-trading-market-data
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import RestResponse
from kit.simulator.exchange.paging import page_by_id
from kit.simulator.exchange.rest import ApiCall, ApiError, Route, public
from kit.simulator.history import HistoricalTrade
from kit.simulator.listing import ExchangeBookSnapshot, InstrumentKind, Listing
from kit.simulator.text_conversion import short
from venues.okx.simulator.candles import INTERVALS, candle_row, milliseconds, ticker_row
from venues.okx.simulator.encode import Row, funding_row
from venues.okx.simulator.errors import NO_INSTRUMENT, missing
from venues.okx.simulator.instruments import TYPES

ROOT = "/api/v5/"
INSTRUMENTS_PATH = f"{ROOT}public/instruments"
INSTRUMENT_TYPES = dict.fromkeys(("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION"))
LEVELS_MAX = 400
ROWS_DEFAULT = 100
TRADES_MAX, HISTORY_TRADES_MAX, CANDLES_MAX = 500, 100, 300
BY_TIME = "2"
TIME_END_NS = 2**63
TIME_END_MS = TIME_END_NS // NANOSECONDS_PER_MILLISECOND

Books = Callable[[str], ExchangeBookSnapshot | None]
"""The book of a symbol as its channel has published it."""


def accept(call: ApiCall, result: object) -> RestResponse:
    """``{"code":"0","data":[…],"msg":""}`` of rows; a whole body or answer stays as it is."""
    if isinstance(result, RestResponse):
        return result
    if isinstance(result, dict):
        return RestResponse(msgspec.json.encode(result))
    return RestResponse(msgspec.json.encode({"code": "0", "data": result, "msg": ""}))


def reject(call: ApiCall, error: ApiError) -> RestResponse:
    """``{"code":"51001","data":[],"msg":"…"}``"""
    body: Row = {"code": error.code, "data": [], "msg": error.message}
    return RestResponse(msgspec.json.encode(body), error.status)


def required(call: ApiCall, name: str) -> str:
    """A parameter that must not be empty. Raises ApiError."""
    text = call.text(name)
    if not text:
        raise missing(name)
    return text


def listing_of(call: ApiCall) -> Listing:
    """The instrument of ``instId``. Raises ApiError."""
    required(call, "instId")
    return call.listing("instId")


def routes(books: Books) -> dict[str, Route]:
    async def order_book(call: ApiCall) -> list[Row]:
        depth, symbol = call.limit(1, LEVELS_MAX, "sz"), listing_of(call).symbol
        book = books(symbol) or await call.market_view.book(symbol)
        if book is None:
            raise call.errors.unavailable
        sides = {"asks": _levels(book.asks[:depth]), "bids": _levels(book.bids[:depth])}
        return [{**sides, "ts": str(call.now_ms), "seqId": book.sequence}]

    handlers: Mapping[str, Callable[[ApiCall], object]] = {
        "public/instruments": _instruments,
        "public/time": lambda call: [{"ts": str(call.clock_ms)}],
        "public/funding-rate": _funding_rate,
        "market/books": order_book,
        "market/trades": _trades,
        "market/history-trades": _history_trades,
        "market/candles": _candles,
        "market/history-candles": _candles,
        "market/ticker": _ticker,
    }
    return public({f"GET {ROOT}{path}": handle for path, handle in handlers.items()})


def _instruments(call: ApiCall) -> object:
    """In a replay the recorded answer, if there is one."""
    call.choice("instType", INSTRUMENT_TYPES)
    kind, view = call.text("instType"), call.market_view
    rows = [
        _instrument(one, code)
        for code, one in enumerate(view.listings(), start=1)
        if TYPES[one.kind] == kind
    ]
    recorded = view.recorded(f"{INSTRUMENTS_PATH}/instType/{kind}")
    recorded = recorded or view.recorded(INSTRUMENTS_PATH)
    if not rows or recorded is None:
        name = call.text("instId")
        found = [row for row in rows if name in ("", row["instId"])]
        if rows and not found:
            raise NO_INSTRUMENT
        return found
    return RestResponse(recorded)


def _funding_rate(call: ApiCall) -> list[Row]:
    listing = listing_of(call)
    mark = call.market_view.mark(listing.symbol)
    if mark is None:
        raise NO_INSTRUMENT
    return [funding_row(mark, listing, call.now_ns)]


def _trades(call: ApiCall) -> list[Row]:
    symbol, limit = listing_of(call).symbol, call.limit(ROWS_DEFAULT, TRADES_MAX)
    return [_trade(one, symbol) for one in reversed(call.market_view.history(symbol).latest(limit))]


def _history_trades(call: ApiCall) -> list[Row]:
    """``type`` 1: ``after`` and ``before`` are ids, both left out; 2: ``after`` is a time. With
    ``before`` alone the newest are given, as OKX does."""
    symbol, limit = listing_of(call).symbol, call.limit(ROWS_DEFAULT, HISTORY_TRADES_MAX)
    history = call.market_view.history(symbol)
    if not call.text("after"):
        return [_trade(one, symbol) for one in reversed(history.latest(limit))]
    after = call.integer("after")
    newest_first = reversed(history.from_id(0, TIME_END_NS))
    if call.text("type") == BY_TIME:
        end_ns = after * NANOSECONDS_PER_MILLISECOND
        earlier = [one for one in newest_first if one.time_ns < end_ns]
        return [_trade(one, symbol) for one in earlier[:limit]]
    above = call.integer("before") if call.text("before") else None
    page = page_by_id(list(newest_first), lambda one: one.trade_id, limit, after, above)
    return [_trade(one, symbol) for one in page]


def _candles(call: ApiCall) -> list[list[str]]:
    """Newest first; ``after`` and ``before`` are start times, both left out."""
    call = call.having({"bar": call.text("bar", "1m")})
    interval = call.choice("bar", INTERVALS)
    limit, listing = call.limit(ROWS_DEFAULT, CANDLES_MAX), listing_of(call)
    end_ns = call.integer("after", TIME_END_MS) * NANOSECONDS_PER_MILLISECOND - 1
    start_ns = call.integer("before", 0) * NANOSECONDS_PER_MILLISECOND + 1
    found = call.market_view.history(listing.symbol).candles(
        interval.start_ns, start_ns, min(end_ns, TIME_END_NS)
    )
    open_ns = interval.start_ns(call.now_ns)
    return [candle_row(one, listing, one.start_ns < open_ns) for one in reversed(found[-limit:])]


async def _ticker(call: ApiCall) -> list[Row]:
    listing = listing_of(call)
    book = await call.market_view.book(listing.symbol)
    sides = (book.bids, book.asks) if book else ((), ())
    best = [short(text) for side in sides for text in (side[0][:2] if side else ("", ""))]
    row = ticker_row(call.market_view, listing, best)
    return [] if row is None else [row]


def _levels(side: Sequence[Sequence[str]]) -> list[tuple[str, str, str, str]]:
    """``[["price","size","0","orders"]]``; each level counts as one order."""
    return [(short(price), short(size), "0", "1") for price, size, *_ in side]


def _trade(trade: HistoricalTrade, symbol: str) -> Row:
    """``{"instId","tradeId","px","sz","side":the taker's,"ts","source"}``"""
    return {
        "instId": symbol,
        "tradeId": str(trade.trade_id),
        "px": short(trade.price),
        "sz": short(trade.size),
        "side": "buy" if trade.taker_buys else "sell",
        "source": "0",
        "ts": milliseconds(trade.time_ns),
    }


def _instrument(listing: Listing, code: int) -> Row:
    marks = {"simulator": "tick and lot as seen in a capture"} if listing.derived else {}
    is_swap = listing.kind is InstrumentKind.PERPETUAL
    index = f"{listing.base}-{listing.quote}" if is_swap else ""
    return {
        **marks,
        "alias": "",
        "baseCcy": "" if is_swap else listing.base,
        "category": "1",
        "ctMult": "1" if is_swap else "",
        "ctType": "linear" if is_swap else "",
        "ctVal": listing.contract_size,
        "ctValCcy": listing.base if is_swap else "",
        "expTime": "",
        "instFamily": index,
        "instId": listing.symbol,
        "instIdCode": code,
        "instType": TYPES[listing.kind],
        "lever": "10",
        "listTime": "1548133413000",
        "lotSz": listing.lot_size,
        "maxLmtSz": "9999999999",
        "maxMktSz": "1000000",
        "minSz": listing.lot_size,
        "optType": "",
        "quoteCcy": "" if is_swap else listing.quote,
        "ruleType": "normal",
        "settleCcy": listing.settle,
        "state": "suspend" if listing.halted else "live",
        "stk": "",
        "tickSz": listing.tick_size,
        "uly": index,
    }
