"""OKX's candle bars: when each begins; a candle and the last 24 hours in OKX's words."""

from collections.abc import Callable, Sequence

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.simulator.history import Candle
from kit.simulator.listing import Listing
from kit.simulator.texts import plain
from venues.okx.simulator.listings import TYPES, volumes

HOUR_S, DAY_S = 3_600, 86_400
SECONDS = {
    "1s": 1, "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1_800,
    "1H": HOUR_S, "2H": 2 * HOUR_S, "4H": 4 * HOUR_S,
}  # fmt: skip
LONG_SECONDS = {"6H": 6 * HOUR_S, "12H": 12 * HOUR_S, "1D": DAY_S, "1W": 7 * DAY_S}
"""Days of Hong Kong; with "utc" behind the name, days of UTC."""
HONG_KONG_S = 8 * HOUR_S
MONDAY_S = 4 * DAY_S
"""Weeks begin on Monday; the Unix epoch was a Thursday."""


def bar_start(bar: str) -> Callable[[int], int] | None:
    """For a bar's name, the function from a time to the start of its interval, both ns since the
    Unix epoch. None: there is no such bar."""
    plain_name = bar.removesuffix("utc")
    seconds = LONG_SECONDS.get(plain_name) or SECONDS.get(bar)
    if seconds is None:
        return None
    offset_s = MONDAY_S if plain_name == "1W" else 0
    if bar in LONG_SECONDS:
        offset_s -= HONG_KONG_S
    length_ns, offset_ns = seconds * NANOSECONDS_PER_SECOND, offset_s * NANOSECONDS_PER_SECOND

    def start_of(time_ns: int) -> int:
        return time_ns - (time_ns - offset_ns) % length_ns

    return start_of


def candle_row(candle: Candle, listing: Listing, closed: bool) -> list[str]:
    """``["start ms","open","high","low","close","vol","volCcy","volCcyQuote","confirm"]``"""
    return [
        str(candle.start_ns // NANOSECONDS_PER_MILLISECOND),
        plain(candle.open),
        plain(candle.high),
        plain(candle.low),
        plain(candle.close),
        *volumes(candle, listing),
        "1" if closed else "0",
    ]


def ticker(
    day: Candle, listing: Listing, last_size: str, best: Sequence[str], now_ns: int
) -> dict[str, str]:
    """The last 24 hours, given as one candle. ``best``: bid, its size, ask, its size."""
    bid, bid_size, ask, ask_size = best
    volume, currency_volume, _ = volumes(day, listing)
    opened = plain(day.open)
    return {
        "instType": TYPES[listing.kind],
        "instId": listing.symbol,
        "last": plain(day.close),
        "lastSz": last_size,
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
        "ts": str(now_ns // NANOSECONDS_PER_MILLISECOND),
    }
