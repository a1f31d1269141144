"""Several orders in one request: each has its own answer, and is on disk before one is sent."""

import pytest
from venuemesh.common.v1 import errors_pb2, types_pb2
from venuemesh.tradeflow.v1 import batches_pb2, orders_pb2, signed_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import BadRequest
from kit.base.request_budget import Priority
from kit.execution.batches import ORDERS_MAX
from kit.execution.client_order_ids import client_order_id
from kit.execution.contract import RequestRejected
from kit.execution.orders import order_states
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.order_groups import SIGNER, WHERE, approved, flow
from kit.execution.tests.simulated_process import SPOT, Prices, World, run, world

SELL = types_pb2.SIDE_SELL
STORE = errors_pb2.ERROR_REASON_STORE_UNAVAILABLE


async def trading():
    """A world whose account is ready, with prices."""
    found = world()
    found.prices = Prices()
    found.start()
    await found.ready()
    return found


def contents(count):
    return {f"r{number}": limit_order(price=str(100 + number)) for number in range(count)}


async def place(found, wanted):
    request = batches_pb2.PlaceOrdersRequest(approved=approved(found, wanted), **WHERE)
    return list((await flow(found).PlaceOrders(request, None)).results)


async def cancel(found, *cancels):
    request = batches_pb2.CancelOrdersRequest(orders=cancels, **WHERE)
    return list((await flow(found).CancelOrders(request, None)).results)


def states(results):
    return [one.order.state for one in results]


def keys(names):
    return [client_order_id("fake", "main", name) for name in names]


def test_all_orders_are_on_disk_by_one_sync_before_the_first_is_sent():
    async def scenario():
        found = await trading()
        syncs, at_sending = [], []
        write, send = found.disk.write, found.venue.client.place

        def noted(position, data, *, sync):
            syncs.append(sync)
            write(position, data, sync=sync)

        async def sent(request, priority=Priority.NEW):
            at_sending.append((len(syncs), bytes(found.disk.content)))
            return await send(request, priority)

        found.disk.write, found.venue.client.place = noted, sent
        wanted = contents(ORDERS_MAX)
        results = await place(found, wanted)
        assert states(results) == [orders_pb2.ORDER_STATE_OPEN] * ORDERS_MAX
        assert [one.order.client_order_id for one in results] == keys(wanted)
        count, on_disk = at_sending[0]
        assert (count, syncs[0]) == (1, True)
        assert all(key.encode() in on_disk for key in keys(wanted))
        assert list(found.venue.sends) == keys(wanted)

    run(scenario())


def test_error_of_one_order_does_not_affect_the_others():
    async def scenario():
        found = await trading()
        wanted = contents(4)
        wanted["r1"].size = "0"
        wanted["r2"].account = "other"

        async def refused(request):
            return RequestRejected(orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS, "too little")

        found.venue.client.verdicts.append(refused)
        first, second, third, fourth = await place(found, wanted)
        assert first.order.reject_reason == orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS
        assert second.error.reason == errors_pb2.ERROR_REASON_INVALID_ORDER
        assert second.error.metadata["field"] == "size"
        assert third.error.reason == errors_pb2.ERROR_REASON_APPROVAL_REFUSED
        assert fourth.order.state == orders_pb2.ORDER_STATE_OPEN

    run(scenario())


def test_repeated_request_returns_the_same_orders():
    async def scenario():
        found = await trading()
        wanted = contents(3)
        before = await place(found, wanted)
        wanted["r9"] = limit_order()
        after = await place(found, wanted)
        assert after[:3] == before
        assert set(found.venue.sends.values()) == {1}
        assert len(found.venue.sends) == 4

    run(scenario())


def test_only_the_order_whose_approval_ends_meanwhile_is_not_sent():
    async def scenario():
        found = await trading()
        ends_ns = found.clock.time_ns() + NANOSECONDS_PER_SECOND
        requests = approved(found, contents(2))
        requests[0] = SIGNER.approve(requests[0].content, requests[0].request_id, ends_ns)
        offload = found.account.journal._bytes._offload

        async def slow(work):
            await found.let_pass(2)
            await offload(work)

        found.account.journal._bytes._offload = slow
        request = batches_pb2.PlaceOrdersRequest(approved=requests, **WHERE)
        results = (await flow(found).PlaceOrders(request, None)).results
        assert states(results) == [orders_pb2.ORDER_STATE_REJECTED, orders_pb2.ORDER_STATE_OPEN]

    run(scenario())


def test_nothing_is_sent_when_the_disk_is_full():
    async def scenario():
        found = await trading()
        found.disk.fail(OSError(28, "no space"))
        results = await place(found, contents(3))
        assert [one.error.reason for one in results] == [STORE] * 3
        assert not found.venue.sends
        assert not found.account.state.index.open

    run(scenario())


@pytest.mark.parametrize("count", [0, ORDERS_MAX + 1])
def test_number_of_orders_is_bounded(count):
    async def scenario():
        found = await trading()
        with pytest.raises(BadRequest, match="allowed is 1 to 20 orders"):
            await place(found, contents(count))
        with pytest.raises(BadRequest, match="allowed is 1 to 20 orders"):
            await cancel(found, *[batches_pb2.OrderCancel()] * count)
        assert not found.venue.sends

    run(scenario())


def test_each_order_is_cancelled_with_its_own_approval():
    async def scenario():
        found = await trading()
        wanted = contents(3)
        wanted["r1"].reduce_only = wanted["r2"].reduce_only = True
        await place(found, wanted)
        ends_ns = found.clock.time_ns() + NANOSECONDS_PER_SECOND
        ids = keys(wanted)
        content = orders_pb2.OrderContent(symbol="BTCUSDT", **WHERE)
        allowed = SIGNER.approve(content, "c", ends_ns, signed_pb2.OPERATION_CANCEL, ids[2])
        results = await cancel(
            found,
            batches_pb2.OrderCancel(client_order_id=ids[0]),
            batches_pb2.OrderCancel(client_order_id=ids[1]),
            batches_pb2.OrderCancel(client_order_id=ids[2], approved=allowed),
            batches_pb2.OrderCancel(client_order_id="unknown"),
        )
        cancelled = orders_pb2.ORDER_STATE_CANCELLED
        assert states(results) == [cancelled, 0, cancelled, 0]
        assert results[1].error.reason == errors_pb2.ERROR_REASON_APPROVAL_REFUSED
        assert results[3].error.reason == errors_pb2.ERROR_REASON_UNKNOWN_ORDER

    run(scenario())


@pytest.mark.parametrize("dies_at", range(1, 160, 6))
def test_process_that_dies_sends_each_order_at_most_once(dies_at):
    async def scenario():
        found = World(dies_at, unreliable=False)
        found.instruments["BTCUSDT"], found.prices = SPOT, Prices()
        found.start()
        await found.ready()
        found.process.dies_at = found.process.steps + dies_at
        wanted = contents(5)
        await found.do(place(found, wanted))
        if not found.process.is_dead:
            found.process.die()
        found.crash()
        found.start()
        await found.ready()
        index = found.account.state.index
        orders = index.orders.values()
        await found.until(lambda: all(one.state != order_states.UNKNOWN for one in orders))
        assert set(found.venue.sends.values()) <= {1}
        for key in found.venue.by_client_id:
            assert index.orders[key].state == order_states.OPEN
        for order in orders:
            is_there = order.key in found.venue.by_client_id
            assert order.state == (order_states.OPEN if is_there else order_states.REJECTED)

    run(scenario())
