"""A reduction waits for the outcome of the one before."""

from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector.tests.lying_venue import UNKNOWN
from core.inspector.tests.rig import DECISIONS, close, decision
from core.inspector.tests.test_lifecycles import DUST, REDUCE, prefix
from tests.support.waiting import eventually, until


async def test_reduction_waits_for_the_one_before_and_reduces_what_is_left(rig):
    rig.venue.closing_state = UNKNOWN
    process = await rig.start()
    await rig.put(DECISIONS, decision(1, size="1", reference_price="100"))
    await rig.until_outcomes(1)
    parts = [decision(number, REDUCE, reduce_fraction="0.5") for number in (2, 3, 4)]
    await rig.put(DECISIONS, parts[0])
    await until(lambda: any("UNKNOWN" in text for text in process.closer.problems.values()))
    await rig.put(DECISIONS, *parts[1:])

    async def are_given():
        return len(await rig.verdicts()) == 5

    await eventually(are_given)
    details = [one.checks[1].detail for one in await rig.verdicts() if not one.orders]
    waits = "another reduction is on its way: this one waits for its outcome"
    assert details == ["", waits, waits]
    assert len(rig.venue.made) == 4
    rig.venue.closing_state = orders_pb2.ORDER_STATE_FILLED
    rig.venue.end_unknown(is_filled=True)
    await rig.until_outcomes(5)
    # Half of 0.999, rounded to a step, is left three times.
    assert rig.venue.held() == Decimal("0.12487")
    closing = [name for name in rig.venue.made if name.endswith("-1")][1:]
    assert closing == [f"{prefix(one)}-1" for one in parts]
    assert [order.content.stop_price for order in rig.venue.orders.values()][-2:] == [
        "59000",
        "62000",
    ]


async def test_close_takes_the_place_of_reductions_that_wait(rig):
    rig.venue.closing_state = UNKNOWN
    process = await rig.start()
    await rig.put(DECISIONS, decision(1, size="1", reference_price="100"))
    await rig.until_outcomes(1)
    reduction = decision(2, REDUCE, reduce_fraction="0.5")
    await rig.put(DECISIONS, reduction)
    await until(lambda: any("UNKNOWN" in text for text in process.closer.problems.values()))
    await rig.put(DECISIONS, decision(3, REDUCE, reduce_fraction="0.5"), close(4))

    async def are_given():
        return len(await rig.verdicts()) == 5

    await eventually(are_given)
    rig.venue.closing_state = orders_pb2.ORDER_STATE_FILLED
    rig.venue.end_unknown(is_filled=True)
    await rig.until_flat()
    # The entry with its exits, half of it, and the rest.
    assert len(rig.venue.made) == 5
    assert 0 <= rig.venue.held() < DUST
