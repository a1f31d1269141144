"""An account as a whole, at a reliable venue."""

import asyncio
import errno
from dataclasses import replace

import pytest
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import (
    AccountNotReady,
    CredentialsRejected,
    RateLimited,
    RequestIdReused,
    StoreUnavailable,
    VenueUnavailable,
)
from kit.execution.contract import OutcomeUnknown, RequestAccepted, RequestRejected, VenueOrder
from kit.execution.orders import order_states
from kit.execution.readiness import DISCONNECTED, READY, REFUSED
from kit.execution.settings import OrdersSettings
from kit.execution.tests.fake_venue import CAPABILITIES, limit_order
from kit.execution.tests.simulated_process import (
    SETTINGS,
    amend,
    run,
    started,
    verified,
    world,
)


def test_repeated_request_is_one_order():
    async def scenario():
        found = await started()
        submitter = found.account.submitter
        twice = [submitter.submit(verified(limit_order(), "r")) for _ in range(5)]
        orders = await asyncio.gather(*twice)
        assert all(order is orders[0] for order in orders)
        assert orders[0].state == order_states.OPEN
        assert await submitter.submit(verified(limit_order(size="2.0"), "r")) is orders[0]
        with pytest.raises(RequestIdReused):
            await submitter.submit(verified(limit_order(size="3"), "r"))
        assert list(found.venue.sends.values()) == [1]
        found.crash()
        found.start()
        await found.ready()
        again = await found.account.submitter.submit(verified(limit_order(), "r"))
        assert again.client_order_id == orders[0].client_order_id
        assert list(found.venue.sends.values()) == [1]

    run(scenario())


def test_order_is_placed_when_its_caller_leaves():
    async def scenario():
        found = await started()
        task = asyncio.ensure_future(found.account.submitter.submit(verified(limit_order(), "r")))
        await asyncio.sleep(0)
        task.cancel()
        await found.let_pass(1)
        (order,) = found.account.state.index.orders.values()
        assert order.state == order_states.OPEN

    run(scenario())


def test_all_known_orders_are_cancelled_while_the_venue_answers_no_questions():
    async def scenario():
        found = await started()
        for name in ("a", "b"):
            await found.account.submitter.submit(verified(limit_order(), name))

        async def closed(symbol=""):
            raise RateLimited("closed", venue="somewhere", retry_after_ms=60_000)

        async def unknown(symbol=""):
            return OutcomeUnknown("the open orders are not known")

        client = found.account.client
        client.cancel_all, client.open_orders = unknown, closed
        with pytest.raises(VenueUnavailable):
            await found.account.submitter.cancel_all()
        assert found.venue.calls["cancel"] == 2
        await found.let_pass(1)
        assert all(order.is_final for order in found.account.state.index.orders.values())

    run(scenario())


def test_cancel_of_all_is_not_confirmed_while_it_is_not_on_disk():
    async def scenario():
        found = await started()
        stop = limit_order(type=orders_pb2.ORDER_TYPE_STOP, price="", stop_price="150")
        order = await found.account.submitter.submit(verified(stop, "stop"), held_here=True)
        found.disk.fail(OSError(28, "full"))
        with pytest.raises(StoreUnavailable):
            await found.account.submitter.cancel_all()
        assert order.state == order_states.CANCELLED
        with pytest.raises(StoreUnavailable):
            await found.account.submitter.cancel_all()
        found.disk.fail(None)
        await found.let_pass(2)
        assert await found.account.submitter.cancel_all() == []
        found.lose_power()
        found.start()
        await found.ready()
        assert found.account.state.index.orders[order.key].state == order_states.CANCELLED

    run(scenario())


async def raises(request):
    raise OSError("cable")


async def hangs(request):
    await asyncio.get_running_loop().create_future()


async def unclear(request):
    return OutcomeUnknown("502")


async def duplicate(request):
    return RequestRejected(orders_pb2.REJECT_REASON_DUPLICATE_ID, "known")


@pytest.mark.parametrize("answer", [raises, hangs, unclear, duplicate])
def test_order_without_a_verdict_is_unknown_and_queried(answer):
    async def scenario():
        found = await started()
        found.account.client.verdicts = [answer]
        order = await found.account.submitter.submit(verified(limit_order(), "r"))
        assert order.state == order_states.UNKNOWN
        assert found.account.message().unknown_orders == 1
        began = found.venue.time
        await found.until(lambda: order.is_final)
        assert (order.state, order.reject_reason) == (
            order_states.REJECTED,
            order_states.NEVER_ARRIVED,
        )
        # Not before all that was under way has arrived and can be found.
        assert found.venue.time - began >= SETTINGS.arrival_s + 2 * CAPABILITIES.lag_s
        assert list(found.venue.sends.values()) == [1]

    run(scenario())


def test_not_found_counts_only_after_the_call_has_ended():
    async def scenario():
        found = await started()
        found.account.client.verdicts = [hangs]
        submitter = found.account.submitter
        placing = asyncio.ensure_future(submitter.submit(verified(limit_order(), "r")))
        await found.let_pass(0.1)
        (order,) = found.account.state.index.orders.values()
        # From now on it is asked for, as it is to be cancelled.
        await submitter.cancel(order)
        assert order.state == order_states.SENT
        await placing
        began = found.venue.time
        assert order.state == order_states.UNKNOWN
        await found.until(lambda: order.is_final)
        assert found.venue.time - began >= SETTINGS.arrival_s + 2 * CAPABILITIES.lag_s

    run(scenario())


