"""Kraken's candle intervals, candles and tickers."""

from decimal import Decimal
from functools import lru_cache
from time import gmtime, strftime

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.exchange.candles import CandleInterval
from kit.simulator.history import Candle

INTERVALS = {
    minutes: CandleInterval(60 * minutes)
    for minutes in (1, 5, 15, 30, 60, 240, 1440, 10_080, 21_600)
}
"""By minutes."""
ZERO = Decimal(0)


def rfc3339(time_ns: int, places: int = 6) -> str:
    """``2026-07-20T03:39:38.235508Z``"""
    seconds, rest = divmod(time_ns, NANOSECONDS_PER_SECOND)
    return f"{_second(seconds)}.{f'{rest:09d}'[:places]}Z"


def vwap(candle: Candle) -> Decimal:
    return candle.quote_volume / candle.volume if candle.volume else candle.close


def candle_row(candle: Candle, symbol: str, minutes: int, places: int, size_places: int) -> str:
    """``{"symbol","open","high","low","close","trades","volume","vwap","interval_begin",…}``"""
    end_ns = INTERVALS[minutes].end_ns(candle.start_ns)
    return (
        f'{{"symbol":"{symbol}","open":{candle.open:.{places}f},"high":{candle.high:.{places}f},'
        f'"low":{candle.low:.{places}f},"close":{candle.close:.{places}f},'
        f'"trades":{candle.trade_count},"volume":{candle.volume:.{size_places}f},'
        f'"vwap":{vwap(candle):.{places}f},'
        f'"interval_begin":"{rfc3339(candle.start_ns, 9)}","interval":{minutes},'
        f'"timestamp":"{rfc3339(end_ns)}"}}'
    )


def candle_frame(kind: str, rows: list[str], now_ns: int) -> bytes:
    """``{"channel":"ohlc","type":"snapshot"|"update","timestamp","data":[…]}``"""
    return (
        f'{{"channel":"ohlc","type":"{kind}","timestamp":"{rfc3339(now_ns, 9)}",'
        f'"data":[{",".join(rows)}]}}'
    ).encode()


def day_figures(day: Candle, last: Decimal, places: int, size_places: int) -> str:
    """``"last","volume","vwap","low","high","change","change_pct","trades"`` of 24 hours."""
    day = day.including(last)
    change = last - day.open
    percent = change / day.open * 100 if day.open else ZERO
    return (
        f'"last":{last:.{places}f},"volume":{day.volume:.{size_places}f},'
        f'"vwap":{vwap(day):.{places}f},"low":{day.low:.{places}f},'
        f'"high":{day.high:.{places}f},"change":{change:.{places}f},'
        f'"change_pct":{percent:.2f},"trades":{day.trade_count}'
    )


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(seconds))
