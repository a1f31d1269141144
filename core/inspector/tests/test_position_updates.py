"""How positions end that no signal closes."""

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import event_pb2, risk_pb2

from core.inspector import positions
from core.inspector.submissions import TAKEN
from core.inspector.tests.lying_venue import OPEN
from core.inspector.tests.rig import DECISIONS, EXECUTIONS, SPOT, close, decision, mode
from core.inspector.tests.test_lifecycles import REDUCE, STOP, prefix, tell
from kit.events.event_ids import event_id
from tests.support.waiting import eventually


async def test_mode_closes_each_position_in_the_chain_that_has_opened_it(rig):
    """So that the strategy, the ledger and the detector know whose fills these are."""
    other = types_pb2.Instrument()
    other.CopyFrom(SPOT)
    other.symbol = "ETHUSDT"
    rig.instruments["binance", "ETHUSDT"] = other
    process = await rig.start()
    opened = [decision(1), decision(2, symbol="ETHUSDT")]
    await rig.put(DECISIONS, *opened)
    await rig.until_outcomes(2)
    await process.changes.set(mode(risk_pb2.TRADING_MODE_CLOSING_ALL), "lena")
    await rig.until_flat()
    assert sorted(rig.venue.made[6:]) == sorted(f"{prefix(one)}-4" for one in opened)
    events = await rig.events()
    (changed,) = [one for one in events if one.HasField("mode_changed")]
    closing = [one for one in events if list(one.cause_ids) == [changed.event_id]]
    chains = {one.lifecycle_id for one in closing if one.HasField("verdict_given")}
    assert chains == {one.lifecycle_id for one in opened}


async def test_position_ends_although_no_event_tells_of_the_end_of_its_orders(rig):
    """As after a restart of the venue's process, which tells only of orders that are open."""
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    rig.venue.trigger(STOP)
    await rig.until_flat()
    assert len(rig.venue.made) == 3
    await rig.put(DECISIONS, decision(2))
    assert [one.outcome for one in await rig.until_outcomes(2)] == [TAKEN, TAKEN]


async def changes(rig):
    """What was told of positions: size, and whether they were flat."""
    told = await rig.payloads("position_changed")
    return [(one.size, one.is_flat) for one in told]


async def test_reduction_to_a_small_part_leaves_a_position_that_is_told(rig):
    await rig.start()
    await rig.put(DECISIONS, decision(1, size="1", reference_price="100"))
    await rig.until_outcomes(1)
    await tell(rig)
    await rig.put(DECISIONS, decision(2, REDUCE, reduce_fraction="0.96"))
    await rig.until_outcomes(3)
    assert await changes(rig) == [("0.999", False), ("0.03996", False)]
    (position,) = await rig.open_positions()
    assert position.published_size == "0.03996"


async def test_rest_that_cannot_be_traded_is_told_and_ends_the_position(rig):
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    await tell(rig)
    await rig.put(DECISIONS, decision(2, REDUCE, reduce_fraction="0.995"))
    await rig.until_flat()
    # A step was sold less than 0.995 of 0.00999: the rest is rounded down to one.
    assert (await changes(rig))[-1] == ("0.00004", True)
    (told,) = [one for one in await rig.payloads("position_changed") if one.is_flat]
    assert (told.strategy, told.symbol, told.size_min) == ("ema_cross", "BTCUSDT", SPOT.size_min)
    async with rig.database.transaction() as connection:
        (found,) = await positions.residuals(connection, 0, 10)
    assert (found.rest, found.ended_time_ns > 0) == ("0.00004", True)


async def test_entry_without_a_fill_is_not_told(rig):
    rig.venue.faults = ["LIMIT_EXCEEDED"]
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    await rig.until_flat()
    assert await changes(rig) == []


def flattened(number, *shares):
    """A fill of a closing order of Flatten, as the ledger has divided it."""
    event = event_pb2.Event(event_id=event_id("ledger", "f", [b"%d" % number]), source="ledger")
    filled = event.order_filled
    filled.request_id = f"lc-{'ab' * 16}-1/BTCUSDT/{number}"
    fill = filled.fill
    fill.venue, fill.account, fill.symbol = "binance", "paper", "BTCUSDT"
    fill.fill_id, fill.client_order_id = f"f{number}", f"flatten{number}"
    for strategy, size in shares:
        filled.shares.add(strategy=strategy, size=size)
    return event


async def test_person_who_flattens_closes_the_positions_of_strategies(rig):
    await rig.start()
    await rig.put(DECISIONS, decision(1), decision(2, strategy="other"))
    await rig.until_outcomes(2)
    await tell(rig)

    async def are_told():
        return len(await changes(rig)) == 2

    await eventually(are_told)
    # A rest of an earlier position is in the share of the first one.
    parts = [("ema_cross", "-0.01005"), ("other", "-0.004")]
    await rig.put(EXECUTIONS, flattened(1, *parts, ("unknown", "-1")))

    async def is_one_flat():
        return len(await rig.open_positions()) == 1

    await eventually(is_one_flat)
    (position,) = await rig.open_positions()
    assert (position.strategy, position.published_size) == ("other", "0.00599")
    await rig.put(EXECUTIONS, flattened(2, ("other", "-0.00599")))
    await rig.until_flat()
    told = await rig.payloads("position_changed")
    assert [(one.strategy, one.size) for one in told if one.is_flat] == [
        ("ema_cross", "0"),
        ("other", "0"),
    ]
    # Nothing was sold by the inspector, and the exits are cancelled.
    assert len(rig.venue.made) == 6
    assert OPEN not in [order.state for order in rig.venue.orders.values()]
    await rig.put(DECISIONS, decision(3))
    assert [one.outcome for one in await rig.until_outcomes(3)] == [TAKEN] * 3


async def test_strategy_sells_what_a_person_has_left_of_its_position(rig):
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    await tell(rig)
    await rig.put(EXECUTIONS, flattened(1, ("ema_cross", "-0.004")))

    async def is_told():
        return ("0.00599", False) in await changes(rig)

    await eventually(is_told)
    await rig.put(DECISIONS, close(2))
    await rig.until_flat()
    assert list(rig.venue.orders.values())[-1].content.size == "0.00599"
