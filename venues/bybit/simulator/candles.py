"""Bybit's candle intervals, candles and tickers."""

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.exchange.candles import DAY_S, MONTH, WEEK, CandleInterval
from kit.simulator.history import Candle
from kit.simulator.text_conversion import plain

MINUTES = (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)
INTERVALS = {
    **{str(minutes): CandleInterval(60 * minutes) for minutes in MINUTES},
    "D": CandleInterval(DAY_S),
    "W": WEEK,
    "M": MONTH,
}


def candle_row(candle: Candle) -> list[str]:
    """``["start", "open", "high", "low", "close", "volume", "turnover"]``"""
    numbers = (candle.open, candle.high, candle.low, candle.close)
    amounts = (candle.volume, candle.quote_volume)
    start_ms = candle.start_ns // NANOSECONDS_PER_MILLISECOND
    return [str(start_ms), *map(plain, (*numbers, *amounts))]


def candle_event(candle: Candle, interval: str, now_ns: int) -> dict[str, object]:
    """``{"start","end","interval","open","close","high","low","volume","turnover","confirm",…}``"""
    now_ms = now_ns // NANOSECONDS_PER_MILLISECOND
    end_ms = INTERVALS[interval].end_ns(candle.start_ns) // NANOSECONDS_PER_MILLISECOND - 1
    return {
        "start": candle.start_ns // NANOSECONDS_PER_MILLISECOND,
        "end": end_ms,
        "interval": interval,
        "open": plain(candle.open),
        "close": plain(candle.close),
        "high": plain(candle.high),
        "low": plain(candle.low),
        "volume": plain(candle.volume),
        "turnover": plain(candle.quote_volume),
        "confirm": now_ms > end_ms,
        "timestamp": min(now_ms, end_ms),
    }


def ticker_event(day: Candle, symbol: str) -> dict[str, object]:
    """The last 24 hours. In markets quoted in dollars the index price is the last price; the others
    have none."""
    change = (day.close - day.open) / day.open
    return {
        "symbol": symbol,
        "lastPrice": plain(day.close),
        "highPrice24h": plain(day.high),
        "lowPrice24h": plain(day.low),
        "prevPrice24h": plain(day.open),
        "volume24h": plain(day.volume),
        "turnover24h": plain(day.quote_volume),
        "price24hPcnt": f"{change:.4f}",
        "usdIndexPrice": plain(day.close) if symbol.endswith("USDT") else "",
    }
