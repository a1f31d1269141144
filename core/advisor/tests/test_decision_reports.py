"""Decisions are listed with their outcomes, explained and repeated from the record."""

from dataclasses import dataclass

import msgspec
import pytest
from venuemesh.advisor.v1 import decision_reports_pb2
from venuemesh.events.v1 import calibrations_pb2, decisions_pb2, event_pb2

from core.advisor import calibration_store
from core.advisor.calibration_handler import learn
from core.advisor.decider import decision_event
from core.advisor.service import AdvisorServicer
from core.advisor.settings import DecisionRules
from core.advisor.tests.examples import (
    CLOSE,
    NOW_NS,
    OPEN,
    RULES,
    facts,
    platt_map,
    signal,
    signal_event,
)
from core.advisor.tests.test_calibration_handler import outcomes
from kit.base.errors import BadPageToken, BadRequest, UnknownEvent
from kit.events import newest_events
from kit.events.event_ids import event_id
from kit.events.tests.rig import Rig, rig_for
from tests.support.manual_clock import ManualClock

SIGNALS = event_pb2.EVENT_STREAM_SIGNALS
DECISIONS = event_pb2.EVENT_STREAM_DECISIONS
BLOCKED = decisions_pb2.DECISION_OUTCOME_BLOCKED
ISSUED = decisions_pb2.DECISION_OUTCOME_INTENT_ISSUED
WIN = {"is_won": True, "price": "60610", "barrier": decisions_pb2.OUTCOME_BARRIER_TARGET}
LOSS = {"is_won": False, "price": "59710", "barrier": decisions_pb2.OUTCOME_BARRIER_STOP}


@dataclass
class Record:
    """Stored signals, decisions and outcomes, and the service that reports them."""

    rig: Rig

    def service(self, rules: DecisionRules = RULES) -> AdvisorServicer:
        async def nothing(signals):
            raise AssertionError("a report collects nothing")

        return AdvisorServicer(nothing, nothing, rules, self.rig.database, ManualClock())

    async def decide(self, number, raised=None, known=None, applied=None):
        """Store a signal and the decision on it."""
        event = signal_event(number, raised)
        event.instance = event.signal_raised.strategy
        decision = decision_event(event, known or facts(), RULES, calibration_map=applied)
        await self.rig.append(event, stream=SIGNALS)
        await self.rig.append(decision, stream=DECISIONS)
        return event, decision

    async def observe(self, decision, **fields):
        """Store the outcome of a decision."""
        strategy = decision.instance
        event = event_pb2.Event(
            event_id=event_id("advisor", strategy, [decision.event_id]),
            source="advisor",
            instance=strategy,
            time_ns=NOW_NS + 1,
            cause_ids=[decision.event_id],
            outcome_observed=decisions_pb2.OutcomeObserved(strategy=strategy, **fields),
        )
        await self.rig.append(event, stream=DECISIONS)

    async def listed(self, **request):
        asked = decision_reports_pb2.ListDecisionsRequest(**request)
        return await self.service().ListDecisions(asked, None)

    async def explained(self, wanted_id):
        asked = decision_reports_pb2.ExplainDecisionRequest(event_id=wanted_id)
        return await self.service().ExplainDecision(asked, None)

    async def repeated(self, wanted_id, rules=RULES):
        asked = decision_reports_pb2.RepeatDecisionRequest(event_id=wanted_id)
        return await self.service(rules).RepeatDecision(asked, None)

    async def calibrations(self, **request):
        asked = decision_reports_pb2.ListCalibrationsRequest(**request)
        return await self.service().ListCalibrations(asked, None)


@pytest.fixture
async def record(valkey_url, postgres_url):
    async with rig_for(valkey_url, postgres_url) as rig:
        yield Record(rig)


async def test_decisions_are_listed_with_their_outcomes(record):
    raised, decision = await record.decide(1, signal(regime="calm"), applied=platt_map())
    await record.decide(2, known=facts(quote__ask_price="60400"))
    await record.observe(decision, regime="calm", **WIN)
    blocked, issued = (await record.listed()).decisions
    assert (issued.event_id, issued.signal_id) == (decision.event_id, raised.event_id)
    assert (issued.venue, issued.account, issued.symbol) == ("binance", "paper", "BTCUSDT")
    assert (issued.action, issued.regime, issued.outcome) == (OPEN, "calm", ISSUED)
    applied = decision.decision_made.calibration
    assert (issued.conviction, issued.probability) == (applied.conviction, applied.probability)
    assert issued.probability < issued.conviction
    assert issued.observed.is_won
    assert issued.blocked_by == ""
    assert blocked.outcome == BLOCKED
    assert blocked.blocked_stage == decisions_pb2.DECISION_STAGE_SCORE
    assert blocked.blocked_by == "close_distance"
    assert not blocked.HasField("conviction")
    assert not blocked.HasField("observed")


async def test_decisions_are_chosen_by_strategy_and_result(record):
    await record.decide(1)
    await record.decide(2, signal(strategy="other"))
    await record.decide(3, signal(strategy="other"), facts(quote__ask_price=None))
    found = await record.listed(strategy="other")
    assert [one.outcome for one in found.decisions] == [BLOCKED, ISSUED]
    found = await record.listed(strategy="other", outcome=BLOCKED)
    assert [one.outcome for one in found.decisions] == [BLOCKED]
    assert list((await record.listed(strategy="nobody")).decisions) == []


