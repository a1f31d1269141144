"""An account as a whole, at a venue that keeps still."""

import asyncio
import errno

import pytest
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import AccountNotReady, CredentialsRejected, RequestIdReused, StoreUnavailable
from kit.execution.account import DISCONNECTED, READY, REFUSED
from kit.execution.contract import Accepted, OutcomeUnknown, Rejected, VenueOrder
from kit.execution.orders import states
from kit.execution.settings import OrdersSettings
from kit.execution.tests.fake_venue import CAPABILITIES, limit_order
from kit.execution.tests.simulated_process import SETTINGS, amend, run, started, verified, world


def test_a_request_that_is_repeated_is_one_order():
    async def scenario():
        found = await started()
        submitter = found.account.submitter
        twice = [submitter.submit(verified(limit_order(), "r")) for _ in range(5)]
        entries = await asyncio.gather(*twice)
        assert all(entry is entries[0] for entry in entries)
        assert entries[0].state == states.OPEN
        assert await submitter.submit(verified(limit_order(size="2.0"), "r")) is entries[0]
        with pytest.raises(RequestIdReused):
            await submitter.submit(verified(limit_order(size="3"), "r"))
        assert list(found.venue.sends.values()) == [1]
        found.crash()
        found.start()
        await found.ready()
        again = await found.account.submitter.submit(verified(limit_order(), "r"))
        assert again.client_order_id == entries[0].client_order_id
        assert list(found.venue.sends.values()) == [1]

    run(scenario())


def test_a_caller_who_leaves_leaves_the_order():
    async def scenario():
        found = await started()
        task = asyncio.ensure_future(found.account.submitter.submit(verified(limit_order(), "r")))
        await asyncio.sleep(0)
        task.cancel()
        await found.let_pass(1)
        (entry,) = found.account.state.index.orders.values()
        assert entry.state == states.OPEN

    run(scenario())


async def raises(request):
    raise OSError("cable")


async def hangs(request):
    await asyncio.get_running_loop().create_future()


async def unclear(request):
    return OutcomeUnknown("502")


async def duplicate(request):
    return Rejected(orders_pb2.REJECT_REASON_DUPLICATE_ID, "known")


@pytest.mark.parametrize("answer", [raises, hangs, unclear, duplicate])
def test_no_clear_answer_is_unknown_and_is_asked_for(answer):
    async def scenario():
        found = await started()
        found.account.client.verdicts = [answer]
        entry = await found.account.submitter.submit(verified(limit_order(), "r"))
        assert entry.state == states.UNKNOWN
        assert found.account.message().unknown_orders == 1
        began = found.venue.time
        await found.until(lambda: entry.is_final)
        assert (entry.state, entry.reject_reason) == (states.REJECTED, states.NEVER_ARRIVED)
        # Not before all that was under way has arrived and can be found.
        assert found.venue.time - began >= SETTINGS.arrival_s + 2 * CAPABILITIES.lag_s
        assert list(found.venue.sends.values()) == [1]

    run(scenario())


def test_time_counts_from_when_nothing_more_is_sent():
    async def scenario():
        found = await started()
        found.account.client.verdicts = [hangs]
        submitter = found.account.submitter
        placing = asyncio.ensure_future(submitter.submit(verified(limit_order(), "r")))
        await found.let_pass(0.1)
        (entry,) = found.account.state.index.orders.values()
        # From now on it is asked for, as it is to be cancelled.
        await submitter.cancel(entry)
        assert entry.state == states.SENT
        await placing
        began = found.venue.time
        assert entry.state == states.UNKNOWN
        await found.until(lambda: entry.is_final)
        assert found.venue.time - began >= SETTINGS.arrival_s + 2 * CAPABILITIES.lag_s

    run(scenario())


def test_as_long_as_the_venue_does_not_answer_it_stays_unknown():
    async def scenario():
        found = await started()
        found.account.client.verdicts = [unclear]
        entry = await found.account.submitter.submit(verified(limit_order(), "r"))
        found.account.client.failures = 10_000
        await found.let_pass(3600)
        assert entry.state == states.UNKNOWN
        found.account.client.failures = 0
        await found.until(lambda: entry.is_final)
        assert entry.reject_reason == states.NEVER_ARRIVED

    run(scenario())


def test_a_refusal_is_told():
    async def scenario():
        found = await started()

        async def refuse(request):
            return Rejected(orders_pb2.REJECT_REASON_WOULD_TAKE, "would take")

        found.account.client.verdicts = [refuse]
        entry = await found.account.submitter.submit(verified(limit_order(), "r"))
        assert entry.state == states.REJECTED
        assert (entry.reject_reason, entry.detail) == (
            orders_pb2.REJECT_REASON_WOULD_TAKE,
            "would take",
        )

    run(scenario())


