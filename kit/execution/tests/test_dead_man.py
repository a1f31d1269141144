"""All entries are cancelled when the heartbeats of the order authority stop."""

from dataclasses import replace
from decimal import Decimal

import pytest
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import AccountNotReady, StoreUnavailable, VenueUnavailable
from kit.execution.contract import RequestAccepted, VenuePosition
from kit.execution.orders import order_states
from kit.execution.tests.fake_venue import ALL_TYPES, CAPABILITIES, limit_order
from kit.execution.tests.simulated_process import heartbeat, run, started, verified


def test_silent_authority_cancels_all_until_a_heartbeat():
    async def scenario():
        found = await started(capabilities=replace(CAPABILITIES, countdown=True))
        account = found.account
        order = await account.submitter.submit(verified(limit_order(), "r"))
        await found.let_pass(60)
        assert not order.is_final
        for _ in range(5):
            await account.heartbeat(heartbeat(account, 3))
            await found.let_pass(4)
        assert not order.is_final
        assert set(found.venue.countdowns) == {15}
        account.client.failures = 3
        await found.until(lambda: order.is_final, 30)
        assert account.message().dead_man_fired
        assert account.message().dead_man_ms == 5_000
        with pytest.raises(AccountNotReady, match="heartbeat"):
            account.check_ready()
        await account.heartbeat(heartbeat(account, 3))
        assert not account.message().dead_man_fired
        account.check_ready()

    run(scenario())


def test_failed_countdown_is_renewed_while_heartbeats_arrive():
    async def scenario():
        found = await started(capabilities=replace(CAPABILITIES, countdown=True))
        asked = []

        async def refuse(seconds):
            asked.append(seconds)
            raise VenueUnavailable("no", venue="fake", detail="")

        found.account.client.countdown = refuse
        order = await found.account.submitter.submit(verified(limit_order(), "r"))
        for _ in range(5):
            await found.account.heartbeat(heartbeat(found.account, 3))
            await found.let_pass(4)
        assert 3 <= len(asked) <= 5
        assert not order.is_final
        await found.until(lambda: order.is_final, 30)

    run(scenario())


def test_dead_man_switch_is_armed_after_a_restart():
    async def scenario():
        found = await started()
        await found.account.heartbeat(heartbeat(found.account, 9))
        order = await found.account.submitter.submit(verified(limit_order(), "r"))
        found.crash()
        found.start()
        await found.ready()
        assert found.account.verifier.fencing_epoch == 9
        order = found.account.state.index.orders[order.key]
        await found.until(lambda: order.state == order_states.CANCELLED, 30)

    run(scenario())


COUNTDOWN = replace(CAPABILITIES, countdown=True, types=ALL_TYPES)
HOUR_NS = 3600 * NANOSECONDS_PER_SECOND


async def silent_after_one_heartbeat(**venue):
    """A world with an entry and a reduce-only order, whose authority has sent one heartbeat."""
    found = await started(**venue)
    submitter = found.account.submitter
    await found.account.heartbeat(heartbeat(found.account, 9))
    entry = await submitter.submit(verified(limit_order(), "entry"))
    exit_content = limit_order(price="110", reduce_only=True)
    protective = await submitter.submit(verified(exit_content, "exit"))
    return found, entry.key, protective.key


def state_at_venue(found, key):
    return found.venue.by_client_id[key].now.state


def test_restarts_do_not_extend_the_silence():
    async def scenario():
        found, entry, protective = await silent_after_one_heartbeat()
        for _ in range(60):
            await found.let_pass(4)
            if state_at_venue(found, entry) == order_states.CANCELLED:
                break
            found.crash()
            found.start()
        assert found.venue.time < 12
        assert state_at_venue(found, protective) == order_states.OPEN
        assert found.account.message().dead_man_fired

    run(scenario())


def test_restarts_do_not_renew_the_countdown():
    async def scenario():
        found = await started(capabilities=COUNTDOWN)
        await found.account.heartbeat(heartbeat(found.account, 9))
        await found.account.submitter.submit(verified(limit_order(), "entry"))
        await found.let_pass(2)
        assert found.venue.countdowns == [15]
        for _ in range(20):
            found.crash()
            found.start()
            await found.let_pass(4)
        assert found.venue.countdowns == [15]

    run(scenario())


def test_protective_orders_survive_the_silence():
    async def scenario():
        found, entry, protective = await silent_after_one_heartbeat()
        stop = verified(
            limit_order(price="", type=orders_pb2.ORDER_TYPE_STOP, stop_price="90"), "stop"
        )
        stop = (await found.account.submitter.submit(stop, held_here=True)).key
        await found.until(lambda: state_at_venue(found, entry) in order_states.FINAL, 30)
        await found.let_pass(60)
        assert state_at_venue(found, protective) == order_states.OPEN
        orders = found.account.state.index.orders
        assert orders[protective].state == orders[stop].state == order_states.OPEN
        assert not found.venue.calls["cancel_all"]

    run(scenario())


