"""Stops that are held here survive rejections and crashes, or are published as left open."""

from dataclasses import replace
from decimal import Decimal

import pytest
from venuemesh.tradeflow.v1 import batches_pb2, orders_pb2, signed_pb2, trade_flow_pb2

from kit.accounting.amounts import ZERO
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.request_budget import Priority
from kit.execution.contract import OutcomeUnknown, RequestAccepted
from kit.execution.orders import order_states
from kit.execution.orders.order_messages import order_message
from kit.execution.request_ids import ATTEMPTS_MAX
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.order_groups import SIGNER, WHERE, flow
from kit.execution.tests.simulated_process import run, verified
from kit.execution.tests.test_exit_retry import PAUSES_S, attempt, refusing, said
from kit.execution.tests.test_local_stops import SELL, STOP, holding


@pytest.mark.parametrize(
    "reason",
    [
        orders_pb2.REJECT_REASON_RATE_LIMIT,
        orders_pb2.REJECT_REASON_MAINTENANCE,
        orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    ],
)
def test_stop_survives_a_passing_rejection(reason):
    async def scenario():
        found, order = await holding(STOP, SELL, stop_price="90")
        assert not order_message(order).is_triggered
        refusing(found, 3, reason)
        found.prices.trade("90")
        await found.let_pass(2)
        waiting = attempt(found, "r", 3)
        assert (waiting.state, waiting.held_here) == (order_states.OPEN, True)
        assert order_message(waiting).is_triggered
        found.prices.trade("50")
        await found.let_pass(10)
        taken = attempt(found, "r", 4)
        sent = found.venue.by_client_id[taken.key].now
        assert (sent.type, sent.size) == (orders_pb2.ORDER_TYPE_MARKET, Decimal(2))
        assert set(found.venue.sends.values()) == {1}
        assert set(found.venue.priorities) == {Priority.PROTECT}
        assert order.state == order_states.REJECTED
        assert not said(found)

    run(scenario())


@pytest.mark.parametrize(
    "reason",
    [orders_pb2.REJECT_REASON_PERMISSION, orders_pb2.REJECT_REASON_REDUCE_ONLY],
)
def test_stop_that_is_rejected_for_good_is_published_as_left_open(reason):
    async def scenario():
        found, order = await holding(STOP, SELL, stop_price="90")
        refusing(found, 1, reason)
        found.prices.trade("90")
        await found.let_pass(120)
        (one,) = said(found)
        assert (one.symbol, one.client_order_id, one.found) == ("BTCUSDT", order.key, "2")
        assert found.venue.sends == {order.key: 1}
        assert not found.account.state.index.open

    run(scenario())


def test_last_attempt_of_a_stop_is_published_as_left_open_once_in_each_run():
    async def scenario():
        found, _ = await holding(STOP, SELL, stop_price="90")
        came = refusing(found, 100)
        found.prices.trade("90")
        await found.let_pass(sum(PAUSES_S) + 60)
        assert len(came) == ATTEMPTS_MAX
        (one,) = said(found)
        assert one.client_order_id == attempt(found, "r", ATTEMPTS_MAX).key
        found.crash()
        found.start()
        await found.ready()
        # A rejection that was not on disk is found out by asking the venue first.
        await found.until(lambda: said(found))
        await found.let_pass(60)
        assert len(said(found)) == 1
        assert sum(found.venue.sends.values()) == ATTEMPTS_MAX

    run(scenario())


def test_rest_of_a_triggered_stop_is_sent_as_another_order():
    async def scenario():
        found, order = await holding(STOP, SELL, stop_price="90")
        found.prices.trade("90")
        await found.let_pass(0.5)
        first = found.venue.by_client_id[order.key]
        found.venue.fill(first, Decimal("0.5"))
        found.venue.end(first, order_states.CANCELLED)
        await found.let_pass(3)
        second = found.venue.by_client_id[attempt(found, "r", 2).key]
        assert second.now.size == Decimal("1.5")
        found.venue.fill(second, Decimal("1.5"))
        await found.let_pass(60)
        assert len(found.venue.by_client_id) == 2
        assert not found.account.state.index.open
        assert not said(found)

    run(scenario())


@pytest.mark.parametrize("restarts", [False, True])
def test_attempt_for_the_rest_outlives_what_comes_after_it_was_made(restarts):
    async def scenario():
        found, order = await holding(STOP, SELL, stop_price="90")
        found.prices.trade("90")
        await found.let_pass(0.5)
        first = found.venue.by_client_id[order.key]
        found.venue.fill(first, Decimal("0.5"))
        found.venue.end(first, order_states.CANCELLED)
        await found.until(lambda: attempt(found, "r", 2) is not None)
        if restarts:
            await found.account.journal.commit()
            found.crash()
            found.start()
            await found.ready()
        else:
            found.account.state.record_change(order)
        await found.let_pass(3)
        second = found.venue.by_client_id[attempt(found, "r", 2).key]
        assert second.now.size == Decimal("1.5")

    run(scenario())


