"""How positions end that no signal closes."""

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import risk_pb2

from core.inspector.submissions import TAKEN
from core.inspector.tests.rig import DECISIONS, SPOT, decision, mode
from core.inspector.tests.test_lifecycles import STOP, prefix


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
