"""Kraken's REST answers. Each is HTTP 200 with ``{"error":[],"result":…}``, also a refusal.

Documentation: https://docs.kraken.com/api/docs/rest-api/get-order-book and its neighbours.
"""

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal

import msgspec

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import MarketView, RestRequest, RestResponse
from kit.simulator.history import TradePrint
from kit.simulator.texts import whole
from venues.kraken.simulator.candles import DAY_NS, interval_start, rfc3339, vwap
from venues.kraken.simulator.pairs import Pair, by_name, pair_of
from venues.kraken.simulator.streams import INTERVALS

TRADES_MAX = 1000
CANDLES_MAX = 720
DEPTH_USUAL = 100
DEPTH_MAX = 500
PRICE_PLACES_MIN = 5
DEPTH_SIZE_PLACES = 3
TIME_PLACES = 7
TIME_END_NS = 2**63
DIGITS_MAX = 19
SECONDS_DIGITS_MAX = 10
"""A longer ``since`` counts nanoseconds."""
FAILURES: Mapping[int, bytes] = {
    418: b'{"error":["EGeneral:Temporary lockout"]}',
    429: b'{"error":["EGeneral:Too many requests"]}',
    500: b'{"error":["EGeneral:Internal error"]}',
    503: b'{"error":["EService:Unavailable"]}',
}


