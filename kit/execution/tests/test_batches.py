"""Several orders in one request: each has its own answer, and is on disk before one is sent."""

import asyncio
from dataclasses import replace

import pytest
from venuemesh.common.v1 import errors_pb2, types_pb2
from venuemesh.tradeflow.v1 import batches_pb2, orders_pb2, signed_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import BadRequest
from kit.base.request_budget import Priority
from kit.execution.batches import ORDERS_MAX
from kit.execution.client_order_ids import client_order_id
from kit.execution.contract import OutcomeUnknown, RequestRejected
from kit.execution.orders import order_states
from kit.execution.tests import simulated_process
from kit.execution.tests.fake_venue import CAPABILITIES, FakeClient, limit_order
from kit.execution.tests.order_groups import SIGNER, WHERE, approved, flow
from kit.execution.tests.simulated_process import SPOT, Prices, World, run, world

SELL = types_pb2.SIDE_SELL
STORE = errors_pb2.ERROR_REASON_STORE_UNAVAILABLE


class BatchClient(FakeClient):
    """A client with calls for several orders. They are used where ``batch_max`` says so."""

    async def place_many(self, requests, priority=Priority.NEW):
        self.venue.calls["place_many"] += 1
        return await asyncio.gather(*[self.place(one, priority) for one in requests])

    async def cancel_many(self, keys):
        self.venue.calls["cancel_many"] += 1
        return await asyncio.gather(*map(self.cancel, keys))


@pytest.fixture(autouse=True)
def batch_client(monkeypatch):
    monkeypatch.setattr(simulated_process, "FakeClient", BatchClient)


async def trading(capabilities=CAPABILITIES):
    """A world whose account is ready, with prices."""
    found = world(capabilities=capabilities)
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


BATCHES = replace(CAPABILITIES, batch_max=3)


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


def test_orders_go_out_in_the_calls_that_the_venue_has_the_protective_ones_first():
    async def scenario():
        found = await trading(BATCHES)
        wanted = contents(5)
        wanted["r3"].reduce_only = True

        async def refused(request):
            return RequestRejected(orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS, "too little")

        async def lost(request):
            return OutcomeUnknown("no row")

        found.venue.client.verdicts.extend([refused, lost])
        results = await place(found, wanted)
        opened = orders_pb2.ORDER_STATE_OPEN
        assert found.venue.calls["place_many"] == 3
        assert list(found.venue.sends) == keys(["r3", "r0", "r1", "r2", "r4"])
        assert found.venue.priorities == [Priority.PROTECT] + [Priority.NEW] * 4
        unknown, rejected = orders_pb2.ORDER_STATE_UNKNOWN, orders_pb2.ORDER_STATE_REJECTED
        assert states(results) == [unknown, opened, opened, rejected, opened]

    run(scenario())


@pytest.mark.parametrize("answer", ["too few", "raises", "never"])
def test_call_without_a_verdict_for_each_order_leaves_all_unknown(answer):
    async def scenario():
        found = await trading(BATCHES)

        async def place_many(requests, priority):
            if answer == "never":
                return await asyncio.get_running_loop().create_future()
            if answer == "raises":
                raise ConnectionResetError("by peer")
            return [OutcomeUnknown("one")]

        found.venue.client.place_many = place_many
        results = await place(found, contents(3))
        assert states(results) == [orders_pb2.ORDER_STATE_UNKNOWN] * 3

    run(scenario())


def test_orders_are_cancelled_in_the_calls_that_the_venue_has():
    async def scenario():
        found = await trading(BATCHES)
        wanted = contents(5)
        await place(found, wanted)
        cancels = [batches_pb2.OrderCancel(client_order_id=one) for one in keys(wanted)]
        results = await cancel(found, *cancels, *cancels[:1])
        assert states(results) == [orders_pb2.ORDER_STATE_CANCELLED] * 6
        assert (found.venue.calls["cancel_many"], found.venue.calls["cancel"]) == (2, 5)

    run(scenario())


def test_what_a_call_for_several_orders_does_not_cancel_is_cancelled_alone():
    async def scenario():
        found = await trading(BATCHES)
        wanted = contents(3)
        await place(found, wanted)

        async def cancel_many(given):
            return [OutcomeUnknown("no row") for _ in given]

        found.venue.client.cancel_many = cancel_many
        cancels = [batches_pb2.OrderCancel(client_order_id=one) for one in keys(wanted)]
        assert states(await cancel(found, *cancels)) == [orders_pb2.ORDER_STATE_CANCELLED] * 3
        assert found.venue.calls["cancel"] == 3

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


@pytest.mark.parametrize("capabilities", [CAPABILITIES, BATCHES])
@pytest.mark.parametrize("dies_at", range(1, 160, 6))
def test_process_that_dies_sends_each_order_at_most_once(dies_at, capabilities):
    async def scenario():
        found = World(dies_at, unreliable=False, capabilities=capabilities)
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


def test_request_is_as_new_as_the_call_however_long_the_rest_of_the_batch_took():
    async def scenario():
        found = await trading(BATCHES)
        called, requests = [], []
        place_many = found.venue.client.place_many

        async def slow():
            called.append(None)
            if len(called) == 3:
                await found.let_pass(10)

        async def sent(given, priority):
            requests.extend(given)
            return await place_many(given, priority)

        found.account.submitter.sender.before_protective = slow
        found.venue.client.place_many = sent
        wanted = contents(3)
        for content in wanted.values():
            content.reduce_only = True
        first, second, third = keys(wanted)
        placing = asyncio.create_task(place(found, wanted))
        await found.until(lambda: len(called) == 3)
        cancelling = asyncio.create_task(
            found.account.submitter.cancel(found.account.state.index.orders[first])
        )
        results = await placing
        await cancelling
        opened = orders_pb2.ORDER_STATE_OPEN
        assert states(results) == [orders_pb2.ORDER_STATE_CANCELLED, opened, opened]
        assert [one.client_order_id for one in requests] == [second, third]
        assert all(one.send_within_s <= 50 for one in requests)

    run(scenario())


def test_batch_that_is_made_twice_and_not_written_shows_no_order():
    async def scenario():
        found = await trading()
        found.disk.fail(OSError(28, "full"))
        wanted = contents(3)
        both = await asyncio.gather(place(found, wanted), place(found, wanted))
        assert [one.error.reason for results in both for one in results] == [STORE] * 6
        assert not found.account.state.index.orders

    run(scenario())
