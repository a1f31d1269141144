"""Binance's candle intervals, candles and tickers."""

from collections.abc import Callable
from decimal import Decimal

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.exchange.candles import DAY_NS, MONTH, WEEK, CandleInterval
from kit.simulator.history import Candle

SECONDS = {
    "1s": 1, "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800,
    "1h": 3600, "2h": 7200, "4h": 14_400, "6h": 21_600, "8h": 28_800, "12h": 43_200,
    "1d": 86_400, "3d": 259_200,
}  # fmt: skip
INTERVALS = {
    **{name: CandleInterval(seconds) for name, seconds in SECONDS.items()},
    "1w": WEEK,
    "1M": MONTH,
}
NumberText = Callable[[Decimal], str]
"""How the market writes a number."""


def candle_row(candle: Candle, interval: str, number: NumberText) -> list[object]:
    """``[start, "o", "h", "l", "c", "v", end, "q", trades, "taker v", "taker q", "0"]``"""
    return [
        candle.start_ns // NANOSECONDS_PER_MILLISECOND,
        *map(number, (candle.open, candle.high, candle.low, candle.close, candle.volume)),
        _end_ms(candle, interval),
        number(candle.quote_volume),
        candle.trade_count,
        number(candle.taker_buy_volume),
        number(candle.taker_buy_quote_volume),
        "0",
    ]


def candle_event(
    candle: Candle, interval: str, symbol: str, now_ns: int, number: NumberText
) -> dict[str, object]:
    """``{"e":"kline","E","s","k":{"t","T","s","i","f","L","o","c","h","l","v","n","x","q",…}}``"""
    now_ms = now_ns // NANOSECONDS_PER_MILLISECOND
    end_ms = _end_ms(candle, interval)
    row = {
        "t": candle.start_ns // NANOSECONDS_PER_MILLISECOND,
        "T": end_ms,
        "s": symbol,
        "i": interval,
        "f": candle.first_trade_id,
        "L": candle.last_trade_id,
        "o": number(candle.open),
        "c": number(candle.close),
        "h": number(candle.high),
        "l": number(candle.low),
        "v": number(candle.volume),
        "n": candle.trade_count,
        "x": now_ms > end_ms,
        "q": number(candle.quote_volume),
        "V": number(candle.taker_buy_volume),
        "Q": number(candle.taker_buy_quote_volume),
        "B": "0",
    }
    return {"e": "kline", "E": now_ms, "s": symbol, "k": row}


def ticker_event(
    day: Candle, symbol: str, now_ns: int, small: bool, number: NumberText
) -> dict[str, object]:
    """``24hrMiniTicker`` or ``24hrTicker`` of the last 24 hours, given as one candle."""
    event: dict[str, object] = {
        "e": "24hrMiniTicker" if small else "24hrTicker",
        "E": now_ns // NANOSECONDS_PER_MILLISECOND,
        "s": symbol,
        "c": number(day.close),
        "o": number(day.open),
        "h": number(day.high),
        "l": number(day.low),
        "v": number(day.volume),
        "q": number(day.quote_volume),
    }
    if small:
        return event
    change = day.close - day.open
    mean = day.quote_volume / day.volume if day.volume else day.close
    return event | {
        "p": number(change),
        "P": f"{change / day.open * 100:.3f}",
        "w": number(mean.quantize(day.close)),
        "n": day.trade_count,
        "F": day.first_trade_id,
        "L": day.last_trade_id,
        "O": (now_ns - DAY_NS) // NANOSECONDS_PER_MILLISECOND,
        "C": event["E"],
    }


def _end_ms(candle: Candle, interval: str) -> int:
    """The last millisecond of a candle."""
    return INTERVALS[interval].end_ns(candle.start_ns) // NANOSECONDS_PER_MILLISECOND - 1