def test_without_a_disk_nothing_is_sent_but_cancels_are():
    async def scenario():
        found = await started()
        submitter = found.account.submitter
        entry = await submitter.submit(verified(limit_order(), "r"))
        found.disk.error = OSError(errno.ENOSPC, "No space left on device")
        with pytest.raises(StoreUnavailable):
            await submitter.submit(verified(limit_order(), "s"))
        assert len(found.account.state.index.orders) == 1
        assert len(found.venue.sends) == 1
        await submitter.cancel(entry)
        assert entry.state == states.CANCELLED
        found.disk.error = None
        await found.let_pass(2)
        assert (await submitter.submit(verified(limit_order(), "s"))).state == states.OPEN
        found.crash()
        found.start()
        await found.ready()
        assert len(found.account.state.index.orders) == 2

    run(scenario())


def test_a_disk_that_is_late_holds_back_an_order_whose_approval_has_ended():
    async def scenario():
        found = await started()
        slow = found.offload

        async def slower(work):
            await found.let_pass(2)
            await slow(work)

        found.account.journal._bytes._offload = slower
        ends_ns = found.clock.time_ns() + NANOSECONDS_PER_SECOND
        entry = await found.account.submitter.submit(verified(limit_order(), "r", ends_ns))
        assert entry.state == states.REJECTED
        assert not found.venue.sends

    run(scenario())


def test_rights_that_are_not_needed_are_refused():
    async def scenario():
        found = world()
        found.start()
        found.account.client.rights = ["withdraw"]
        await found.until(lambda: found.account.readiness.state == REFUSED)
        with pytest.raises(AccountNotReady, match="not needed: withdraw"):
            found.account.check_ready()
        allowed = OrdersSettings(withdraw_allowed=("fake/main",))
        found = world(settings=allowed)
        found.start()
        found.account.client.rights = ["withdraw"]
        await found.ready()
        assert found.account.readiness.state == READY

    run(scenario())


def test_a_stream_that_is_refused_takes_no_orders():
    async def scenario():
        found = await started()
        follow = found.account.client.follow

        async def refused():
            raise CredentialsRejected("expired", account="main", detail="expired")
            yield

        found.account.client.follow = refused
        found.account.client.events.put_nowait("nonsense")
        found.account._apply = crash
        await found.until(lambda: found.account.readiness.state == REFUSED)
        await found.let_pass(30)
        assert found.account.readiness.state == REFUSED
        found.account.client.follow = follow
        await found.ready()

    run(scenario())


def crash(event):
    raise ValueError(event)


def test_a_venue_that_is_away_is_tried_again():
    async def scenario():
        found = world()
        found.start()
        found.account.client.failures = 5
        await found.until(lambda: found.account.readiness.state == DISCONNECTED)
        await found.ready()
        assert found.account.readiness.state == READY

    run(scenario())


def test_amendments_are_done_once_and_known_again():
    async def scenario():
        found = await started()
        amender = found.account.amender
        entry = await found.account.submitter.submit(verified(limit_order(), "r"))
        wanted = limit_order(size="3", price="99")
        await amend(amender, entry, wanted, "a")
        assert (entry.size, entry.price) == (3, 99)
        await amend(amender, entry, wanted, "a")
        with pytest.raises(RequestIdReused):
            await amend(amender, entry, limit_order(size="4"), "a")
        with pytest.raises(RequestIdReused):
            await found.account.submitter.submit(verified(limit_order(), "a"))
        found.crash()
        found.start()
        await found.ready()
        again = found.account.state.index.orders[entry.key]
        await found.until(lambda: (again.size, again.price) == (3, 99), 2)
        assert set(again.amendments) == {"a"}

    run(scenario())


def test_an_acknowledgement_is_not_a_state():
    async def scenario():
        found = await started()
        found.venue.publishes = False

        async def acknowledge(request):
            return Accepted(found.venue.arrive(request).now.venue_order_id)

        found.account.client.verdicts = [acknowledge]
        entry = await found.account.submitter.submit(verified(limit_order(), "r"))
        assert entry.state == states.ACKNOWLEDGED
        await found.until(lambda: entry.state == states.OPEN, 5)
        assert isinstance(found.venue.by_client_id[entry.key].now, VenueOrder)

    run(scenario())
