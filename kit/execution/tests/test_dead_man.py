"""When nobody is at the wheel, all is cancelled."""

from dataclasses import replace

import pytest

from kit.base.errors import AccountNotReady, VenueUnavailable
from kit.execution.orders import states
from kit.execution.tests.fake_venue import CAPABILITIES, limit_order
from kit.execution.tests.simulated_process import heartbeat, run, started, verified


def test_silence_of_the_authority_cancels_all_and_a_heartbeat_ends_it():
    async def scenario():
        found = await started(capabilities=replace(CAPABILITIES, countdown=True))
        account = found.account
        entry = await account.submitter.submit(verified(limit_order(), "r"))
        await found.let_pass(60)
        assert not entry.is_final
        for _ in range(5):
            await account.heartbeat(heartbeat(account, 3))
            await found.let_pass(4)
        assert not entry.is_final
        assert set(found.venue.countdowns) == {15}
        account.client.failures = 3
        await found.until(lambda: entry.is_final, 30)
        assert account.message().dead_man_fired
        with pytest.raises(AccountNotReady, match="heartbeat"):
            account.check_ready()
        await account.heartbeat(heartbeat(account, 3))
        assert not account.message().dead_man_fired
        account.check_ready()

    run(scenario())


def test_a_venue_that_does_not_count_down_is_asked_again_and_the_authority_is_still_heard():
    async def scenario():
        found = await started(capabilities=replace(CAPABILITIES, countdown=True))
        asked = []

        async def refuse(seconds):
            asked.append(seconds)
            raise VenueUnavailable("no", venue="fake", detail="")

        found.account.client.countdown = refuse
        entry = await found.account.submitter.submit(verified(limit_order(), "r"))
        for _ in range(5):
            await found.account.heartbeat(heartbeat(found.account, 3))
            await found.let_pass(4)
        assert 3 <= len(asked) <= 5
        assert not entry.is_final
        await found.until(lambda: entry.is_final, 30)

    run(scenario())


def test_a_restart_knows_that_there_was_an_authority():
    async def scenario():
        found = await started()
        await found.account.heartbeat(heartbeat(found.account, 9))
        entry = await found.account.submitter.submit(verified(limit_order(), "r"))
        found.crash()
        found.start()
        await found.ready()
        assert found.account.verifier.fencing_epoch == 9
        entry = found.account.state.index.orders[entry.key]
        await found.until(lambda: entry.state == states.CANCELLED, 30)

    run(scenario())
