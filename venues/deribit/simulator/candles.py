"""Deribit's numbers, candles and tickers.

Amounts of its perpetuals are US dollars, while the volume of a candle is in the base currency.
"""

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.exchange.candles import DAY_S, CandleInterval
from kit.simulator.history import Candle
from kit.simulator.market_events import decimal_text

MINUTES = (1, 3, 5, 10, 15, 30, 60, 120, 180, 360, 720)
INTERVALS = {
    **{str(minutes): CandleInterval(60 * minutes) for minutes in MINUTES},
    "1D": CandleInterval(DAY_S),
}
SMALLEST_PLAIN = Decimal("0.0001")
"""Numbers closer to zero than this are written with an exponent."""
VOLUME_PLACES = Decimal("1e-8")


def number(value: Decimal | str) -> msgspec.Raw:
    """As Deribit writes a float: 37240.0, 0.0005, 5e-05."""
    exact = Decimal(value).normalize()
    if exact and abs(exact) < SMALLEST_PLAIN:
        digits, _, exponent = f"{exact:e}".partition("e")
        return msgspec.Raw(f"{digits}e-{abs(int(exponent)):02d}".encode())
    text = f"{exact:f}"
    return msgspec.Raw((text if "." in text else f"{text}.0").encode())


@lru_cache(maxsize=100_000)
def plain(units: int, scale: int) -> str:
    """``units / 10^scale`` the same way, for numbers that are never tiny."""
    whole, _, fraction = decimal_text(units, scale).partition(".")
    return f"{whole}.{fraction.rstrip('0') or '0'}"


def base_volume(candle: Candle, inverse: bool) -> Decimal:
    """In base units. The exact volume of an inverse contract is the sum of amount / price; a candle
    has only the sums of amounts and of amount x price, which give nearly the same."""
    if not inverse or not candle.volume:
        return candle.volume
    return (candle.volume * candle.volume / candle.quote_volume).quantize(VOLUME_PLACES)


def cost(candle: Candle, inverse: bool) -> Decimal:
    """In quote units, which the amounts of an inverse contract are already."""
    return candle.volume if inverse else candle.quote_volume


def chart(candles: Sequence[Candle], inverse: bool) -> dict[str, object]:
    """``{"ticks":[…],"open":[…],"high":…,"low":…,"close":…,"volume":…,"cost":…,"status":"ok"}``"""
    return {
        "volume": [number(base_volume(one, inverse)) for one in candles],
        "ticks": [one.start_ns // NANOSECONDS_PER_MILLISECOND for one in candles],
        "status": "ok" if candles else "no_data",
        "open": [number(one.open) for one in candles],
        "low": [number(one.low) for one in candles],
        "high": [number(one.high) for one in candles],
        "cost": [number(cost(one, inverse)) for one in candles],
        "close": [number(one.close) for one in candles],
    }


def chart_event(candle: Candle, inverse: bool) -> dict[str, object]:
    """``{"volume","tick","open","low","high","cost","close"}``"""
    return {
        "volume": number(base_volume(candle, inverse)),
        "tick": candle.start_ns // NANOSECONDS_PER_MILLISECOND,
        "open": number(candle.open),
        "low": number(candle.low),
        "high": number(candle.high),
        "cost": number(cost(candle, inverse)),
        "close": number(candle.close),
    }


def stats(day: Candle | None, inverse: bool) -> dict[str, object]:
    """The figures of 24 hours in a ticker; null where nothing was traded."""
    if day is None:
        return {"volume": None, "price_change": None, "low": None, "high": None}
    change = (day.close - day.open) / day.open * 100
    return {
        "volume_usd": number(cost(day, inverse)),
        "volume": number(base_volume(day, inverse)),
        "price_change": number(change.quantize(Decimal("0.0001"))),
        "low": number(day.low),
        "high": number(day.high),
    }
