"""Examplex's candle intervals and candles."""

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.exchange.candles import CandleInterval
from kit.simulator.history import Candle

INTERVALS = {
    "1m": CandleInterval(60),
    "5m": CandleInterval(300),
    "15m": CandleInterval(900),
    "1h": CandleInterval(3600),
    "4h": CandleInterval(14_400),
    "1d": CandleInterval(86_400),
}


def candle_row(candle: Candle) -> list[object]:
    """``[1781885820000,"61800.10","61810.00","61790.00","61805.00","3.20000"]``"""
    prices = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    start_ms = candle.start_ns // NANOSECONDS_PER_MILLISECOND
    return [start_ms, *(f"{price:f}" for price in prices)]