@pytest.mark.parametrize("boot_id", ["first", "second", ""])
@pytest.mark.parametrize("jumped_ns", [-HOUR_NS, 0, HOUR_NS])
def test_clock_that_jumps_during_a_restart_does_not_extend_the_silence(boot_id, jumped_ns):
    async def scenario():
        found, entry, _ = await silent_after_one_heartbeat()
        await found.let_pass(3)
        found.crash()
        found.clock.jumped_ns, found.boot_id = jumped_ns, boot_id
        found.start()
        await found.let_pass(1)
        # Without the old monotonic clock a time before the heartbeat says nothing: it fires.
        is_early = jumped_ns > 0 or (jumped_ns < 0 and boot_id != "first")
        assert found.account.dead_man.has_fired == is_early
        await found.until(lambda: state_at_venue(found, entry) in order_states.FINAL, 4)

    run(scenario())


def test_clock_that_jumps_while_running_changes_nothing():
    async def scenario():
        found, entry, _ = await silent_after_one_heartbeat()
        found.clock.jumped_ns = HOUR_NS
        await found.let_pass(4)
        assert state_at_venue(found, entry) == order_states.OPEN
        found.clock.jumped_ns = -HOUR_NS
        await found.until(lambda: state_at_venue(found, entry) in order_states.FINAL, 4)

    run(scenario())


def test_heartbeat_is_durable_and_cannot_be_replayed_after_a_restart():
    async def scenario():
        found = await started()
        old = heartbeat(found.account, 9)
        await found.account.heartbeat(old)
        found.process.die()
        found.disk.crash(found.random, power=True)
        found.start()
        await found.ready()
        assert found.account.dead_man.last.heartbeat_time_ns == old.time_ns
        await found.let_pass(6)
        await found.account.heartbeat(old)
        assert found.account.dead_man.has_fired
        await found.account.heartbeat(heartbeat(found.account, 9))
        assert not found.account.dead_man.has_fired

    run(scenario())


def test_heartbeat_that_cannot_be_written_does_not_extend_the_time():
    async def scenario():
        found, entry, _ = await silent_after_one_heartbeat()
        found.disk.fail(OSError("no space"))
        await found.let_pass(4)
        with pytest.raises(StoreUnavailable):
            await found.account.heartbeat(heartbeat(found.account, 9))
        await found.until(lambda: state_at_venue(found, entry) in order_states.FINAL, 4)

    run(scenario())


async def beat(found, seconds):
    """Send heartbeats for a time."""
    for _ in range(seconds):
        await found.account.heartbeat(heartbeat(found.account, 9))
        await found.let_pass(1)


def test_countdown_is_ended_before_a_protective_order_is_sent():
    async def scenario():
        found = await started(capabilities=COUNTDOWN)
        await beat(found, 3)
        ends = []

        async def accept(request):
            ends.append(list(found.venue.countdowns))
            return RequestAccepted(found.venue.arrive(request).now.venue_order_id)

        found.account.client.verdicts = [accept]
        content = limit_order(price="", type=orders_pb2.ORDER_TYPE_STOP, stop_price="90")
        await found.account.submitter.submit(verified(content, "stop"))
        assert ends == [[15, 0]]
        await beat(found, 30)
        assert found.venue.countdowns == [15, 0]

    run(scenario())


def test_protective_order_is_sent_when_the_countdown_cannot_be_ended():
    async def scenario():
        found = await started(capabilities=COUNTDOWN)
        await beat(found, 3)
        forward = found.account.client.countdown

        async def hang(seconds):
            await found.let_pass(1000)

        found.account.client.countdown = hang
        content = limit_order(price="", type=orders_pb2.ORDER_TYPE_STOP, stop_price="90")
        order = await found.account.submitter.submit(verified(content, "stop"))
        assert state_at_venue(found, order.key) == order_states.OPEN
        found.account.client.countdown = forward
        await beat(found, 3)
        assert found.venue.countdowns == [15, 0]

    run(scenario())


def test_countdown_is_not_started_while_there_is_a_position():
    async def scenario():
        found = await started(capabilities=replace(COUNTDOWN, has_positions=True))
        found.venue.positions = [VenuePosition("BTCUSDT", Decimal(1))]
        found.venue.deliver(found.venue.positions[0])
        await beat(found, 20)
        assert found.venue.countdowns == []
        found.venue.positions = []
        found.venue.deliver(VenuePosition("BTCUSDT", Decimal(0)))
        await beat(found, 3)
        assert found.venue.countdowns == [15]

    run(scenario())


def test_countdown_is_ended_while_entries_cannot_be_cancelled():
    """A protective order was sent before it could be ended. It must not end with the entries."""

    async def scenario():
        found = await started(capabilities=COUNTDOWN)
        client, submitter = found.account.client, found.account.submitter
        await found.account.heartbeat(heartbeat(found.account, 9))
        entry = await submitter.submit(verified(limit_order(), "entry"))
        await found.let_pass(2)
        assert found.venue.countdowns == [15]
        forward = client.countdown

        async def refuse(*_):
            raise VenueUnavailable("no", venue="fake", detail="")

        client.countdown = client.cancel = client.open_orders = refuse
        await submitter.submit(verified(limit_order(price="110", reduce_only=True), "exit"))
        await found.until(lambda: found.account.message().dead_man_fired)
        client.countdown = forward
        await found.let_pass(2)
        assert found.venue.countdowns[-1] == 0
        assert not entry.is_final

    run(scenario())
