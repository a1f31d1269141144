"""Cards about tickers, marks and candles, where a venue has them."""

from venuemesh.common.v1 import types_pb2

from kit.base.cursor import Channel, channel_name
from kit.conformance.card import CardContext, SkipReason, card, expect
from kit.connector.contract.venue import Venue

TICKERS = types_pb2.CHANNEL_TICKERS
MARKS = types_pb2.CHANNEL_MARKS
CANDLES = types_pb2.CHANNEL_CANDLES


def without_channel(channel: Channel) -> SkipReason:
    """Skip where the venue does not have a channel."""

    def skip_reason(venue: Venue) -> str:
        has_channel = channel in venue.channels
        return "" if has_channel else f"the venue has no {channel_name(channel)}"

    return skip_reason


@card("TCK-1", skip_reason=without_channel(TICKERS))
async def tickers(context: CardContext) -> None:
    """Tickers: the last price lies between low and high."""
    await _some(context, TICKERS)
    for columns, row in context.connector.rows(TICKERS, context.first):
        last, low, high = (
            column[row] for column in (columns.last_price, columns.low_price, columns.high_price)
        )
        expect(last > 0, f"last price {last}")
        expect(not low or low <= last, f"last {last} below low {low}")
        expect(not high or last <= high, f"last {last} above high {high}")


@card("MRK-1", skip_reason=without_channel(MARKS))
async def marks(context: CardContext) -> None:
    """Marks: mark price, index price and funding rate are published."""

    def is_published(name: str) -> bool:
        rows = context.connector.rows(MARKS, context.first)
        return any(getattr(columns, name)[row] for columns, row in rows)

    names = ("mark_price", "index_price", "funding_rate")
    await context.connector.until(lambda: all(map(is_published, names)), " and ".join(names))


@card("CND-1", skip_reason=without_channel(CANDLES))
async def candles(context: CardContext) -> None:
    """Candles: open and close lie between low and high."""
    await _some(context, CANDLES)
    for columns, row in context.connector.rows(CANDLES, context.first):
        low, high = columns.low[row], columns.high[row]
        for price in (columns.open[row], columns.close[row]):
            expect(0 < low <= price <= high, f"{price} is not within {low} and {high}")
        interval_s = columns.interval_s[row]
        expect(interval_s > 0, "no interval")
        into_ns = columns.open_time_ns[row] % (interval_s * 1_000_000_000)
        expect(into_ns == 0, f"a candle of {interval_s} s opens {into_ns} ns late")


async def _some(context: CardContext, channel: Channel) -> None:
    await context.connector.until(
        lambda: context.connector.row_count(channel, context.first) >= 2, channel_name(channel)
    )