def test_attempt_does_not_wait_longer_when_the_clock_is_set_back():
    async def scenario():
        found, _ = await holding(STOP, SELL, stop_price="90")
        refusing(found, 1)
        found.prices.trade("90")
        await found.until(lambda: attempt(found, "r", 2) is not None)
        found.clock.jumped_ns = -3600 * NANOSECONDS_PER_SECOND
        await found.let_pass(3)
        assert found.venue.by_client_id.keys() == {attempt(found, "r", 2).key}

    run(scenario())


def test_attempt_that_is_larger_than_what_is_left_is_cancelled():
    async def scenario():
        found, order = await holding(STOP, SELL, stop_price="90")
        found.prices.trade("90")
        await found.let_pass(0.5)
        first = found.venue.by_client_id[order.key]
        found.venue.publishes = False
        found.venue.fill(first, Decimal("0.5"))
        found.venue.publishes = True
        found.venue.deliver(replace(first.now, state=order_states.CANCELLED, filled_size=ZERO))
        await found.until(lambda: attempt(found, "r", 2) is not None)
        found.venue.deliver(found.venue.fills[0][1])
        await found.let_pass(3)
        assert attempt(found, "r", 2).state == order_states.CANCELLED
        assert [one.found for one in said(found)] == ["1.5"]

    run(scenario())


def test_stop_of_unknown_outcome_is_not_sent_again_before_it_is_known():
    async def scenario():
        found, order = await holding(STOP, SELL, stop_price="90")
        late = []

        async def lose(request):
            late.append(request)
            return OutcomeUnknown("lost")

        found.account.client.verdicts = [lose]
        found.prices.trade("90")
        await found.let_pass(5)
        assert (order.state, attempt(found, "r", 2)) == (order_states.UNKNOWN, None)
        await found.until(lambda: attempt(found, "r", 2) is not None)
        assert order.reject_reason == order_states.NEVER_ARRIVED
        found.venue.arrive(late[0])
        await found.let_pass(0.5)
        assert attempt(found, "r", 2).state == order_states.CANCELLED
        await found.let_pass(60)
        assert found.venue.by_client_id.keys() == {order.key}

    run(scenario())


@pytest.mark.parametrize("cancels_all", [False, True])
def test_cancelled_attempt_of_a_stop_is_not_made_again(cancels_all):
    async def scenario():
        found, _ = await holding(STOP, SELL, stop_price="90")
        came = refusing(found, 1)
        found.prices.trade("90")
        await found.until(lambda: attempt(found, "r", 2) is not None)
        if cancels_all:
            await found.account.submitter.cancel_all()
        else:
            await found.account.submitter.cancel(attempt(found, "r", 2))
        found.crash()
        found.start()
        await found.ready()
        await found.let_pass(60)
        assert len(came) == 1
        assert not found.account.state.index.open
        assert not found.venue.by_client_id
        assert not said(found)

    run(scenario())


async def cancel(found, named, approved, *, in_batch):
    """Cancel a protective order by one of its ids, with an approval for one of its ids."""
    ends_ns = found.clock.time_ns() + NANOSECONDS_PER_SECOND
    content = orders_pb2.OrderContent(symbol="BTCUSDT", **WHERE)
    signed = SIGNER.approve(content, "c", ends_ns, signed_pb2.OPERATION_CANCEL, approved)
    if not in_batch:
        request = trade_flow_pb2.CancelOrderRequest(client_order_id=named, approved=signed, **WHERE)
        return (await flow(found).CancelOrder(request, None)).order
    one = batches_pb2.OrderCancel(client_order_id=named, approved=signed)
    request = batches_pb2.CancelOrdersRequest(orders=[one], **WHERE)
    (result,) = (await flow(found).CancelOrders(request, None)).results
    return result.order


@pytest.mark.parametrize("in_batch", [False, True])
@pytest.mark.parametrize(("named", "approved"), [("r", "r"), ("r", "r~2"), ("r~2", "r")])
def test_stop_is_cancelled_by_the_id_of_any_attempt(named, approved, in_batch):
    async def scenario():
        found, order = await holding(STOP, SELL, stop_price="90")
        came = refusing(found, 1)
        found.prices.trade("90")
        await found.until(lambda: attempt(found, "r", 2) is not None)
        assert order.state == order_states.REJECTED
        keys = {"r": order.key, "r~2": attempt(found, "r", 2).key}
        answer = await cancel(found, keys[named], keys[approved], in_batch=in_batch)
        assert (answer.request_id, answer.state) == ("r~2", order_states.CANCELLED)
        found.crash()
        found.start()
        await found.ready()
        await found.let_pass(60)
        assert len(came) == 1
        assert not found.account.state.index.open
        assert not found.venue.by_client_id
        assert not said(found)

    run(scenario())


