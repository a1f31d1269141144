"""Defects that users of other trading systems report: see docs/CONTROLS.md."""

import pytest
from venuemesh.events.v1 import risk_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector.tests.rig import DECISIONS, START_NS, close, decision, mode
from core.inspector.tests.test_limits import blocked, given
from core.inspector.tests.test_manual_orders import LENA, limit, place
from tests.support.waiting import until

ALLOW = risk_pb2.VERDICT_ALLOW
ENTRY, EXIT = orders_pb2.GROUP_ROLE_ENTRY, orders_pb2.GROUP_ROLE_EXIT
STOP = orders_pb2.ORDER_TYPE_STOP


@pytest.mark.parametrize("reference", ["NaN", "sNaN", "-NaN", "Infinity", "", "0", "-1", "1e999"])
async def test_reference_that_is_no_number_blocks_an_entry_and_no_exit(rig, reference):
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    other = decision(2, strategy="other", reference_price=reference)
    await rig.put(DECISIONS, other, close(3, reference_price=reference))
    _, entry, reduction = (await given(rig, 3))[:3]
    assert "order_notional_max" in blocked(entry)
    assert not entry.orders
    assert (reduction.verdict, reduction.is_reduction) == (ALLOW, True)
    await rig.until_flat()


@pytest.mark.parametrize("name", ["STANDING_DOWN", "CLOSING_ALL", "HALTED"])
async def test_group_of_orders_obeys_a_mode_that_only_reduces(rig, name):
    process = await rig.start()
    await until(lambda: process.active.is_active)
    await process.changes.set(mode(risk_pb2.TradingMode.Value(f"TRADING_MODE_{name}")), "lena")
    group = {"group_id": "g", "count": 2}
    entry = limit(group=orders_pb2.OrderGroup(role=ENTRY, **group))
    stop = limit(stop_price="59000", group=orders_pb2.OrderGroup(role=EXIT, **group))
    stop.type, stop.price, stop.side = STOP, "", 2
    answer = await process.manual.submit(place(content=entry, others=[stop]), LENA)
    assert blocked(answer.verdict) == ["mode"]
    assert rig.venue.made == []


@pytest.mark.parametrize(
    ("changed", "name", "detail"),
    [
        ({"expires_time_ns": 0}, "expiry", "needs a time at which it expires"),
        ({"expires_time_ns": START_NS - 1}, "expiry", ""),
        ({"strategy": ""}, "strategies", "names its strategy"),
    ],
)
async def test_intent_without_expiry_or_strategy_or_too_late_is_refused(rig, changed, name, detail):
    await rig.start()
    await rig.put(DECISIONS, decision(1, **changed))
    (verdict,) = await given(rig, 1)
    assert blocked(verdict) == [name]
    (check,) = [one for one in verdict.checks if one.name == name]
    assert detail in check.detail
    assert not verdict.orders


async def test_repeated_intent_is_refused(rig):
    await rig.start()
    again = decision(1)
    again.event_id = b"r" * 16
    await rig.put(DECISIONS, decision(1), again)
    first, second = await given(rig, 2)
    assert (first.verdict, blocked(second)) == (ALLOW, ["open_positions_max"])
    await rig.until_outcomes(1)
    assert len({one.partition("-")[0] for one in rig.venue.made}) == 1
