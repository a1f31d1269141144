"""From a decision to its orders, and to the end of its position."""

from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import event_pb2, executions_pb2, risk_pb2, signals_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector.submissions import EXPIRED, REFUSED, TAKEN
from core.inspector.tests.lying_venue import CANCELLED, OPEN, UNKNOWN
from core.inspector.tests.rig import DECISIONS, EXECUTIONS, KEY, SPOT, close, decision, mode
from kit.events.event_ids import event_id
from kit.execution.approval.signing import statement
from tests.support.waiting import eventually, until

ENTRY, EXIT = orders_pb2.GROUP_ROLE_ENTRY, orders_pb2.GROUP_ROLE_EXIT
REDUCE = signals_pb2.POSITION_ACTION_REDUCE
FLIP = signals_pb2.POSITION_ACTION_FLIP
STOP = orders_pb2.ORDER_TYPE_STOP
HALTED = risk_pb2.TRADING_MODE_HALTED
DUST = Decimal(SPOT.size_min)


def prefix(event):
    return f"lc-{event.lifecycle_id.hex()}"


async def tell(rig):
    """Store what the venue reports, as the ledger does."""
    made = []
    for order in rig.venue.orders.values():
        content = order.SerializeToString(deterministic=True)
        event = event_pb2.Event(event_id=event_id("ledger", "a", [content]), source="ledger")
        event.order_changed.order.CopyFrom(order)
        made.append(event)
    for fill in rig.venue.all_fills:
        key = event_id("ledger", "a", [fill.fill_id.encode()])
        event = event_pb2.Event(event_id=key, source="ledger")
        event.order_filled.CopyFrom(executions_pb2.OrderFilled(fill=fill))
        made.append(event)
    await rig.put(EXECUTIONS, *made)


async def test_decision_becomes_a_group_of_signed_orders(rig):
    await rig.start()
    event = decision(1)
    await rig.put(DECISIONS, event)
    (outcome,) = await rig.until_outcomes(1)
    assert outcome.outcome == TAKEN
    (given,) = await rig.verdicts()
    assert given.verdict == risk_pb2.VERDICT_ALLOW
    names = [f"{prefix(event)}-{number}" for number in (1, 2, 3)]
    assert [one.request_id for one in given.orders] == names == rig.venue.made
    for approved in given.orders:
        KEY.public_key().verify(approved.signature, statement(approved))
        assert approved.expires_time_ns <= event.decision_made.intent.expires_time_ns
        assert approved.content.group.group_id == prefix(event)
    contents = [one.content for one in given.orders]
    assert [one.group.role for one in contents] == [ENTRY, EXIT, EXIT]
    assert [one.side for one in contents] == [types_pb2.SIDE_BUY, *[types_pb2.SIDE_SELL] * 2]
    assert [one.stop_price for one in contents] == ["", "59000", "62000"]
    chain = [one for one in await rig.events() if one.lifecycle_id == event.lifecycle_id]
    # More may follow: the clock runs on until the test has read them.
    assert [list(one.cause_ids) for one in chain[:2]] == [[event.event_id], [chain[0].event_id]]


HOLDS_POSITIONS = (
    "SELECT FROM pg_locks WHERE relation = 'event_positions'::regclass"
    " AND mode = 'RowExclusiveLock'"
)


async def test_instrument_is_asked_for_once_and_while_no_transaction_waits(rig):
    asked, waiting = [], []
    listed = rig.venue.instrument

    async def instrument(venue, symbol):
        asked.append((venue, symbol))
        async with rig.database.transaction() as connection:
            waiting.extend(await (await connection.execute(HOLDS_POSITIONS)).fetchall())
        return await listed(venue, symbol)

    rig.venue.instrument = instrument
    await rig.start()
    await rig.put(DECISIONS, decision(1), decision(2, strategy="other"), close(3, symbol="ETHUSDT"))
    await rig.until_outcomes(2)
    assert len(await rig.verdicts()) == 3
    assert asked == [("binance", "BTCUSDT")]
    assert waiting == []


async def test_strategy_has_one_position_in_an_instrument(rig):
    await rig.start()
    await rig.put(DECISIONS, decision(1), decision(2), decision(3, strategy="other"))
    await rig.until_outcomes(2)
    given = await rig.verdicts()
    verdicts = [one.verdict for one in given]
    allow, block = risk_pb2.VERDICT_ALLOW, risk_pb2.VERDICT_BLOCK
    assert verdicts == [allow, block, allow]
    assert not given[1].orders


async def test_position_ends_with_its_exit_and_another_may_begin(rig):
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    (position,) = await rig.open_positions()
    rig.venue.trigger(STOP)
    # What the entry has bought is more than an exit can sell: its fee was paid in the base asset.
    await tell(rig)
    await rig.until_flat()
    await rig.put(DECISIONS, decision(2))
    await rig.until_outcomes(2)
    (other,) = await rig.open_positions()
    assert other.position_id != position.position_id


