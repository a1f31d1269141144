"""Cards about tickers, marks and candles, where a venue has them."""

from collections.abc import Callable

from venuemesh.common.v1 import types_pb2

from kit.base.cursor import Channel, channel_name
from kit.conformance.card import Rig, card, expect

TICKERS = types_pb2.CHANNEL_TICKERS
MARKS = types_pb2.CHANNEL_MARKS
CANDLES = types_pb2.CHANNEL_CANDLES


def _has(channel: Channel) -> Callable[[Rig], str]:
    def needs(rig: Rig) -> str:
        has = channel in rig.connector.channels
        return "" if has else f"the venue has no {channel_name(channel)}"

    return needs


@card("TCK-1", needs=_has(TICKERS))
async def tickers(rig: Rig) -> None:
    """Tickers: the last price lies between low and high."""
    await _some(rig, TICKERS)
    for columns, row in rig.connector.rows(TICKERS, rig.first):
        last, low, high = (
            column[row] for column in (columns.last_price, columns.low_price, columns.high_price)
        )
        expect(last > 0, f"last price {last}")
        expect(not low or low <= last, f"last {last} below low {low}")
        expect(not high or last <= high, f"last {last} above high {high}")


@card("MRK-1", needs=_has(MARKS))
async def marks(rig: Rig) -> None:
    """Marks: mark price, index price and funding are told."""

    def told(name: str) -> bool:
        rows = rig.connector.rows(MARKS, rig.first)
        return any(getattr(columns, name)[row] for columns, row in rows)

    names = ("mark_price", "index_price", "funding_rate")
    await rig.connector.until(lambda: all(map(told, names)), " and ".join(names))


@card("CND-1", needs=_has(CANDLES))
async def candles(rig: Rig) -> None:
    """Candles: open and close lie between low and high."""
    await _some(rig, CANDLES)
    for columns, row in rig.connector.rows(CANDLES, rig.first):
        low, high = columns.low[row], columns.high[row]
        for price in (columns.open[row], columns.close[row]):
            expect(0 < low <= price <= high, f"{price} is not within {low} and {high}")
        interval_s = columns.interval_s[row]
        expect(interval_s > 0, "no interval")
        into_ns = columns.open_time_ns[row] % (interval_s * 1_000_000_000)
        expect(into_ns == 0, f"a candle of {interval_s} s opens {into_ns} ns late")


async def _some(rig: Rig, channel: Channel) -> None:
    await rig.connector.until(
        lambda: rig.connector.row_count(channel, rig.first) >= 2, channel_name(channel)
    )
