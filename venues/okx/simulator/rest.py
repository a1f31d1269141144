"""OKX's REST answers.

Documentation: https://www.okx.com/docs-v5/en/#order-book-trading-market-data
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.simulator.dialect import MarketView, RestRequest, RestResponse
from kit.simulator.history import TradeHistory, TradePrint
from kit.simulator.listing import BookSnapshot, InstrumentKind, Listing, Mark
from kit.simulator.texts import short, whole
from venues.okx.simulator.candles import bar_start, candle_row, ticker
from venues.okx.simulator.listings import SUFFIX, TYPES

ROOT = "/api/v5/"
INSTRUMENT_TYPES = ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION")
BOOK_LEVELS_MAX = 400
TRADES_MAX, HISTORY_TRADES_MAX, CANDLES_MAX = 500, 100, 300
USUAL = 100
BY_TIME = "2"
TIME_END_NS = 2**63
DAY_NS = 86_400 * NANOSECONDS_PER_SECOND
FUNDING_INTERVAL_MS = 8 * 3_600_000
NO_SUCH_INSTRUMENT = "Instrument ID, Instrument ID code, or Spread ID doesn't exist."
FAILURES: Mapping[int, bytes] = {
    418: b'{"code":"50011","data":[],"msg":"Too Many Requests"}',
    429: b'{"code":"50011","data":[],"msg":"Too Many Requests"}',
    500: b'{"code":"50026","data":[],"msg":"System error. Try again later"}',
    503: b'{"code":"50001","data":[],"msg":"Service temporarily unavailable. Try again later"}',
}


Told = Callable[[str], BookSnapshot | None]


class OkxApiError(Exception):
    """The exchange does not do what it was asked. It says so in an answer of status 200."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.body = msgspec.json.encode({"code": code, "data": [], "msg": message})


async def answer(request: RestRequest, market_view: MarketView, told: Told) -> RestResponse:
    """One call. ``told``: the books as the feed has told them last, where it has."""
    handler = HANDLERS.get(request.path.removeprefix(ROOT))
    if handler is None or not request.path.startswith(ROOT):
        return RestResponse(b'{"msg":"Not Found","code":"404"}', status=404)
    try:
        return await handler(request, market_view, told)
    except OkxApiError as refusal:
        return RestResponse(refusal.body)


async def _time(request: RestRequest, market_view: MarketView, told: Told) -> RestResponse:
    return _answer([{"ts": _milliseconds(market_view.time_ns())}])


async def _instruments(request: RestRequest, market_view: MarketView, told: Told) -> RestResponse:
    wanted = request.query.get("instType", "")
    if wanted not in INSTRUMENT_TYPES:
        raise OkxApiError("51000", "Parameter instType error")
    listings = [one for one in market_view.listings() if TYPES[one.kind] == wanted]
    if not listings:
        return _answer([])
    recorded = market_view.recorded(f"{request.path}/instType/{wanted}") or market_view.recorded(
        request.path
    )
    if recorded is not None:
        return RestResponse(recorded)
    rows = [_instrument(one, code) for code, one in enumerate(listings, start=1)]
    name = request.query.get("instId")
    if name is not None:
        rows = [row for row in rows if row["instId"] == name]
        if not rows:
            raise OkxApiError("51001", NO_SUCH_INSTRUMENT)
    return _answer(rows)


async def _book(request: RestRequest, market_view: MarketView, told: Told) -> RestResponse:
    depth = _number(request, "sz", 1, BOOK_LEVELS_MAX)
    symbol = _listing(request, market_view).symbol
    book = told(symbol) or await market_view.book(symbol)
    if book is None:
        return RestResponse(FAILURES[503], status=503)
    row = {
        **book_sides(book, depth),
        "ts": _milliseconds(market_view.time_ns()),
        "seqId": book.sequence,
    }
    return _answer([row])


async def _trades(request: RestRequest, market_view: MarketView, told: Told) -> RestResponse:
    limit = _number(request, "limit", USUAL, TRADES_MAX)
    listing = _listing(request, market_view)
    return _trade_rows(market_view.history(listing.symbol).latest(limit), listing)


