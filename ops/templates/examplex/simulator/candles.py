"""Examplex's candle intervals, and a candle in Examplex's words."""

from collections.abc import Callable

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.simulator.history import Candle

SECONDS = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "4h": 14_400, "1d": 86_400}


def interval_start(interval: str) -> Callable[[int], int] | None:
    """For an interval's name, the function from a time to the start of its interval, both ns since
    the Unix epoch. None: there is no such interval."""
    if interval not in SECONDS:
        return None
    length_ns = SECONDS[interval] * NANOSECONDS_PER_SECOND
    return lambda time_ns: time_ns - time_ns % length_ns


def candle_row(candle: Candle) -> list[object]:
    """``[1781885820000,"61800.10","61810.00","61790.00","61805.00","3.20000"]``"""
    prices = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    start_ms = candle.start_ns // NANOSECONDS_PER_MILLISECOND
    return [start_ms, *(f"{price:f}" for price in prices)]
