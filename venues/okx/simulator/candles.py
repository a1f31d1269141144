"""OKX's candle intervals, candles and tickers."""

from collections.abc import Sequence
from decimal import Decimal

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import MarketView
from kit.simulator.exchange.candles import DAY_S, WEEK, CandleInterval, day_of
from kit.simulator.history import Candle
from kit.simulator.listing import Listing
from kit.simulator.text_conversion import plain
from venues.okx.simulator.instruments import TYPES

HOUR_S = 3_600
HONG_KONG_S = 8 * HOUR_S
LENGTHS_S = {"6H": 6 * HOUR_S, "12H": 12 * HOUR_S, "1D": DAY_S}
"""They begin with the day in Hong Kong; with "utc" after the name, with the day in UTC."""
INTERVALS = {
    "1s": CandleInterval(1),
    **{f"{minutes}m": CandleInterval(60 * minutes) for minutes in (1, 3, 5, 15, 30)},
    **{f"{hours}H": CandleInterval(HOUR_S * hours) for hours in (1, 2, 4)},
    **{name: CandleInterval(length, -HONG_KONG_S) for name, length in LENGTHS_S.items()},
    **{f"{name}utc": CandleInterval(length) for name, length in LENGTHS_S.items()},
    "1W": CandleInterval(WEEK.seconds, WEEK.first_open_s - HONG_KONG_S),
    "1Wutc": WEEK,
}


def milliseconds(time_ns: int) -> str:
    """A time as OKX writes it."""
    return str(time_ns // NANOSECONDS_PER_MILLISECOND)


def candle_row(candle: Candle, listing: Listing, closed: bool) -> list[str]:
    """``["start ms","open","high","low","close","vol","volCcy","volCcyQuote","confirm"]``"""
    prices = map(plain, (candle.open, candle.high, candle.low, candle.close))
    volumes = _volumes(candle, listing)
    return [milliseconds(candle.start_ns), *prices, *volumes, "1" if closed else "0"]


def ticker_row(
    market_view: MarketView, listing: Listing, best: Sequence[str]
) -> dict[str, str] | None:
    """The last 24 hours; None before the first trade. ``best``: bid, its size, ask, its size."""
    day = day_of(market_view, listing.symbol)
    if day is None:
        return None
    newest = market_view.history(listing.symbol).latest(1)
    volume, currency_volume, _ = _volumes(day, listing)
    opened = plain(day.open)
    bid, bid_size, ask, ask_size = best
    return {
        "instType": TYPES[listing.kind],
        "instId": listing.symbol,
        "last": plain(day.close),
        "lastSz": newest[0].size if newest else "",
        "askPx": ask,
        "askSz": ask_size,
        "bidPx": bid,
        "bidSz": bid_size,
        "open24h": opened,
        "high24h": plain(day.high),
        "low24h": plain(day.low),
        "sodUtc0": opened,
        "sodUtc8": opened,
        "volCcy24h": currency_volume,
        "vol24h": volume,
        "ts": milliseconds(market_view.time_ns()),
    }


def _volumes(candle: Candle, listing: Listing) -> tuple[str, str, str]:
    """``vol``, in the unit of sizes; ``volCcy``, for spot in quote units, for swaps in base units;
    and ``volCcyQuote``, in quote units."""
    contract = Decimal(listing.contract_size or 1)
    value = candle.quote_volume * contract
    in_currency = candle.volume * contract if listing.contract_size else value
    return plain(candle.volume), plain(in_currency), plain(value)