async def test_order_that_expired_before_it_was_decided_is_blocked(rig):
    await rig.start()
    await rig.put(DECISIONS, decision(1, expires_time_ns=1))

    async def is_given():
        return await rig.verdicts()

    await eventually(is_given)
    assert [one.verdict for one in await rig.verdicts()] == [risk_pb2.VERDICT_BLOCK]
    assert rig.venue.made == []


@pytest.mark.parametrize("fault", ["lost", "unanswered", "UNAVAILABLE", "STORE_UNAVAILABLE"])
async def test_order_without_a_clear_answer_is_handed_over_again_and_made_once(rig, fault):
    rig.venue.faults = [fault, fault]
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    (outcome,) = await rig.until_outcomes(1)
    assert outcome.outcome == TAKEN
    assert len(rig.venue.made) == 3


async def test_refusal_of_the_first_call_ends_the_position(rig):
    rig.venue.faults = ["LIMIT_EXCEEDED"]
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    (outcome,) = await rig.until_outcomes(1)
    assert (outcome.outcome, outcome.refusal_reason) == (REFUSED, "LIMIT_EXCEEDED")
    await rig.until_flat()
    assert rig.venue.made == []


async def test_refusal_after_an_unclear_call_proves_nothing(rig):
    rig.venue.faults = ["late", *["LIMIT_EXCEEDED"] * 3]
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    await until(lambda: len(rig.venue.faults) < 3)
    rig.venue.arrive_late()
    (outcome,) = await rig.until_outcomes(1)
    assert outcome.outcome == TAKEN
    assert len(rig.venue.made) == 3


async def test_order_expires_only_when_the_venue_knows_none_after_the_approval(rig):
    rig.venue.faults = ["lost"] * 1000
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    await until(lambda: len(rig.venue.faults) < 1000)
    rig.expire_approvals()
    (outcome,) = await rig.until_outcomes(1)
    (given,) = await rig.verdicts()
    assert outcome.outcome == EXPIRED
    assert rig.clock.time_ns() > given.orders[0].expires_time_ns
    assert "find" in rig.venue.calls
    await rig.until_flat()


async def test_close_cancels_the_exits_and_sells_what_is_left_once(rig):
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    event = close(2)
    await rig.put(DECISIONS, event)
    await rig.until_flat()
    assert rig.venue.made[3:] == [f"{prefix(event)}-1"]
    states = [order.state for order in rig.venue.orders.values()]
    assert states[1:3] == [CANCELLED, CANCELLED]
    assert 0 <= rig.venue.held() < DUST
    given = await rig.verdicts()
    assert [one.is_reduction for one in given] == [False, True, True]
    assert [len(one.orders) for one in given] == [3, 0, 1]
    assert [one.outcome for one in await rig.outcomes()] == [TAKEN, TAKEN]


async def test_close_is_not_doubled_by_another_one(rig):
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    await rig.put(DECISIONS, close(2), close(3), close(4))
    await rig.until_flat()
    assert len(rig.venue.made) == 4
    assert 0 <= rig.venue.held() < DUST
    given = await rig.verdicts()
    assert {one.verdict for one in given} == {risk_pb2.VERDICT_ALLOW}
    details = [one.checks[1].detail for one in given if len(one.checks) == 2]
    assert "it is being closed already" in details


async def test_close_in_parts_sells_the_rest(rig):
    rig.venue.fill_part = Decimal("0.5")
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    await rig.put(DECISIONS, close(2))
    await until(lambda: len(rig.venue.made) >= 5)
    rig.venue.fill_part = Decimal(1)
    await rig.until_flat()
    assert 0 <= rig.venue.held() < DUST


async def test_next_order_waits_for_the_outcome_of_the_one_before(rig):
    rig.venue.closing_state = UNKNOWN
    process = await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    await rig.put(DECISIONS, close(2))
    await until(lambda: any("UNKNOWN" in text for text in process.closer.problems.values()))
    await until(lambda: "UNKNOWN" in process.reasons._meter.status().detail)
    assert len(rig.venue.made) == 4
    rig.venue.end_unknown(is_filled=True)
    await rig.until_flat()
    assert len(rig.venue.made) == 4
    assert 0 <= rig.venue.held() < DUST
    assert not process.closer.problems


async def test_close_waits_for_an_order_that_may_still_arrive(rig):
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    # Both exits are cancelled; the market order is on its way for some time.
    rig.venue.faults = ["", "", "late", "lost", "lost", "lost"]
    await rig.put(DECISIONS, close(2))
    await until(lambda: not rig.venue.faults)
    rig.venue.arrive_late()
    await rig.until_flat()
    assert len(rig.venue.made) == 4
    assert 0 <= rig.venue.held() < DUST


async def test_rejected_close_is_followed_by_another_order(rig):
    rig.venue.closing_state = orders_pb2.ORDER_STATE_REJECTED
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    event = close(2)
    await rig.put(DECISIONS, event)
    await until(lambda: len(rig.venue.made) >= 4)
    rig.venue.closing_state = orders_pb2.ORDER_STATE_FILLED
    await rig.until_flat()
    assert len(set(rig.venue.made)) == len(rig.venue.made)
    assert 0 <= rig.venue.held() < DUST


