"""Work on thousands of orders is done in parts, between which other tasks run."""

import asyncio

from msgspec.structs import replace
from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.orders import order_states
from kit.execution.orders.order_index import AT_ONCE
from kit.execution.orders.request_reader import intent_of
from kit.execution.reconciliation.journal_recovery import recover
from kit.execution.tasks import AT_ONCE as PARTS_AT_ONCE
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.order_groups import EXIT
from kit.execution.tests.simulated_process import run, signer, started
from kit.execution.tests.test_account_state import account_state, sent


def test_orders_are_forgotten_in_parts():
    state = account_state()
    for number in range(3 * AT_ONCE - 1):
        state.transition(sent(state, key=f"{number:032}"), order_states.REJECTED)
    now_ns = state._clock.time_ns()
    counts = list(state.index.forget(now_ns + 10, now_ns + 5, 10_000))
    parts = [count for count in counts if count]
    assert parts == [AT_ONCE, AT_ONCE, AT_ONCE - 1]
    assert not state.index.orders


async def turns_during(work):
    """How many turns another task has meanwhile."""
    turns = []

    async def count_turns():
        while True:
            turns.append(len(turns))
            await asyncio.sleep(0)

    counting = asyncio.get_running_loop().create_task(count_turns())
    await work
    counting.cancel()
    return len(turns)


async def test_orders_are_recovered_in_parts():
    state = account_state()
    for number in range(10 * PARTS_AT_ONCE):
        sent(state, key=f"{number:032}")
    assert await turns_during(recover(state, None, 1)) >= 9
    assert {order.state for order in state.index.open.values()} == {order_states.UNKNOWN}


def test_stops_and_groups_that_have_ended_are_recovered_in_parts():
    async def scenario():
        found = await started()
        account, state = found.account, found.account.state
        for number in range(10 * PARTS_AT_ONCE):
            content = limit_order(
                type=orders_pb2.ORDER_TYPE_STOP,
                price="",
                stop_price="90",
                group=orders_pb2.OrderGroup(group_id=f"g{number}", role=EXIT, count=1),
            )
            key = f"{number:032}"
            one = intent_of(signer().approve(content, key, 1), key, number)
            order = state.index.add_intended(replace(one, held_here=True))
            state.transition(order, order_states.CANCELLED)
        assert await turns_during(account.retries.recover()) >= 9
        assert await turns_during(account.groups.recover()) >= 9

        turns, advanced = [], {}
        account.groups.advance = lambda group_id: advanced.update({group_id: len(turns)})
        account.groups._wake.set()
        while len(advanced) < 10 * PARTS_AT_ONCE:
            turns.append(len(turns))
            await asyncio.sleep(0)
        assert len(set(advanced.values())) >= 9

    run(scenario())
