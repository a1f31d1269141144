"""Entries that were approved before a change of a mode are not taken after it."""

import pytest
from venuemesh.events.v1 import risk_pb2

from core.inspector.submissions import EXPIRED, TAKEN
from core.inspector.tests.rig import DECISIONS, close, decision, mode
from core.inspector.tests.test_lifecycles import HALTED, REDUCE
from core.inspector.tests.test_manual_orders import LENA, place
from tests.support.waiting import eventually, until

ACTIVE = risk_pb2.TRADING_MODE_ACTIVE


async def approve_without_an_answer(rig):
    """An entry is approved, and its calls get lost or arrive late."""
    rig.venue.faults, rig.venue.always = ["late"], {"place": "lost"}
    await rig.put(DECISIONS, decision(1))
    await until(lambda: rig.venue.late)


async def test_entry_that_was_approved_before_arrives_in_vain(rig):
    process = await rig.start()
    await approve_without_an_answer(rig)
    state = await process.changes.set(mode(HALTED, "strategy:ema_cross"), "lena")
    assert list(state.unfenced_accounts) == []
    rig.venue.arrive_late()
    rig.expire_approvals()
    (outcome,) = await rig.until_outcomes(1)
    assert outcome.outcome == EXPIRED
    assert rig.venue.made == []


@pytest.mark.parametrize("scope", ["mesh", "venue:binance", "account:binance/paper"])
async def test_account_that_cannot_be_fenced_is_named_and_tried_again(rig, scope):
    process = await rig.start()
    await approve_without_an_answer(rig)
    rig.venue.always["fence"] = "lost"
    state = await process.changes.set(mode(HALTED, scope), "lena")
    assert list(state.unfenced_accounts) == ["binance/paper"]
    await until(lambda: "may still be taken" in process.reasons._meter.status().detail)
    del rig.venue.always["fence"]
    await until(lambda: rig.venue.entry_fence > 0)
    rig.venue.arrive_late()
    rig.expire_approvals()
    (outcome,) = await rig.until_outcomes(1)
    assert outcome.outcome == EXPIRED
    assert rig.venue.made == []
    await until(lambda: "may still be taken" not in process.reasons._meter.status().detail)


async def test_other_process_fences_what_the_one_before_has_not(rig):
    process = await rig.start()
    await approve_without_an_answer(rig)
    rig.venue.always["fence"] = "lost"
    await process.changes.set(mode(HALTED), "lena")
    await rig.kill()
    del rig.venue.always["fence"]
    assert rig.venue.entry_fence == 0
    await rig.start()
    await until(lambda: rig.venue.entry_fence > 0)


@pytest.mark.parametrize("scope", ["strategy:other", "venue:okx", "account:binance/main"])
async def test_mode_of_others_makes_no_entry_void(rig, scope):
    process = await rig.start()
    await approve_without_an_answer(rig)
    state = await process.changes.set(mode(HALTED, scope), "lena")
    assert list(state.unfenced_accounts) == []
    rig.venue.always = {}
    (outcome,) = await rig.until_outcomes(1)
    assert outcome.outcome == TAKEN
    assert "fence" not in rig.venue.calls


async def test_entries_after_the_release_are_taken_and_reductions_always(rig):
    process = await rig.start()
    await approve_without_an_answer(rig)
    await process.changes.set(mode(HALTED), "lena")
    rig.venue.always = {}
    rig.expire_approvals()
    await rig.until_outcomes(1)
    await process.changes.set(mode(ACTIVE), "lena")
    await rig.put(DECISIONS, decision(2, size="1", reference_price="100"))
    await rig.until_outcomes(2)
    await process.changes.set(mode(HALTED), "lena")
    await rig.put(DECISIONS, decision(3, REDUCE, reduce_fraction="0.5"))
    await rig.until_outcomes(4)
    await rig.put(DECISIONS, close(4))
    await rig.until_flat()
    numbers = {
        one.entry_fence > 0: given.is_reduction
        for given in await rig.verdicts()
        for one in given.orders
    }
    assert numbers == {True: False, False: True}


async def test_entry_in_flight_ends_with_its_approval_while_no_inspector_runs(rig):
    await rig.start()
    await approve_without_an_answer(rig)
    await rig.kill()
    rig.expire_approvals()
    rig.venue.arrive_late()
    assert rig.venue.made == []


async def test_mode_holds_for_the_first_verdict_after_a_kill(rig):
    process = await rig.start()
    await until(lambda: process.active.is_active)
    await process.changes.set(mode(HALTED), "lena")
    await rig.kill()
    process = await rig.start(at=25)
    await rig.put(DECISIONS, decision(1), close(2))
    # It dies on the way; the next one gives the verdicts, in the same mode.
    await until(process.points.reached.is_set)
    await rig.kill()
    await rig.start()

    async def are_given():
        return len(await rig.verdicts()) == 2

    await eventually(are_given)
    entry, reduction = await rig.verdicts()
    assert (entry.mode, reduction.is_reduction) == (HALTED, True)
    assert not entry.orders


async def test_entry_of_a_person_has_a_number(rig):
    process = await rig.start()
    await until(lambda: process.active.is_active)
    answer = await process.manual.submit(place(), LENA)
    assert [one.entry_fence for one in answer.verdict.orders] == [1]
