"""Coinbase's candle intervals, and a candle in its words; the figures of a ticker."""

from collections.abc import Callable
from dataclasses import dataclass

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.history import Candle
from kit.simulator.texts import plain

FEED_INTERVAL_S = 300
"""Of the candles of Advanced Trade's feed."""
ADVANCED_SECONDS = {
    "ONE_MINUTE": 60,
    "FIVE_MINUTE": 300,
    "FIFTEEN_MINUTE": 900,
    "THIRTY_MINUTE": 1800,
    "ONE_HOUR": 3600,
    "TWO_HOUR": 7200,
    "FOUR_HOUR": 14_400,
    "SIX_HOUR": 21_600,
    "ONE_DAY": 86_400,
}
EXCHANGE_SECONDS = (60, 300, 900, 3600, 21_600, 86_400)


@dataclass(frozen=True, slots=True)
class Ticker:
    """A product's last trade, best quote, and figures of 24 hours. Numbers are decimal text."""

    product: str
    sequence: int
    trade_id: int
    price: str
    size: str
    taker_buys: bool
    time_ns: int
    open: str
    high: str
    low: str
    volume: str
    bid: str
    bid_size: str
    ask: str
    ask_size: str


def interval_start(seconds: int) -> Callable[[int], int]:
    """For an interval's length, the function from a time to the start of its interval, both ns
    since the Unix epoch."""
    length_ns = seconds * NANOSECONDS_PER_SECOND

    def start_of(time_ns: int) -> int:
        return time_ns - time_ns % length_ns

    return start_of


def candle_object(candle: Candle) -> dict[str, str]:
    """``{"start":"1712192400","low","high","open","close","volume"}``, of Advanced Trade."""
    return {
        "start": str(candle.start_ns // NANOSECONDS_PER_SECOND),
        "low": plain(candle.low),
        "high": plain(candle.high),
        "open": plain(candle.open),
        "close": plain(candle.close),
        "volume": plain(candle.volume),
    }


def candle_row(candle: Candle) -> str:
    """``[1517443740,low,high,open,close,volume]``, of Exchange: bare numbers."""
    numbers = (candle.low, candle.high, candle.open, candle.close, candle.volume)
    texts = [str(candle.start_ns // NANOSECONDS_PER_SECOND), *map(plain, numbers)]
    return f"[{','.join(texts)}]"
