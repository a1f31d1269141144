"""Requests of models: nothing is sent before another caller has confirmed them."""

import asyncio
from dataclasses import replace

import pytest
from venuemesh.events.v1 import risk_pb2
from venuemesh.inspector.v1 import inspector_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from core.inspector import proposals
from core.inspector.proposals import CONFIRMED, DECLINED, EXPIRED, PENDING
from core.inspector.submissions import TAKEN
from core.inspector.tests.rig import mode
from core.inspector.tests.test_manual_orders import HERE, LENA, OTTO, cancel, limit, place
from kit.base.access.roles import Role, with_implied
from kit.base.access.tokens import MODEL, Caller
from kit.base.errors import (
    BadRequest,
    CallerLimited,
    OtherCallerNeeded,
    ProposalEnded,
    RequestIdReused,
    RoleMissing,
)
from tests.support.waiting import eventually, until

ROBOT = Caller("robot", with_implied([Role.TRADER]), "t-1", "t-1", kind=MODEL)
ROBOT_WITHOUT_KIND = replace(ROBOT, kind="")


@pytest.fixture
async def manual(rig):
    process = await rig.start()
    await until(lambda: process.active.is_active)
    return process.manual


async def states(rig):
    return [one.state for one in await rig.payloads("proposal_changed")]


async def test_nothing_is_sent_before_another_caller_confirms(rig, manual):
    answer = await manual.submit(place(), ROBOT)
    assert answer.proposal.state == PENDING
    assert (answer.HasField("verdict"), answer.HasField("submitted")) == (False, False)
    assert [one.request_id for one in await manual.waiting()] == ["r1"]
    (proposed,) = await rig.events()
    assert proposed.proposal_changed.requested.caller == "robot"
    assert rig.venue.made == []

    confirmed = await manual.confirm("r1", LENA)
    assert confirmed.submitted.outcome == TAKEN
    assert confirmed.lifecycle_id == answer.lifecycle_id
    assert await manual.waiting() == []
    assert len(rig.venue.made) == 1
    first, ended, asked, given, _ = await rig.events()
    assert list(ended.cause_ids) == [first.event_id] == [ended.lifecycle_id]
    assert (ended.proposal_changed.state, ended.proposal_changed.decided_by) == (CONFIRMED, "lena")
    assert list(asked.cause_ids) == [ended.event_id]
    requested = asked.order_requested
    assert (requested.caller, requested.confirmed_by) == ("robot", "lena")
    assert asked.event_id == asked.lifecycle_id == answer.lifecycle_id
    assert list(given.cause_ids) == [asked.event_id]


async def test_the_model_sees_what_has_become_of_it_by_asking_again(rig, manual):
    first = await manual.submit(place(), ROBOT)
    assert await manual.submit(place(), ROBOT) == first
    assert await states(rig) == [PENDING]
    confirmed = await manual.confirm("r1", LENA)
    assert await manual.submit(place(), ROBOT) == confirmed
    assert len(rig.venue.made) == 1


async def test_a_confirmation_is_done_once_also_after_a_kill(rig, manual):
    await manual.submit(place(), ROBOT)
    one, two = await asyncio.gather(*(manual.confirm("r1", LENA) for _ in range(2)))
    assert one == two
    await rig.kill()
    process = await rig.start()
    await until(lambda: process.active.is_active)
    assert await process.manual.confirm("r1", LENA) == one
    assert len(rig.venue.made) == 1
    assert await states(rig) == [PENDING, CONFIRMED]


async def test_a_proposal_survives_a_kill(rig, manual):
    await manual.submit(place(), ROBOT)
    await rig.kill()
    process = await rig.start()
    await until(lambda: process.active.is_active)
    assert (await process.manual.confirm("r1", LENA)).submitted.outcome == TAKEN


@pytest.mark.parametrize(
    "caller",
    [
        ROBOT,
        # Who proposed it, with another token and without the kind of a model.
        replace(ROBOT_WITHOUT_KIND, token_id="t-2", first_token_id="t-2"),
        # The same token, or one that was renewed from it, whatever it says.
        replace(ROBOT_WITHOUT_KIND, name="other", token_id="t-9"),
        Caller("robot-2", LENA.roles, "t-3", "t-3", kind=MODEL),
    ],
)
async def test_neither_a_model_nor_who_proposed_it_confirms(rig, manual, caller):
    await manual.submit(place(), ROBOT)
    with pytest.raises(OtherCallerNeeded):
        await manual.confirm("r1", caller)
    assert await states(rig) == [PENDING]
    assert rig.venue.made == []


async def test_an_operator_confirms_what_an_operator_may_do(rig, manual):
    order = (await manual.submit(place("r0"), LENA)).submitted.orders[0]
    await manual.submit(place("r1"), ROBOT)
    with pytest.raises(RoleMissing):
        await manual.confirm("r1", OTTO)
    await manual.submit(cancel(order, "c1"), ROBOT)
    answer = await manual.confirm("c1", OTTO)
    assert (answer.verdict.is_reduction, answer.submitted.outcome) == (True, TAKEN)
    assert [one.request_id for one in await manual.waiting()] == ["r1"]


async def test_limits_and_modes_are_those_of_the_confirmation(rig, manual):
    await manual.submit(place(), ROBOT)
    await rig.process.changes.set(mode(risk_pb2.TRADING_MODE_HALTED), "lena")
    answer = await manual.confirm("r1", LENA)
    assert answer.verdict.verdict == risk_pb2.VERDICT_STAND_DOWN
    assert rig.venue.made == []