async def _history_trades(
    request: RestRequest, market_view: MarketView, told: Told
) -> RestResponse:
    """``type`` 1: ``after`` and ``before`` are ids, both left out; 2: ``after`` is a time. With
    ``before`` alone the newest are given, as OKX does."""
    limit = _number(request, "limit", USUAL, HISTORY_TRADES_MAX)
    listing = _listing(request, market_view)
    history = market_view.history(listing.symbol)
    if "after" not in request.query:
        return _trade_rows(history.latest(limit), listing)
    after = _number(request, "after", 0)
    if request.query.get("type") == BY_TIME:
        end_ns = after * NANOSECONDS_PER_MILLISECOND - 1
        return _trade_rows(_before(history, lambda trade: trade.time_ns <= end_ns, limit), listing)
    first = _number(request, "before", -1)
    older = _before(history, lambda trade: first < trade.trade_id < after, limit)
    return _trade_rows(older, listing)


async def _candles(request: RestRequest, market_view: MarketView, told: Told) -> RestResponse:
    """Newest first; ``after`` and ``before`` are begins, both left out."""
    start_of = bar_start(request.query.get("bar", "1m"))
    if start_of is None:
        raise OkxApiError("51000", "Parameter bar error")
    limit = _number(request, "limit", USUAL, CANDLES_MAX)
    listing = _listing(request, market_view)
    end_ns = _number(request, "after", TIME_END_NS) * NANOSECONDS_PER_MILLISECOND - 1
    start_ns = _number(request, "before", -1) * NANOSECONDS_PER_MILLISECOND + 1
    found = market_view.history(listing.symbol).candles(
        start_of, start_ns, min(end_ns, TIME_END_NS)
    )
    now_start_ns = start_of(market_view.time_ns())
    return _answer(
        [
            candle_row(candle, listing, candle.start_ns < now_start_ns)
            for candle in reversed(found[-limit:])
        ]
    )


async def _ticker(request: RestRequest, market_view: MarketView, told: Told) -> RestResponse:
    listing = _listing(request, market_view)
    book = await market_view.book(listing.symbol)
    row = ticker_row(market_view, listing, best_of(book))
    return _answer([] if row is None else [row])


async def _mark_price(request: RestRequest, market_view: MarketView, told: Told) -> RestResponse:
    listing, mark = _mark_of(request, market_view)
    return _answer([mark_row(mark, listing, market_view.time_ns())])


async def _funding_rate(request: RestRequest, market_view: MarketView, told: Told) -> RestResponse:
    listing, mark = _mark_of(request, market_view)
    return _answer([funding_row(mark, listing, market_view.time_ns())])


async def _index_tickers(request: RestRequest, market_view: MarketView, told: Told) -> RestResponse:
    name = request.query.get("instId", "")
    mark = market_view.mark(name + SUFFIX)
    if mark is None:
        raise OkxApiError("51001", NO_SUCH_INSTRUMENT)
    return _answer([index_row(mark, name, market_view.time_ns())])


Handler = Callable[[RestRequest, MarketView, Told], Awaitable[RestResponse]]
HANDLERS: Mapping[str, Handler] = {
    "public/time": _time,
    "public/instruments": _instruments,
    "public/mark-price": _mark_price,
    "public/funding-rate": _funding_rate,
    "market/books": _book,
    "market/trades": _trades,
    "market/history-trades": _history_trades,
    "market/candles": _candles,
    "market/history-candles": _candles,
    "market/ticker": _ticker,
    "market/index-tickers": _index_tickers,
}


def book_sides(book: BookSnapshot, depth: int) -> dict[str, list[tuple[str, str, str, str]]]:
    """``{"asks":[["price","size","0","orders"]],"bids":[]}``; each level counts as one order."""
    return {
        name: [(short(price), short(size), "0", "1") for price, size, *_ in side[:depth]]
        for name, side in (("asks", book.asks), ("bids", book.bids))
    }


def best_of(book: BookSnapshot | None) -> Sequence[str]:
    """Bid, its size, ask, its size; empty texts where there is none."""
    sides = ((), ()) if book is None else (book.bids, book.asks)
    return [short(text) for side in sides for text in (side[0][:2] if side else ("", ""))]


