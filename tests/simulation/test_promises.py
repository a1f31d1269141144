"""What the promises demand of the attempts of a stop, and of a group that a crash has ended."""

from decimal import Decimal
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from venuemesh.tradeflow.v1 import batches_pb2

from kit.execution.orders import order_states
from kit.execution.orders.order_messages import content_message, order_message
from kit.execution.tests.order_groups import approved, entries, lost_before_sent, oco
from kit.execution.tests.simulated_process import SPOT, amend, run
from kit.execution.tests.test_exit_retry import attempt, refusing
from kit.execution.tests.test_local_stops import SELL, STOP, holding
from tests.simulation.calls import Request
from tests.simulation.history import History, Promise
from tests.simulation.promises import PromiseChecks, wanted_size
from tests.simulation.trader import Trader
from tests.simulation.watch import Watch


def test_amended_attempt_changes_how_much_a_stop_is_to_fill():
    async def scenario():
        found, order = await holding(STOP, SELL, stop_price="90")
        found.prices.trade("90")
        await found.let_pass(0.5)
        first = found.venue.by_client_id[order.key]
        found.venue.fill(first, Decimal("0.5"))
        refusing(found, 100)
        found.venue.end(first, order_states.CANCELLED)
        await found.until(lambda: attempt(found, "r", 2) is not None)
        second = attempt(found, "r", 2)
        await found.until(lambda: second.state == order_states.OPEN)
        assert wanted_size([order, second]) == 2
        content = content_message(second)
        content.size = "1"
        await amend(found.account.amender, second, content, "a")
        await found.until(lambda: attempt(found, "r", 3) is not None)
        assert wanted_size([order, second, attempt(found, "r", 3)]) == Decimal("1.5")

    run(scenario())


@pytest.mark.parametrize(
    ("was_open", "was_sent", "broken"),
    [
        (False, False, []),
        # A caller that was told of open orders relies on them.
        (True, False, [Promise.STOPS]),
        (False, True, [Promise.STOPS]),
    ],
)
def test_group_that_was_not_sent_ends_with_the_rejections_that_its_caller_gets(
    was_open, was_sent, broken
):
    async def scenario():
        contents = oco()
        found = await lost_before_sent(contents)
        members = entries(found, contents)
        found.market, found.venue.instrument, found.accounts_file = None, SPOT, Mock()
        history = History(lambda: 0)
        watch = Watch(history)
        authorities = Mock(why_refused=Mock(return_value=""))
        found.leaving = Mock()
        trader = Trader(found, authorities, watch, history)
        checks = PromiseChecks(
            SimpleNamespace(
                history=history, world=found, trader=trader, watch=watch, left_open=set()
            )
        )
        asked = approved(found, contents)
        message = batches_pb2.PlaceOrderGroupRequest(approved=asked)
        keys = [watch.placing(content, name) for name, content in contents.items()]
        request = Request("PlaceOrderGroup", message, "g", asked, keys)
        if was_open:
            told = [order_message(one) for one in members]
            for one in told:
                one.state = order_states.OPEN
            trader._answered(request, batches_pb2.PlaceOrderGroupResponse(orders=told))
        trader.start(request)
        await found.until(lambda: request.response is not None)
        if was_sent:
            watch._sends.update(keys)
        checks._check_group("g", members)
        assert [promise for promise, _ in history.broken] == broken

    run(scenario())