def test_order_stays_unknown_while_the_venue_does_not_answer():
    async def scenario():
        found = await started()
        found.account.client.verdicts = [unclear]
        order = await found.account.submitter.submit(verified(limit_order(), "r"))
        found.account.client.failures = 10_000
        await found.let_pass(3600)
        assert order.state == order_states.UNKNOWN
        found.account.client.failures = 0
        await found.until(lambda: order.is_final)
        assert order.reject_reason == order_states.NEVER_ARRIVED

    run(scenario())


def test_rejection_is_reported_with_its_reason():
    async def scenario():
        found = await started()

        async def refuse(request):
            return RequestRejected(orders_pb2.REJECT_REASON_WOULD_TAKE, "would take")

        found.account.client.verdicts = [refuse]
        order = await found.account.submitter.submit(verified(limit_order(), "r"))
        assert order.state == order_states.REJECTED
        assert (order.reject_reason, order.detail) == (
            orders_pb2.REJECT_REASON_WOULD_TAKE,
            "would take",
        )

    run(scenario())


def test_without_a_disk_only_cancels_are_sent():
    async def scenario():
        found = await started()
        submitter = found.account.submitter
        order = await submitter.submit(verified(limit_order(), "r"))
        found.disk.error = OSError(errno.ENOSPC, "No space left on device")
        with pytest.raises(StoreUnavailable):
            await submitter.submit(verified(limit_order(), "s"))
        assert len(found.account.state.index.orders) == 1
        assert len(found.venue.sends) == 1
        await submitter.cancel(order)
        assert order.state == order_states.CANCELLED
        found.disk.error = None
        await found.let_pass(2)
        assert (await submitter.submit(verified(limit_order(), "s"))).state == order_states.OPEN
        found.crash()
        found.start()
        await found.ready()
        assert len(found.account.state.index.orders) == 2

    run(scenario())


def test_order_is_not_sent_when_its_approval_expired_while_writing():
    async def scenario():
        found = await started()
        slow = found.offload

        async def slower(work):
            await found.let_pass(2)
            await slow(work)

        found.account.journal._bytes._offload = slower
        ends_ns = found.clock.time_ns() + NANOSECONDS_PER_SECOND
        order = await found.account.submitter.submit(verified(limit_order(), "r", ends_ns))
        assert order.state == order_states.REJECTED
        assert not found.venue.sends

    run(scenario())


def test_credentials_with_unneeded_rights_are_rejected():
    async def scenario():
        found = world()
        found.venue.configuration = replace(
            found.venue.configuration, excess_permissions=["withdraw"]
        )
        found.start()
        await found.until(lambda: found.account.readiness.state == REFUSED)
        with pytest.raises(AccountNotReady, match="not needed: withdraw"):
            found.account.check_ready()
        allowed = OrdersSettings(withdraw_allowed=("fake/main",))
        found = world(settings=allowed)
        found.venue.configuration = replace(
            found.venue.configuration, excess_permissions=["withdraw"]
        )
        found.start()
        await found.ready()
        assert found.account.readiness.state == READY

    run(scenario())


def test_account_takes_no_orders_while_its_stream_is_rejected():
    async def scenario():
        found = await started()
        follow = found.account.client.follow

        async def refused():
            raise CredentialsRejected("expired", account="main", detail="expired")
            yield

        found.account.client.follow = refused
        found.account.client.events.put_nowait("nonsense")
        found.account.apply = crash
        await found.until(lambda: found.account.readiness.state == REFUSED)
        await found.let_pass(30)
        assert found.account.readiness.state == REFUSED
        found.account.client.follow = follow
        await found.ready()

    run(scenario())


def crash(event):
    raise ValueError(event)


def test_account_reconnects_when_the_venue_is_back():
    async def scenario():
        found = world()
        found.start()
        found.account.client.failures = 5
        await found.until(lambda: found.account.readiness.state == DISCONNECTED)
        await found.ready()
        assert found.account.readiness.state == READY

    run(scenario())


def test_amendment_is_done_once_and_survives_a_restart():
    async def scenario():
        found = await started()
        amender = found.account.amender
        order = await found.account.submitter.submit(verified(limit_order(), "r"))
        wanted = limit_order(size="3", price="99")
        await amend(amender, order, wanted, "a")
        assert (order.size, order.price) == (3, 99)
        await amend(amender, order, wanted, "a")
        with pytest.raises(RequestIdReused):
            await amend(amender, order, limit_order(size="4"), "a")
        with pytest.raises(RequestIdReused):
            await found.account.submitter.submit(verified(limit_order(), "a"))
        found.crash()
        found.start()
        await found.ready()
        again = found.account.state.index.orders[order.key]
        await found.until(lambda: (again.size, again.price) == (3, 99), 2)
        assert set(again.amendments) == {"a"}

    run(scenario())


def test_acknowledged_order_is_queried_until_it_is_open():
    async def scenario():
        found = await started()
        found.venue.publishes = False

        async def acknowledge(request):
            return RequestAccepted(found.venue.arrive(request).now.venue_order_id)

        found.account.client.verdicts = [acknowledge]
        order = await found.account.submitter.submit(verified(limit_order(), "r"))
        assert order.state == order_states.ACKNOWLEDGED
        await found.until(lambda: order.state == order_states.OPEN, 5)
        assert isinstance(found.venue.by_client_id[order.key].now, VenueOrder)

    run(scenario())
