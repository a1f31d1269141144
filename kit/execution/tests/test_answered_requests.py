"""An approval to cancel all orders, or to flatten, has its effect once."""

from decimal import Decimal

import pytest
from venuemesh.tradeflow.v1 import flatten_pb2, orders_pb2, signed_pb2, trade_flow_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import (
    ApprovalRejected,
    RequestIdReused,
    StoreUnavailable,
    VenueUnavailable,
)
from kit.execution.contract import OutcomeUnknown
from kit.execution.orders import order_states
from kit.execution.sending import answered_requests
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.order_groups import WHERE, flow, live
from kit.execution.tests.position_venue import SYMBOL, flatten
from kit.execution.tests.simulated_process import run, signer, verified
from kit.execution.tests.test_flatten import ready, stop_order

FULL = OSError(28, "No space left on device")


def approved(found, request_id="c", symbol="", valid_s=60, operation=None, **content):
    """An approval as a caller gets it, to cancel all orders unless it is said otherwise."""
    content = orders_pb2.OrderContent(symbol=symbol, **content, **WHERE)
    ends_ns = found.clock.time_ns() + valid_s * NANOSECONDS_PER_SECOND
    operation = operation or signed_pb2.OPERATION_CANCEL_ALL
    return signer().approve(content, request_id, ends_ns, operation)


async def cancel_all(found, approval, symbol=""):
    request = trade_flow_pb2.CancelAllOrdersRequest(symbol=symbol, approved=approval, **WHERE)
    return (await flow(found).CancelAllOrders(request, None)).orders


async def submit(found, name, *, held_here=False):
    content = stop_order() if held_here else limit_order()
    content.symbol = SYMBOL
    return await found.account.submitter.submit(verified(content, name), held_here=held_here)


async def restart(found):
    found.lose_power()
    found.start()
    await found.ready()


@pytest.mark.parametrize("restarts", [False, True])
def test_repeated_cancel_of_all_has_the_first_answer_and_leaves_later_orders(restarts):
    async def scenario():
        found = await ready()
        await submit(found, "first")
        await submit(found, "held", held_here=True)
        approval = approved(found)
        answer = await cancel_all(found, approval)
        assert {one.request_id for one in answer} == {"first", "held"}
        if restarts:
            await restart(found)
        later, stop = await submit(found, "later"), await submit(found, "stop", held_here=True)
        calls = found.venue.calls["cancel_all"]
        assert list(await cancel_all(found, approval)) == list(answer)
        await found.let_pass(5)
        assert found.venue.calls["cancel_all"] == calls
        assert (later.state, stop.state) == (order_states.OPEN, order_states.OPEN)
        assert live(found).keys() == {later.key}
        assert len(await cancel_all(found, approved(found, "d"))) == 2
        assert not found.account.state.index.open

    run(scenario())


@pytest.mark.parametrize("restarts", [False, True])
def test_repeated_flatten_has_the_first_answer_and_leaves_later_positions(restarts):
    async def scenario():
        found = await ready("2")
        answer = await flatten(found)
        assert len(answer.orders) == 1
        if restarts:
            await restart(found)
        entry = await submit(found, "entry")
        found.venue.fill(found.venue.by_client_id[entry.key], Decimal(1))
        await found.let_pass(5)
        assert await flatten(found) == answer
        await found.let_pass(5)
        assert (found.venue.held, entry.state) == (1, order_states.PARTLY_FILLED)
        assert len((await flatten(found, SYMBOL, "g")).orders) == 1
        assert found.venue.held == 0

    run(scenario())


def test_repeated_flatten_says_again_what_it_could_not_close():
    async def scenario():
        found = await ready("1.2345", is_spot=True)
        answer = await flatten(found, "BTCUSDT")
        assert [one.found for one in answer.left_open] == ["0.0005"]
        await restart(found)
        assert await flatten(found, "BTCUSDT") == answer

    run(scenario())


def test_cancel_of_all_that_failed_is_done_when_it_is_repeated():
    async def scenario():
        found = await ready()
        order = await submit(found, "first")
        client, approval = found.venue.client, approved(found)
        client.failures = 10_000
        with pytest.raises(VenueUnavailable):
            await cancel_all(found, approval)
        client.failures = 0
        await cancel_all(found, approval)
        assert order.state == order_states.CANCELLED

    run(scenario())