async def test_exit_that_was_filled_meanwhile_leaves_nothing_to_close(rig):
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    rig.venue.trigger(STOP)
    held = rig.venue.held()
    await rig.put(DECISIONS, close(2))
    await rig.until_flat()
    assert len(rig.venue.made) == 3
    assert rig.venue.held() == held


async def test_close_without_a_position_is_allowed_and_makes_no_order(rig):
    await rig.start()
    await rig.put(DECISIONS, close(1))

    async def is_given():
        return await rig.verdicts()

    await eventually(is_given)
    (given,) = await rig.verdicts()
    assert (given.verdict, list(given.orders)) == (risk_pb2.VERDICT_ALLOW, [])
    assert given.checks[1].detail == "the strategy holds nothing: there is nothing to close"


async def test_reduction_leaves_a_part_that_is_protected(rig):
    await rig.start()
    await rig.put(DECISIONS, decision(1, size="1", reference_price="100"))
    await rig.until_outcomes(1)
    await rig.put(DECISIONS, decision(2, REDUCE, reduce_fraction="0.25"))
    await rig.until_outcomes(3)
    # A quarter of the 0.999 that were left after the fee.
    assert rig.venue.held() == Decimal("0.74925")
    open_orders = [order for order in rig.venue.orders.values() if order.state == OPEN]
    assert [one.content.stop_price for one in open_orders] == ["59000", "62000"]
    assert {Decimal(one.content.size) for one in open_orders} == {rig.venue.held()}
    (position,) = await rig.open_positions()
    assert not position.is_closing
    await rig.put(DECISIONS, close(3))
    await rig.until_flat()
    assert 0 <= rig.venue.held() < DUST


async def test_position_whose_new_exits_are_refused_is_closed(rig):
    await rig.start()
    await rig.put(DECISIONS, decision(1, size="1", reference_price="100"))
    await rig.until_outcomes(1)
    # Two cancels and the market order pass; the exits are refused.
    rig.venue.faults = ["", "", "", "", "", "INVALID_ORDER"]
    await rig.put(DECISIONS, decision(2, REDUCE, reduce_fraction="0.25"))
    await rig.until_flat()
    assert REFUSED in [one.outcome for one in await rig.outcomes()]
    assert 0 <= rig.venue.held() < DUST


async def test_mode_stops_entries_at_once_and_closes_what_is_held(rig):
    process = await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    closing = mode(risk_pb2.TRADING_MODE_CLOSING_ALL, "account:binance/paper")
    state = await process.changes.set(closing, "lena")
    assert (state.mode, state.caller) == (risk_pb2.TRADING_MODE_CLOSING_ALL, "lena")
    await rig.until_flat()
    assert 0 <= rig.venue.held() < DUST
    (changed,) = await rig.payloads("mode_changed")
    assert changed.before == risk_pb2.TRADING_MODE_ACTIVE
    await rig.put(DECISIONS, decision(2))

    async def is_given():
        return len(await rig.verdicts()) == 3

    await eventually(is_given)
    assert (await rig.verdicts())[-1].verdict == risk_pb2.VERDICT_CLOSE_ALL


async def test_mode_is_kept_over_a_restart_and_reductions_pass_in_it(rig):
    process = await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    await process.changes.set(mode(HALTED), "lena")
    await rig.kill()
    await rig.start()
    await rig.put(DECISIONS, decision(2), close(3))
    await rig.until_flat()
    given = await rig.verdicts()
    assert [one.verdict for one in given][1:3] == [
        risk_pb2.VERDICT_STAND_DOWN,
        risk_pb2.VERDICT_ALLOW,
    ]
    assert {one.mode for one in given[1:]} == {HALTED}


async def test_second_process_stands_by_until_the_lease_is_free(rig):
    first = await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    rig.process = None
    second = await rig.start(holder="inspector-2")
    await rig.put(DECISIONS, close(2))
    await rig.until_flat()
    assert first.active.is_active
    assert not second.active.is_active
    await first.lease.release()
    await first.kill()
    await until(lambda: second.active.is_active)
    assert second.lease.epoch > 1


async def test_live_mesh_opens_nothing_before_a_person_releases_it(rig):
    process = await rig.start(world="live")
    await rig.put(DECISIONS, decision(1))

    async def is_given():
        return await rig.verdicts()

    await eventually(is_given)
    await process.changes.set(mode(risk_pb2.TRADING_MODE_ACTIVE), "lena")
    await rig.put(DECISIONS, decision(2))
    await rig.until_outcomes(1)
    (changed,) = await rig.payloads("mode_changed")
    assert changed.before == HALTED
    stand_down, allow = risk_pb2.VERDICT_STAND_DOWN, risk_pb2.VERDICT_ALLOW
    assert [one.verdict for one in await rig.verdicts()] == [stand_down, allow]
