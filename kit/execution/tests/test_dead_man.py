"""All orders are cancelled when the heartbeats of the order authority stop."""

from dataclasses import replace

import pytest

from kit.base.errors import AccountNotReady, VenueUnavailable
from kit.execution.orders import order_states
from kit.execution.tests.fake_venue import CAPABILITIES, limit_order
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
