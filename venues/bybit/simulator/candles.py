"""Bybit's candle intervals: when each begins, and a candle in Bybit's words."""

from collections.abc import Callable
from datetime import UTC, datetime

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.simulator.history import Candle
from kit.simulator.texts import plain

MINUTES = (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)
SECONDS = {
    **{str(minutes): 60 * minutes for minutes in MINUTES},
    "D": 86_400,
    "W": 604_800,
}
MONTH = "M"
INTERVALS = (*SECONDS, MONTH)
WEEK_OFFSET_S = {"W": 4 * 86_400}
"""Weeks begin on Monday; the Unix epoch was a Thursday."""
HALF_DAY_S = 43_200
MONTH_DAYS_MAX = 31


def interval_start(interval: str) -> Callable[[int], int] | None:
    """For an interval's name, the function from a time to the start of its interval, both ns since
    the Unix epoch. None: there is no such interval."""
    if interval == MONTH:
        return _month_start
    seconds = SECONDS.get(interval)
    if seconds is None:
        return None
    length_ns = seconds * NANOSECONDS_PER_SECOND
    offset_ns = WEEK_OFFSET_S.get(interval, 0) * NANOSECONDS_PER_SECOND

    def start_of(time_ns: int) -> int:
        return time_ns - (time_ns - offset_ns) % length_ns

    return start_of


def interval_end_ms(interval: str, start_ns: int) -> int:
    """The last millisecond of the interval that starts then."""
    if interval == MONTH:
        later_ns = start_ns + (MONTH_DAYS_MAX * 86_400 + HALF_DAY_S) * NANOSECONDS_PER_SECOND
        end_ns = _month_start(later_ns)
    else:
        end_ns = start_ns + SECONDS[interval] * NANOSECONDS_PER_SECOND
    return end_ns // NANOSECONDS_PER_MILLISECOND - 1


def candle_row(candle: Candle) -> list[str]:
    """``["start", "open", "high", "low", "close", "volume", "turnover"]``"""
    return [
        str(candle.start_ns // NANOSECONDS_PER_MILLISECOND),
        plain(candle.open),
        plain(candle.high),
        plain(candle.low),
        plain(candle.close),
        plain(candle.volume),
        plain(candle.quote_volume),
    ]


def candle_event(candle: Candle, interval: str, now_ns: int) -> dict[str, object]:
    """``{"start","end","interval","open","close","high","low","volume","turnover","confirm",…}``"""
    now_ms = now_ns // NANOSECONDS_PER_MILLISECOND
    end_ms = interval_end_ms(interval, candle.start_ns)
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
    """The last 24 hours, given as one candle. The index price is the last price, in markets that
    are quoted in dollars; the others have none."""
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


def _month_start(time_ns: int) -> int:
    moment = datetime.fromtimestamp(time_ns // NANOSECONDS_PER_SECOND, UTC)
    start = datetime(moment.year, moment.month, 1, tzinfo=UTC)
    return int(start.timestamp()) * NANOSECONDS_PER_SECOND