def ticker_row(
    market_view: MarketView, listing: Listing, best: Sequence[str]
) -> dict[str, str] | None:
    """A ticker; None before the first trade."""
    now_ns = market_view.time_ns()
    history = market_view.history(listing.symbol)
    first_ns = now_ns - DAY_NS
    days = history.candles(lambda at_ns: first_ns, first_ns, now_ns)
    if not days:
        return None
    newest = history.latest(1)
    last_size = newest[0].size if newest else ""
    return ticker(days[0], listing, last_size, best, now_ns)


def mark_row(mark: Mark, listing: Listing, now_ns: int) -> dict[str, str]:
    """``{"instType","instId","markPx","ts"}``"""
    return {
        "instType": TYPES[listing.kind],
        "instId": listing.symbol,
        "markPx": mark.mark_price,
        "ts": _milliseconds(now_ns),
    }


def index_row(mark: Mark, name: str, now_ns: int) -> dict[str, str]:
    """``{"instId":"BTC-USDT","idxPx",…,"ts"}``; its last 24 hours are not simulated."""
    figures = ("high24h", "low24h", "open24h", "sodUtc0", "sodUtc8")
    return {
        "instId": name,
        "idxPx": mark.index_price,
        **dict.fromkeys(figures, mark.index_price),
        "ts": _milliseconds(now_ns),
    }


def funding_row(mark: Mark, listing: Listing, now_ns: int) -> dict[str, str]:
    """``{"fundingRate","fundingTime":when it is exchanged,"nextFundingTime":the time after}``"""
    funding_ms = mark.next_funding_time_ns // NANOSECONDS_PER_MILLISECOND
    return {
        "formulaType": "withRate",
        "fundingRate": mark.funding_rate,
        "fundingTime": str(funding_ms),
        "instId": listing.symbol,
        "instType": TYPES[listing.kind],
        "method": "current_period",
        "nextFundingRate": "",
        "nextFundingTime": str(funding_ms + FUNDING_INTERVAL_MS),
        "ts": _milliseconds(now_ns),
    }


def trade_row(trade: TradePrint, symbol: str) -> dict[str, str]:
    """``{"instId","tradeId","px","sz","side":the taker's,"ts","source"}``"""
    return {
        "instId": symbol,
        "tradeId": str(trade.trade_id),
        "px": short(trade.price),
        "sz": short(trade.size),
        "side": "buy" if trade.taker_buys else "sell",
        "source": "0",
        "ts": _milliseconds(trade.time_ns),
    }


def _before(
    history: TradeHistory[Any], wanted: Callable[[TradePrint], bool], limit: int
) -> Sequence[TradePrint]:
    """The newest of those that are wanted."""
    return [trade for trade in history.from_id(0, TIME_END_NS) if wanted(trade)][-limit:]


def _trade_rows(trades: Iterable[TradePrint], listing: Listing) -> RestResponse:
    return _answer([trade_row(trade, listing.symbol) for trade in trades][::-1])


def _listing(request: RestRequest, market_view: MarketView) -> Listing:
    name = request.query.get("instId", "")
    if not name:
        raise OkxApiError("50014", "Parameter instId cannot be empty.")
    for listing in market_view.listings():
        if listing.symbol == name:
            return listing
    raise OkxApiError("51001", NO_SUCH_INSTRUMENT)


def _mark_of(request: RestRequest, market_view: MarketView) -> tuple[Listing, Mark]:
    listing = _listing(request, market_view)
    mark = market_view.mark(listing.symbol)
    if mark is None:
        raise OkxApiError("51001", NO_SUCH_INSTRUMENT)
    return listing, mark


def _number(request: RestRequest, name: str, usual: int, most: int | None = None) -> int:
    text = request.query.get(name, "")
    if not text:
        return usual
    number = whole(text)
    if number is None:
        raise OkxApiError("51000", f"Parameter {name} error")
    return number if most is None else min(number, most)


def _instrument(listing: Listing, code: int) -> dict[str, object]:
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


def _milliseconds(time_ns: int) -> str:
    return str(time_ns // NANOSECONDS_PER_MILLISECOND)


def _answer(rows: list[Any]) -> RestResponse:
    return RestResponse(msgspec.json.encode({"code": "0", "msg": "", "data": rows}))
