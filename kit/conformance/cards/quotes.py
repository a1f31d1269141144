"""Cards about quotes."""

from venuemesh.common.v1 import types_pb2

from kit.conformance.card import CardContext, card, expect
from kit.conformance.cards.tickers_marks_candles import without_channel

QUOTES = types_pb2.CHANNEL_QUOTES
ENOUGH = 20


@card("QTE-1", skip_reason=without_channel(QUOTES))
async def consistent(context: CardContext) -> None:
    """The best bid is below the best ask, and both have a size."""
    await _more(context, 0)
    for columns, row in context.connector.rows(QUOTES, context.first):
        bid, ask = columns.bid_price[row], columns.ask_price[row]
        expect(0 < bid < ask, f"bid {bid}, ask {ask}")
        sizes = columns.bid_size[row], columns.ask_size[row]
        expect(min(sizes) > 0, f"sizes {sizes}")
        expect(columns.received_time_ns[row] > 0, "no receive time")


@card("QTE-2", skip_reason=without_channel(QUOTES))
async def older_quote(context: CardContext) -> None:
    """A quote that is older than the last one is not published."""
    since = len(context.connector.batches)
    context.exchange.order("reorder", context.first, "quotes", count=2)
    await _more(context, since)
    newest = 0
    for columns, row in context.connector.rows(QUOTES, context.first):
        number = columns.sequence[row] or columns.venue_time_ns[row]
        expect(number >= newest, f"{number} came after {newest}")
        newest = number


async def _more(context: CardContext, since: int) -> None:
    await context.connector.until(
        lambda: context.connector.row_count(QUOTES, context.first, since) >= ENOUGH,
        f"{ENOUGH} quotes of {context.first}",
    )