async def test_a_declined_proposal_has_no_effect(rig, manual):
    await manual.submit(place(), ROBOT)
    declined = await manual.decline("r1", "too large", LENA)
    assert (declined.state, declined.decided_by, declined.reason) == (DECLINED, "lena", "too large")
    assert await manual.decline("r1", "again", OTTO) == declined
    with pytest.raises(ProposalEnded, match="is DECLINED by lena"):
        await manual.confirm("r1", LENA)
    seen = (await manual.submit(place(), ROBOT)).proposal
    assert (seen.state, seen.reason) == (DECLINED, "too large")
    assert await states(rig) == [PENDING, DECLINED]
    assert rig.venue.made == []


async def test_a_confirmed_proposal_cannot_be_declined(rig, manual):
    await manual.submit(place(), ROBOT)
    await manual.confirm("r1", LENA)
    with pytest.raises(ProposalEnded, match="is CONFIRMED by lena"):
        await manual.decline("r1", "", LENA)


async def test_an_unconfirmed_proposal_expires(rig, manual):
    await manual.submit(place(), ROBOT)
    rig.clock.now_ns += rig.proposal_seconds * 10**9

    async def is_expired():
        return await states(rig) == [PENDING, EXPIRED]

    await eventually(is_expired)
    with pytest.raises(ProposalEnded, match="is EXPIRED"):
        await manual.confirm("r1", LENA)
    assert rig.venue.made == []


async def test_a_confirmation_that_comes_too_late_ends_the_proposal(rig, manual):
    await manual.submit(place(), ROBOT)
    await rig.kill()
    process = await rig.start()
    await until(lambda: process.active.is_active)
    rig.clock.now_ns += rig.proposal_seconds * 10**9
    with pytest.raises(ProposalEnded):
        await process.manual.confirm("r1", LENA)
    assert await states(rig) == [PENDING, EXPIRED]


@pytest.mark.parametrize("caller", [ROBOT, ROBOT_WITHOUT_KIND, LENA])
async def test_the_id_of_a_proposal_is_of_one_content_and_one_caller(rig, manual, caller):
    await manual.submit(place(), ROBOT)
    content = limit() if caller is LENA else limit("0.02")
    with pytest.raises(RequestIdReused):
        await manual.submit(place(content=content), caller)
    await manual.submit(place("r2"), LENA)
    with pytest.raises(RequestIdReused):
        await manual.submit(place("r2"), ROBOT)


async def test_the_same_request_without_the_kind_of_a_model_is_still_a_proposal(rig, manual):
    await manual.submit(place(), ROBOT)
    answer = await manual.submit(place(), ROBOT_WITHOUT_KIND)
    assert answer.proposal.state == PENDING
    assert rig.venue.made == []


@pytest.mark.parametrize(
    ("error", "request_", "caller"),
    [
        (RoleMissing, place(), replace(ROBOT, roles=with_implied([Role.VIEWER]))),
        (RoleMissing, place(), replace(ROBOT, roles=with_implied([Role.OPERATOR]))),
        (BadRequest, place("not allowed"), ROBOT),
        (
            BadRequest,
            inspector_pb2.SubmitManualRequest(
                request_id="f1",
                reason="close",
                operation=signed_pb2.OPERATION_FLATTEN,
                content=orders_pb2.OrderContent(**HERE),
            ),
            ROBOT,
        ),
    ],
)
async def test_what_a_model_may_not_propose_is_rejected(rig, manual, error, request_, caller):
    with pytest.raises(error):
        await manual.submit(request_, caller)
    assert await rig.events() == []


@pytest.mark.parametrize("reason", ["", " ", "two\nlines", "\x1b[2Jhidden", "‮reversed"])
async def test_the_reason_of_a_proposal_is_a_line_that_a_person_can_read(rig, manual, reason):
    request = place()
    request.reason = reason
    with pytest.raises(BadRequest) as caught:
        await manual.submit(request, ROBOT)
    assert caught.value.metadata["field"] == "reason"
    assert await rig.events() == []


async def test_names_that_a_person_cannot_see_are_rejected(rig, manual):
    content = limit()
    content.symbol = "BTC\u202eUSDT"
    with pytest.raises(BadRequest, match="cannot see"):
        await manual.submit(place(content=content), ROBOT)
    assert await rig.events() == []


async def test_only_so_many_wait_at_a_time(rig, manual, monkeypatch):
    monkeypatch.setattr(proposals, "PENDING_MAX", 2)
    for name in ("r1", "r2"):
        await manual.submit(place(name), ROBOT)
    with pytest.raises(CallerLimited):
        await manual.submit(place("r3"), ROBOT)
    # Orders that wait keep no cancel away.
    (order,) = (await manual.submit(place("p1"), LENA)).submitted.orders
    for name in ("c1", "c2"):
        assert (await manual.submit(cancel(order, name), ROBOT)).proposal.state == PENDING
    with pytest.raises(CallerLimited):
        await manual.submit(cancel(order, "c3"), ROBOT)
    await manual.decline("r1", "", LENA)
    assert (await manual.submit(place("r3"), ROBOT)).proposal.state == PENDING


async def test_an_unknown_proposal_is_an_error(manual):
    await manual.submit(place(), LENA)
    for call in (manual.confirm("r1", LENA), manual.decline("r9", "", LENA)):
        with pytest.raises(BadRequest, match="no model has proposed"):
            await call