def test_stop_is_open_or_cancelled_whatever_part_of_its_cancel_is_on_disk():
    async def scenario():
        found, order = await holding(STOP, SELL, stop_price="90")
        await found.account.journal.commit()
        before = len(found.disk.content)
        await found.account.retries.cancel(order)
        content = bytes(found.disk.content)
        states = []
        for end in range(before, len(content) + 1, 8):
            found.process.die()
            found.disk.content[:] = content[:end]
            found.start()
            await found.ready()
            (restored,) = found.account.state.index.orders.values()
            states.append((restored.state, restored.cancel_requested))
        is_open, is_cancelled = (order_states.OPEN, False), (order_states.CANCELLED, True)
        assert states == sorted(states)
        assert set(states) == {is_open, is_cancelled}

    run(scenario())


def test_rejected_attempt_of_a_cancelled_stop_is_cancelled_when_it_is_at_the_venue():
    async def scenario():
        found, order = await holding(STOP, SELL, stop_price="90")
        late = []

        async def lose(request):
            late.append(request)
            return OutcomeUnknown("lost")

        found.account.client.verdicts = [lose]
        found.prices.trade("90")
        await found.until(lambda: attempt(found, "r", 2) is not None)
        await cancel(found, attempt(found, "r", 2).key, order.key, in_batch=False)
        found.venue.arrive(late[0])
        await found.let_pass(60)
        assert order.state == order_states.CANCELLED
        assert found.venue.by_client_id.keys() == {order.key}
        assert found.venue.by_client_id[order.key].now.state == order_states.CANCELLED

    run(scenario())


def test_stop_is_cancelled_while_its_next_attempt_is_not_on_disk():
    async def scenario():
        found, order = await holding(STOP, SELL, stop_price="90")
        refusing(found, 1)
        found.account.retries.write = lambda attempt: None
        found.prices.trade("90")
        await found.until(lambda: attempt(found, "r", 2) is not None)
        assert attempt(found, "r", 2).state == order_states.INTENDED
        answer = await cancel(found, order.key, order.key, in_batch=False)
        assert (answer.request_id, answer.state) == ("r~2", order_states.CANCELLED)
        await found.let_pass(60)
        assert not found.venue.calls["cancel"]
        assert not found.venue.by_client_id

    run(scenario())


@pytest.mark.parametrize(("away_s", "is_sent"), [(5, True), (3600, False)])
def test_rejected_stop_on_disk_is_retried_or_published_after_a_restart(away_s, is_sent):
    async def scenario():
        found, order = await holding(STOP, SELL, stop_price="90")
        came = refusing(found, 1)
        found.account.retries.write = lambda attempt: None
        found.prices.trade("90")
        await found.until(lambda: came)
        await found.let_pass(0.1)
        await found.account.journal.commit()
        found.crash()
        await found.let_pass(away_s)
        found.start()
        await found.ready()
        await found.let_pass(5)
        assert bool(found.venue.by_client_id) is is_sent
        assert [one.client_order_id for one in said(found)] == ([] if is_sent else [order.key])

    run(scenario())


def test_triggered_stop_and_market_order_carry_a_worst_price():
    async def scenario():
        found, _ = await holding(STOP, SELL, stop_price="90")
        requests = []

        async def take(request):
            requests.append(request)
            return RequestAccepted(found.venue.arrive(request).now.venue_order_id)

        found.account.client.verdicts = [take, take]
        found.prices.trade("90")
        await found.let_pass(1)
        buys = limit_order(type=orders_pb2.ORDER_TYPE_MARKET, price="")
        await found.account.submitter.submit(verified(buys, "buys"))
        # The best prices are 99 and 101, the tick is 0.5.
        assert [one.worst_price for one in requests] == [Decimal("98.5"), Decimal(102)]
        sent = requests[0].bounded()
        assert (sent.type, sent.price) == (orders_pb2.ORDER_TYPE_LIMIT, Decimal("98.5"))
        assert sent.time_in_force == orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL

    run(scenario())


def test_without_a_proven_book_a_stop_is_sent_and_a_market_order_is_not():
    async def scenario():
        found, order = await holding(STOP, SELL, stop_price="90")
        found.prices.best = lambda symbol: None
        found.prices.trade("90")
        await found.let_pass(1)
        buys = limit_order(type=orders_pb2.ORDER_TYPE_MARKET, price="")
        entry = await found.account.submitter.submit(verified(buys, "buys"))
        assert found.venue.sends == {order.key: 1}
        assert entry.reject_reason == orders_pb2.REJECT_REASON_PRICE

    run(scenario())
