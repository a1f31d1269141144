"""Binance's candle intervals: when each begins, and a candle in Binance's words."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.simulator.history import Candle

SECONDS = {
    "1s": 1, "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800,
    "1h": 3600, "2h": 7200, "4h": 14_400, "6h": 21_600, "8h": 28_800, "12h": 43_200,
    "1d": 86_400, "3d": 259_200, "1w": 604_800,
}  # fmt: skip
MONTH = "1M"
WEEK_OFFSET_S = {"1w": 4 * 86_400}
"""Weeks begin on Monday; the Unix epoch was a Thursday."""
HALF_DAY_S = 43_200
DAY_NS = 86_400 * NANOSECONDS_PER_SECOND
MONTH_DAYS_MAX = 31
NumberText = Callable[[Decimal], str]
"""How the market writes a number."""


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


def candle_row(candle: Candle, interval: str, number: NumberText) -> list[object]:
    """``[start, "o", "h", "l", "c", "v", end, "q", trades, "taker v", "taker q", "0"]``"""
    return [
        candle.start_ns // NANOSECONDS_PER_MILLISECOND,
        number(candle.open),
        number(candle.high),
        number(candle.low),
        number(candle.close),
        number(candle.volume),
        interval_end_ms(interval, candle.start_ns),
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
    end_ms = interval_end_ms(interval, candle.start_ns)
    return {
        "e": "kline",
        "E": now_ms,
        "s": symbol,
        "k": {
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
        },
    }


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
    if not small:
        change = day.close - day.open
        event["p"] = number(change)
        event["P"] = f"{change / day.open * 100:.3f}"
        mean = day.quote_volume / day.volume if day.volume else day.close
        event["w"] = number(mean.quantize(day.close))
        event["n"] = day.trade_count
        event["F"], event["L"] = day.first_trade_id, day.last_trade_id
        event["O"], event["C"] = (now_ns - DAY_NS) // NANOSECONDS_PER_MILLISECOND, event["E"]
    return event


def _month_start(time_ns: int) -> int:
    moment = datetime.fromtimestamp(time_ns // NANOSECONDS_PER_SECOND, UTC)
    start = datetime(moment.year, moment.month, 1, tzinfo=UTC)
    return int(start.timestamp()) * NANOSECONDS_PER_SECOND