class KrakenApiError(Exception):
    """The exchange does not do what it was asked."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error
        self.body = msgspec.json.encode({"error": [error]})


async def answer(request: RestRequest, market_view: MarketView) -> RestResponse:
    """One call."""
    handler = HANDLERS.get(request.path.removeprefix("/0/public/"))
    if handler is None:
        return RestResponse(b'{"error":["EGeneral:Unknown method"]}')
    try:
        return await handler(request, market_view)
    except KrakenApiError as refusal:
        return RestResponse(refusal.body)


async def _time(request: RestRequest, market_view: MarketView) -> RestResponse:
    seconds = market_view.time_ns() // NANOSECONDS_PER_SECOND
    return envelope({"unixtime": seconds, "rfc1123": rfc3339(market_view.time_ns())})


async def _system_status(request: RestRequest, market_view: MarketView) -> RestResponse:
    return envelope({"status": "online", "timestamp": rfc3339(market_view.time_ns())})


async def _assets(request: RestRequest, market_view: MarketView) -> RestResponse:
    assets: dict[str, object] = {}
    for pair in map(pair_of, market_view.listings()):
        short = pair.wsname.split("/")
        for name, altname in zip((pair.base, pair.quote), short, strict=True):
            assets[name] = {
                "aclass": "currency",
                "altname": altname,
                "decimals": 10,
                "display_decimals": 5,
                "status": "enabled",
            }
    return envelope(assets)


async def _asset_pairs(request: RestRequest, market_view: MarketView) -> RestResponse:
    recorded = market_view.recorded(request.path)
    if recorded is not None:
        return RestResponse(recorded)
    pairs = [_pair_of(request, market_view)] if "pair" in request.query else _all(market_view)
    described: dict[str, object] = {}
    for pair in pairs:
        # A pair that stands here twice does so under two keys, as dark pools once did.
        described[f"{pair.key}.d" if pair.key in described else pair.key] = _described(pair)
    return envelope(described)


async def _depth(request: RestRequest, market_view: MarketView) -> RestResponse:
    pair = _pair_of(request, market_view)
    count = _number(request, "count", DEPTH_USUAL, DEPTH_MAX)
    book = await market_view.book(pair.listing.symbol)
    if book is None:
        raise KrakenApiError("EService:Unavailable")
    seconds = market_view.time_ns() // NANOSECONDS_PER_SECOND
    sides = {
        name: [
            [_price(price), f"{Decimal(size):.{DEPTH_SIZE_PLACES}f}", seconds]
            for price, size in side
        ]
        for name, side in (("asks", book.asks[:count]), ("bids", book.bids[:count]))
    }
    return envelope({pair.key: sides})


async def _trades(request: RestRequest, market_view: MarketView) -> RestResponse:
    pair = _pair_of(request, market_view)
    count = _number(request, "count", TRADES_MAX, TRADES_MAX)
    history = market_view.history(pair.listing.symbol)
    if "since" in request.query:
        since_ns = _since_ns(request)
        found = history.between(since_ns + 1, TIME_END_NS, count)
        last_ns = found[-1].time_ns if found else since_ns
    else:
        found = history.latest(count)
        last_ns = found[-1].time_ns if found else market_view.time_ns()
    return envelope({pair.key: [_trade(one) for one in found], "last": str(last_ns)})


async def _candles(request: RestRequest, market_view: MarketView) -> RestResponse:
    pair = _pair_of(request, market_view)
    minutes = _number(request, "interval", 1)
    if minutes not in INTERVALS:
        raise KrakenApiError("EGeneral:Invalid arguments")
    start_of = interval_start(minutes)
    first_ns = _since_ns(request) + 1 if "since" in request.query else 0
    history = market_view.history(pair.listing.symbol)
    found = history.candles(start_of, first_ns, market_view.time_ns())[-CANDLES_MAX:]
    rows = [
        [
            candle.start_ns // NANOSECONDS_PER_SECOND,
            *(_price(one) for one in (candle.open, candle.high, candle.low, candle.close)),
            _price(vwap(candle)),
            f"{candle.volume:.8f}",
            candle.trade_count,
        ]
        for candle in found
    ]
    return envelope({pair.key: rows, "last": rows[-2][0] if len(rows) > 1 else 0})


async def _ticker(request: RestRequest, market_view: MarketView) -> RestResponse:
    pairs = [_pair_of(request, market_view)] if "pair" in request.query else _all(market_view)
    now_ns = market_view.time_ns()
    first_ns = now_ns - DAY_NS
    result: dict[str, object] = {}
    for pair in pairs:
        symbol = pair.listing.symbol
        book = await market_view.book(symbol)
        days = market_view.history(symbol).candles(lambda at_ns: first_ns, first_ns, now_ns)
        if book is None or not book.bids or not book.asks or not days:
            continue
        day = days[0]
        result[pair.key] = {
            "a": [_price(book.asks[0][0]), "1", f"{Decimal(book.asks[0][1]):.3f}"],
            "b": [_price(book.bids[0][0]), "1", f"{Decimal(book.bids[0][1]):.3f}"],
            "c": [_price(day.close), "0.00100000"],
            "v": [f"{day.volume:.8f}"] * 2,
            "p": [_price(vwap(day))] * 2,
            "t": [day.trade_count] * 2,
            "l": [_price(day.low)] * 2,
            "h": [_price(day.high)] * 2,
            "o": _price(day.open),
        }
    return envelope(result)


HANDLERS: Mapping[str, Callable[[RestRequest, MarketView], Awaitable[RestResponse]]] = {
    "Time": _time,
    "SystemStatus": _system_status,
    "Assets": _assets,
    "AssetPairs": _asset_pairs,
    "Depth": _depth,
    "Trades": _trades,
    "OHLC": _candles,
    "Ticker": _ticker,
}


def _all(market_view: MarketView) -> list[Pair]:
    return [pair_of(listing) for listing in market_view.listings()]


def _pair_of(request: RestRequest, market_view: MarketView) -> Pair:
    name = request.query.get("pair", "")
    if not name:
        raise KrakenApiError("EGeneral:Invalid arguments")
    found = by_name(market_view.listings()).get(name)
    if found is None:
        raise KrakenApiError("EQuery:Unknown asset pair")
    return found


def _number(request: RestRequest, name: str, usual: int, most: int | None = None) -> int:
    number = whole(request.query.get(name, str(usual)), DIGITS_MAX)
    if number is None:
        raise KrakenApiError("EGeneral:Invalid arguments")
    return number if most is None else min(number, most)


def _since_ns(request: RestRequest) -> int:
    """Seconds or nanoseconds, by the number of digits."""
    since = _number(request, "since", 0)
    in_seconds = len(str(since)) <= SECONDS_DIGITS_MAX
    return since * NANOSECONDS_PER_SECOND if in_seconds else since


def _described(pair: Pair) -> dict[str, object]:
    """``{"altname","wsname","base","quote","pair_decimals","lot_decimals","ordermin",…}``"""
    listing = pair.listing
    marks = {"simulator": "tick and lot as seen in a capture"} if listing.derived else {}
    return {
        **marks,
        "altname": pair.altname,
        "wsname": pair.wsname,
        "aclass_base": "currency",
        "base": pair.base,
        "aclass_quote": "currency",
        "quote": pair.quote,
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": _places(listing.tick_size),
        "lot_decimals": _places(listing.lot_size),
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": listing.lot_size,
        "costmin": listing.minimum_notional,
        "tick_size": listing.tick_size,
        "status": "cancel_only" if listing.halted else "online",
    }


def _trade(trade: TradePrint) -> list[object]:
    """``["price","volume",time,"b"|"s","m"|"l","",id]``"""
    seconds, rest = divmod(trade.time_ns, NANOSECONDS_PER_SECOND)
    return [
        _price(trade.price),
        f"{Decimal(trade.size):.8f}",
        msgspec.Raw(f"{seconds}.{f'{rest:09d}'[:TIME_PLACES]}".encode()),
        "b" if trade.taker_buys else "s",
        "l",
        "",
        trade.trade_id,
    ]


def _price(number: Decimal | str) -> str:
    """With at least five decimal places, as REST writes it whatever the tick is."""
    value = Decimal(number)
    exponent = value.as_tuple().exponent
    places = -exponent if isinstance(exponent, int) else 0
    return f"{value:.{min(max(places, PRICE_PLACES_MIN), 10)}f}"


def _places(step: str) -> int:
    return len(step.partition(".")[2])


def envelope(result: object) -> RestResponse:
    """``{"error":[],"result":…}``"""
    return RestResponse(msgspec.json.encode({"error": [], "result": result}))