async def test_pages_of_decisions_have_each_once(record, monkeypatch):
    monkeypatch.setattr(newest_events, "READ_EVENTS", 2)
    monkeypatch.setattr(newest_events, "READ_EVENTS_MAX", 2)
    made = [
        (await record.decide(number, signal(strategy=f"s{number % 2}")))[1] for number in range(7)
    ]
    found, request = [], {"strategy": "s1", "page_size": 2}
    while True:
        page = await record.listed(**request)
        found += [one.event_id for one in page.decisions]
        if not page.next_page_token:
            break
        request["page_token"] = page.next_page_token
    assert found == [made[5].event_id, made[3].event_id, made[1].event_id]


async def test_wrong_pages_are_rejected(record):
    with pytest.raises(BadRequest):
        await record.listed(page_size=1_001)
    with pytest.raises(BadPageToken):
        await record.listed(page_token="none")


async def test_a_decision_is_explained_by_its_id_and_by_that_of_its_signal(record):
    raised, decision = await record.decide(1)
    await record.observe(decision, **LOSS)
    for wanted_id in (raised.event_id, decision.event_id):
        found = await record.explained(wanted_id)
        assert (found.signal, found.decision) == (raised, decision)
        assert found.observed.barrier == decisions_pb2.OUTCOME_BARRIER_STOP


async def test_what_is_no_decision_is_not_explained(record):
    undecided = signal_event(1)
    await record.rig.append(undecided, stream=SIGNALS)
    _, decision = await record.decide(2)
    await record.observe(decision, **LOSS)
    outcome_id = event_id("advisor", decision.instance, [decision.event_id])
    for wanted_id in (bytes(16), undecided.event_id, outcome_id):
        with pytest.raises(UnknownEvent, match=wanted_id.hex()):
            await record.explained(wanted_id)
    with pytest.raises(BadRequest, match="event_id has 3 bytes"):
        await record.explained(b"abc")


async def test_a_decision_is_repeated_byte_for_byte(record):
    for number, raised in enumerate([signal(), signal(CLOSE), signal(conviction=0.01)]):
        _, decision = await record.decide(number, raised, applied=platt_map())
        found = await record.repeated(decision.event_id)
        assert (found.event_id, found.is_equal) == (decision.event_id, True)
        assert list(found.differences) == []


async def test_a_repeated_decision_names_what_differs(record):
    _, decision = await record.decide(1)
    # Somebody has changed the record.
    decision.decision_made.intent.size = "9"
    del decision.decision_made.intent.reasons[-1]
    await record.rig.execute(
        "UPDATE events SET body = %s WHERE event_id = %s",
        decision.SerializeToString(deterministic=True),
        decision.event_id,
    )
    found = await record.repeated(decision.event_id)
    assert not found.is_equal
    by_field = {one.field: (one.stored, one.made) for one in found.differences}
    assert by_field["decision_made.intent.size"] == ("9", "0.01666")
    missing = by_field.pop("decision_made.intent.reasons[2]")
    assert missing[0] == ""
    assert missing[1].startswith("quality")
    assert len(by_field) == 1


async def test_a_decision_of_other_settings_differs_in_their_hash(record):
    _, decision = await record.decide(1)
    other = msgspec.structs.replace(RULES, conviction_min=0.9)
    found = await record.repeated(decision.event_id, other)
    by_field = {one.field: (one.stored, one.made) for one in found.differences}
    stored, made = by_field["config_hash"]
    assert (stored, made) == (RULES.config_hash(3).hex(), other.config_hash(3).hex())
    assert by_field["decision_made.outcome"] == (str(ISSUED), str(BLOCKED))


async def test_calibrations_are_listed_by_strategy_and_regime(record):
    rows = learn({}, list(enumerate(outcomes(240), 1))).rows
    others = learn({}, list(enumerate(outcomes(240, strategy="another"), 1))).rows
    async with record.rig.database.transaction() as connection:
        await calibration_store.save(connection, rows)
        await calibration_store.save(connection, others)
    found = (await record.calibrations()).calibrations
    places = [(one.map.strategy, one.map.is_pool, one.map.regime) for one in found]
    regimes = [(True, ""), (False, ""), (False, "calm"), (False, "wild")]
    assert places == [(name, *one) for name in ("another", "ema_cross") for one in regimes]
    pool = found[4]
    assert pool.map.kind != calibrations_pb2.CALIBRATION_MAP_KIND_IDENTITY
    assert (pool.map.outcomes, pool.report.outcomes) == (240, 134)
    assert sum(one.outcomes for one in pool.report.bins) == pool.report.outcomes
    assert pool.report.calibration_error_floor > 0
    first = await record.calibrations(strategy="ema_cross", page_size=1)
    assert list(first.calibrations) == [pool]
    rest = await record.calibrations(
        strategy="ema_cross", page_token=first.next_page_token, page_size=9
    )
    assert [one.map.regime for one in rest.calibrations] == ["", "calm", "wild"]


async def test_a_map_without_report_has_none(record):
    async with record.rig.database.transaction() as connection:
        await calibration_store.save(connection, learn({}, [(1, outcomes(1)[0])]).rows)
    found = (await record.calibrations()).calibrations
    assert [one.HasField("report") for one in found] == [False, False]
    assert found[0].map.reason == "1 outcomes in all regimes; 200 are needed"