def test_cancel_of_all_is_confirmed_when_it_is_on_disk():
    async def scenario():
        found = await ready()
        order, approval = await submit(found, "first"), approved(found)
        found.disk.error = FULL
        with pytest.raises(StoreUnavailable, match="it is done, but not on disk"):
            await cancel_all(found, approval)
        assert order.state == order_states.CANCELLED
        found.disk.error = None
        await found.let_pass(5)
        later = await submit(found, "later")
        assert [one.request_id for one in await cancel_all(found, approval)] == ["first"]
        await restart(found)
        await cancel_all(found, approval)
        assert live(found).keys() == {later.key}

    run(scenario())


def test_two_requests_at_once_cancel_once():
    async def scenario():
        found = await ready()
        await submit(found, "first")
        approval = approved(found)
        calls = [found.process.start(cancel_all(found, approval)) for _ in range(2)]
        await found.let_pass(0)
        with pytest.raises(RequestIdReused, match="another symbol: ''"):
            await cancel_all(found, approved(found, symbol=SYMBOL), SYMBOL)
        for call in calls:
            assert len(await call) == 1
        assert found.venue.calls["cancel_all"] == 1

    run(scenario())


def test_caller_that_leaves_does_not_end_a_cancel_of_all():
    async def scenario():
        found = await ready()
        order = await submit(found, "first")
        call = found.process.start(cancel_all(found, approved(found)))
        await found.let_pass(0)
        call.cancel()
        await found.let_pass(5)
        assert order.state == order_states.CANCELLED

    run(scenario())


def test_request_id_of_an_answer_is_for_its_symbol():
    async def scenario():
        found = await ready()
        await cancel_all(found, approved(found))
        with pytest.raises(RequestIdReused, match="another symbol: ''"):
            await cancel_all(found, approved(found, symbol=SYMBOL), SYMBOL)
        await flatten(found)
        with pytest.raises(RequestIdReused, match=f"another symbol: '{SYMBOL}'"):
            await flatten(found, "")

    run(scenario())


def test_answers_are_known_until_their_approvals_cannot_be_valid(monkeypatch):
    monkeypatch.setattr(answered_requests, "REQUESTS_MAX", 2)

    async def scenario():
        found = await ready()
        first = approved(found, "a")
        await cancel_all(found, first)
        await cancel_all(found, approved(found, "b", valid_s=7200))
        third = approved(found, "c", valid_s=7200)
        with pytest.raises(ApprovalRejected) as refused:
            await cancel_all(found, third)
        assert refused.value.metadata["why"] == "too_many"
        await cancel_all(found, first)
        await found.let_pass(3700)
        await cancel_all(found, third)
        answered = [one.request_id for one in found.account.submitter.answered.records()]
        assert answered == ["b", "c"]

    run(scenario())


@pytest.mark.parametrize(
    ("terms", "field"),
    [({"size": "1"}, "size is '1'"), ({"reduce_only": True}, "reduce_only is 'True'")],
)
def test_terms_of_an_order_are_refused_for_all_of_it(terms, field):
    async def scenario():
        found = await ready("2")
        order, flatten_it = await submit(found, "first"), signed_pb2.OPERATION_FLATTEN
        with pytest.raises(ApprovalRejected, match=f"{field}; allowed is none: CANCEL_ALL"):
            await cancel_all(found, approved(found, **terms))
        approval = approved(found, symbol=SYMBOL, operation=flatten_it, **terms)
        request = flatten_pb2.FlattenRequest(symbol=SYMBOL, approved=approval, **WHERE)
        with pytest.raises(ApprovalRejected, match=f"{field}; allowed is none: FLATTEN"):
            await flow(found).Flatten(request, None)
        assert (found.venue.held, order.state) == (2, order_states.OPEN)

    run(scenario())


def test_work_under_way_goes_on_with_the_same_request():
    async def scenario():
        found = await ready("2")
        lost = []

        async def lose(request):
            lost.append(request)
            return OutcomeUnknown("no answer")

        found.venue.client.verdicts = [lose]
        assert (await flatten(found)).under_way
        await restart(found)
        while (answer := await flatten(found)).under_way:
            pass
        assert (found.venue.held, len(answer.orders)) == (0, 2)

    run(scenario())
