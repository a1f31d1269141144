"""The registry of scoring models: which one is in force, since when, by whom and why."""

import pytest
from venuemesh.advisor.v1 import scoring_models_pb2 as registry_pb2
from venuemesh.events.v1 import event_pb2, scoring_models_pb2

from core.advisor import scoring_model_store
from core.advisor.learned_models import StoredModels
from core.advisor.scoring.models import model_hash
from core.advisor.scoring.tests.entries import assigned_model
from core.advisor.scoring_model_changes import SHADOWS_MAX, set_scoring_model
from core.advisor.scoring_model_store import IN_FORCE, RETIRED, SHADOW
from core.advisor.tests.examples import signal
from kit.base.errors import BadRequest
from kit.events.tests.rig import rig_for
from tests.support.manual_clock import ManualClock

DECISIONS = event_pb2.EVENT_STREAM_DECISIONS
CLOCK = ManualClock()


def model(intercept: float = 0.5, **fields) -> scoring_models_pb2.ScoringModel:
    found = assigned_model(intercept=intercept, **fields).model
    found.model_id = model_hash(found)
    return found


@pytest.fixture
async def rig(valkey_url, postgres_url):
    async with rig_for(valkey_url, postgres_url) as rig:
        yield rig


async def assign(rig, model, use, reason="it predicts better", caller="alice"):
    assigned = scoring_models_pb2.AssignedScoringModel(model=model, use=use)
    request = registry_pb2.SetScoringModelRequest(assigned=assigned, reason=reason)
    CLOCK.now_ns += 1
    return await set_scoring_model(rig.database, request, caller, CLOCK)


async def used(rig, strategy="ema_cross"):
    """The ids of the models of a decision, with their use."""
    (found,) = await StoredModels(rig.database).load([signal(strategy=strategy)])
    return {one.model.model_id: one.use for one in found.scoring_models}


async def events(rig):
    return [one.event() for one in await rig.stored(DECISIONS)]


async def test_a_model_in_force_replaces_the_one_before_until_it_is_rolled_back(rig):
    old, new = model(0.1), model(0.2)
    assert not (await assign(rig, old, IN_FORCE)).replaced_model_id
    assert (await assign(rig, new, IN_FORCE, caller="bob")).replaced_model_id == old.model_id
    assert await used(rig) == {new.model_id: IN_FORCE}
    assert (await assign(rig, old, IN_FORCE)).replaced_model_id == new.model_id
    assert await used(rig) == {old.model_id: IN_FORCE}
    assert await used(rig, "other") == {}
    async with rig.database.reading() as connection:
        found = await scoring_model_store.load_all(connection, "")
    uses = {one.changed.assigned.model.model_id: one.changed.assigned.use for one in found}
    assert uses == {old.model_id: IN_FORCE, new.model_id: RETIRED}


async def test_each_change_is_an_event_with_caller_reason_and_report(rig):
    first = model()
    await assign(rig, first, SHADOW)
    await assign(rig, first, RETIRED, "it has lost", caller="bob")
    one, other = (event.scoring_model_changed for event in await events(rig))
    assert (one.assigned.use, one.caller, one.reason) == (SHADOW, "alice", "it predicts better")
    assert (other.assigned.use, other.caller, other.reason) == (RETIRED, "bob", "it has lost")
    assert one.assigned.model == other.assigned.model == first
    assert one.assigned.model.report.brier_skill > 0
    assert await used(rig) == {}


async def test_a_strategy_has_one_model_in_force_and_a_few_shadows(rig):
    await assign(rig, model(0.0), IN_FORCE)
    for number in range(SHADOWS_MAX):
        await assign(rig, model(1.0 + number), SHADOW)
    # The use of a known one may be stated again.
    await assign(rig, model(1.0), SHADOW)
    with pytest.raises(BadRequest, match=f"at most {SHADOWS_MAX} shadows"):
        await assign(rig, model(9.0), SHADOW)
    assert len(await used(rig)) == 1 + SHADOWS_MAX


def without_skill():
    found = model()
    found.report.brier_skill = 0.0
    found.model_id = model_hash(found)
    return found


def without_strategy():
    found = model()
    found.strategy = ""
    found.model_id = model_hash(found)
    return found


@pytest.mark.parametrize(
    ("given", "use", "reason", "text"),
    [
        (model(feature_set="entry/0"), IN_FORCE, "why", "'entry/0'; allowed is 'entry/1'"),
        (model(feature_set="entry/0"), SHADOW, "why", "'entry/0'; allowed is 'entry/1'"),
        (assigned_model(intercept=7.0).model, IN_FORCE, "why", "was changed"),
        (without_skill(), IN_FORCE, "why", "brier_skill is '0'; allowed is above 0"),
        (without_strategy(), IN_FORCE, "why", "the name of a strategy"),
        (model(), IN_FORCE, " ", "why its use changes"),
        (model(), 0, "why", "IN_FORCE, SHADOW or RETIRED"),
    ],
    ids=["other set", "other set as shadow", "changed", "no skill", "strategy", "reason", "use"],
)
async def test_what_cannot_be_used_is_refused_and_changes_nothing(rig, given, use, reason, text):
    with pytest.raises(BadRequest, match=text):
        await assign(rig, given, use, reason)
    assert await used(rig) == {}
    assert await events(rig) == []


async def test_a_model_of_an_earlier_version_can_be_retired(rig):
    await assign(rig, model(feature_set="entry/0"), RETIRED)
    assert await used(rig) == {}
