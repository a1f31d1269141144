"""Work on thousands of orders is done in parts, between which other tasks run."""

import asyncio

from kit.execution.orders import order_states
from kit.execution.orders.order_index import AT_ONCE
from kit.execution.reconciliation.journal_recovery import RECOVERED_AT_ONCE, recover
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


async def test_orders_are_recovered_in_parts():
    state, turns = account_state(), []
    for number in range(10 * RECOVERED_AT_ONCE):
        sent(state, key=f"{number:032}")

    async def count_turns():
        while True:
            turns.append(len(turns))
            await asyncio.sleep(0)

    counting = asyncio.get_running_loop().create_task(count_turns())
    await recover(state, None, 1)
    assert len(turns) >= 9
    assert {order.state for order in state.index.open.values()} == {order_states.UNKNOWN}
    counting.cancel()
