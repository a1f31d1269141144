"""Cards about quotes."""

from venuemesh.common.v1 import types_pb2

from kit.conformance.card import Rig, card, expect

QUOTES = types_pb2.CHANNEL_QUOTES
ENOUGH = 20


@card("QTE-1")
async def sane(rig: Rig) -> None:
    """The best bid is below the best ask, and both have a size."""
    await _more(rig, 0)
    for columns, row in rig.connector.rows(QUOTES, rig.first):
        bid, ask = columns.bid_price[row], columns.ask_price[row]
        expect(0 < bid < ask, f"bid {bid}, ask {ask}")
        sizes = columns.bid_size[row], columns.ask_size[row]
        expect(min(sizes) > 0, f"sizes {sizes}")
        expect(columns.received_time_ns[row] > 0, "no receive time")


@card("QTE-2")
async def overtaken(rig: Rig) -> None:
    """A quote that a newer one has overtaken is not passed on."""
    since = len(rig.connector.batches)
    rig.exchange.order("reorder", rig.first, "quotes", count=2)
    await _more(rig, since)
    newest = 0
    for columns, row in rig.connector.rows(QUOTES, rig.first):
        number = columns.sequence[row] or columns.venue_time_ns[row]
        expect(number >= newest, f"{number} came after {newest}")
        newest = number


async def _more(rig: Rig, since: int) -> None:
    await rig.connector.until(
        lambda: rig.connector.row_count(QUOTES, rig.first, since) >= ENOUGH,
        f"{ENOUGH} quotes of {rig.first}",
    )
