"""Kraken's public REST calls. Each answer is HTTP 200 with ``{"error":[],"result":…}``.

Documentation: https://docs.kraken.com/api/docs/rest-api/get-order-book and its neighbours.
"""

from decimal import Decimal

import msgspec

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import RestResponse
from kit.simulator.exchange.candles import day_of
from kit.simulator.exchange.rest import ApiCall, ApiError, Route, public
from kit.simulator.history import HistoricalTrade
from venues.kraken.simulator.candles import INTERVALS, rfc3339, vwap
from venues.kraken.simulator.errors import invalid
from venues.kraken.simulator.instruments import KrakenPair, by_name, pair_of

TRADES_MAX = 1000
CANDLES_MAX = 720
DEPTH_DEFAULT, DEPTH_MAX = 100, 500
PRICE_PLACES_MIN, PRICE_PLACES_MAX = 5, 10
TIME_PLACES = 7
TIME_END_NS = 2**63
DIGITS_MAX = 19
SECONDS_DIGITS_MAX = 10
"""A longer ``since`` counts nanoseconds."""
Row = dict[str, object]


def accept(call: ApiCall, result: object) -> RestResponse:
    """``{"error":[],"result":…}``"""
    return RestResponse(msgspec.json.encode({"error": [], "result": result}))


def reject(call: ApiCall, error: ApiError) -> RestResponse:
    """``{"error":["EQuery:Unknown asset pair"]}``"""
    return RestResponse(msgspec.json.encode({"error": [error.code]}))


def _time(call: ApiCall) -> Row:
    seconds = call.clock_ns // NANOSECONDS_PER_SECOND
    return {"unixtime": seconds, "rfc1123": rfc3339(call.clock_ns)}


def _system_status(call: ApiCall) -> Row:
    return {"status": "online", "timestamp": rfc3339(call.now_ns)}


def _assets(call: ApiCall) -> Row:
    assets: Row = {}
    for pair in map(pair_of, call.market_view.listings()):
        short = pair.wsname.split("/")
        for name, altname in zip((pair.base, pair.quote), short, strict=True):
            assets[name] = {
                "aclass": "currency",
                "altname": altname,
                "decimals": 10,
                "display_decimals": 5,
                "status": "enabled",
            }
    return assets


def _asset_pairs(call: ApiCall) -> Row:
    described: Row = {}
    for pair in _pairs(call):
        # A pair that is listed twice has two keys, as dark pools once had.
        described[f"{pair.key}.d" if pair.key in described else pair.key] = _described(pair)
    return described


async def _depth(call: ApiCall) -> Row:
    pair, count = pair_named(call), _integer(call, "count", DEPTH_DEFAULT, DEPTH_MAX)
    book = await call.market_view.book(pair.listing.symbol)
    if book is None:
        raise call.errors.unavailable
    seconds = call.now_ns // NANOSECONDS_PER_SECOND
    sides = {
        name: [[_price(price), f"{Decimal(size):.3f}", seconds] for price, size in side]
        for name, side in (("asks", book.asks[:count]), ("bids", book.bids[:count]))
    }
    return {pair.key: sides}


def _trades(call: ApiCall) -> Row:
    pair, count = pair_named(call), _integer(call, "count", TRADES_MAX, TRADES_MAX)
    history = call.market_view.history(pair.listing.symbol)
    last_ns = _since_ns(call) if call.text("since") else call.now_ns
    if call.text("since"):
        found = history.between(last_ns + 1, TIME_END_NS, count)
    else:
        found = history.latest(count)
    last_ns = found[-1].time_ns if found else last_ns
    return {pair.key: [_trade(one) for one in found], "last": str(last_ns)}


def _candles(call: ApiCall) -> Row:
    pair = pair_named(call)
    interval = INTERVALS.get(_integer(call, "interval", 1))
    if interval is None:
        raise invalid()
    first_ns = _since_ns(call) + 1 if call.text("since") else 0
    history = call.market_view.history(pair.listing.symbol)
    found = history.candles(interval.start_ns, first_ns, call.now_ns)[-CANDLES_MAX:]
    rows = [
        [
            candle.start_ns // NANOSECONDS_PER_SECOND,
            *map(_price, (candle.open, candle.high, candle.low, candle.close, vwap(candle))),
            f"{candle.volume:.8f}",
            candle.trade_count,
        ]
        for candle in found
    ]
    return {pair.key: rows, "last": rows[-2][0] if len(rows) > 1 else 0}


async def _ticker(call: ApiCall) -> Row:
    result: Row = {}
    for pair in _pairs(call):
        book = await call.market_view.book(pair.listing.symbol)
        day = day_of(call.market_view, pair.listing.symbol)
        if book is None or not book.bids or not book.asks or day is None:
            continue
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
    return result


ROUTES = public(
    {
        "GET /0/public/Time": _time,
        "GET /0/public/SystemStatus": _system_status,
        "GET /0/public/Assets": _assets,
        "GET /0/public/Depth": _depth,
        "GET /0/public/Trades": _trades,
        "GET /0/public/OHLC": _candles,
        "GET /0/public/Ticker": _ticker,
    }
) | {"GET /0/public/AssetPairs": Route(_asset_pairs, recorded=True)}


def pair_named(call: ApiCall) -> KrakenPair:
    """The pair that the parameter ``pair`` names. Raises ApiError."""
    if not call.text("pair"):
        raise invalid()
    found = by_name(call.market_view.listings()).get(call.text("pair"))
    if found is None:
        raise call.errors.unknown_symbol
    return found


def _pairs(call: ApiCall) -> list[KrakenPair]:
    if call.text("pair"):
        return [pair_named(call)]
    return [pair_of(listing) for listing in call.market_view.listings()]


def _integer(call: ApiCall, name: str, default: int, maximum: int | None = None) -> int:
    """Public calls do not say which argument is invalid. Raises ApiError."""
    try:
        return call.integer(name, default, maximum, DIGITS_MAX)
    except ApiError:
        raise invalid() from None


def _since_ns(call: ApiCall) -> int:
    """Seconds or nanoseconds, by the number of digits."""
    since = _integer(call, "since", 0)
    in_seconds = len(str(since)) <= SECONDS_DIGITS_MAX
    return since * NANOSECONDS_PER_SECOND if in_seconds else since


def _described(pair: KrakenPair) -> Row:
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


def _trade(trade: HistoricalTrade) -> list[object]:
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
    """With at least five decimal places, whatever the tick is."""
    value = Decimal(number)
    exponent = value.as_tuple().exponent
    places = -exponent if isinstance(exponent, int) else 0
    return f"{value:.{min(max(places, PRICE_PLACES_MIN), PRICE_PLACES_MAX)}f}"


def _places(step: str) -> int:
    return len(step.partition(".")[2])
