"""The fifth stage."""

from venuemesh.events.v1 import checks_pb2, decisions_pb2

from core.advisor.calibration.calibrator import CalibrationOutcome, Calibrator
from core.advisor.calibration.messages import map_message
from core.advisor.calibration.tests.planted import line, planted
from core.advisor.decider import decide
from core.advisor.stages.calibration import PROBABILITY_DIGITS
from core.advisor.tests.examples import CLOSE, FLIP, case, facts, platt_map, results, signal

CALIBRATION = decisions_pb2.DECISION_STAGE_CALIBRATION
BLOCKED = decisions_pb2.DECISION_OUTCOME_BLOCKED
ISSUED = decisions_pb2.DECISION_OUTCOME_INTENT_ISSUED


def report(decision):
    (found,) = (one for one in decision.stages if one.stage == CALIBRATION)
    return found


def learned(truth, count, seed=1):
    """The map after planted outcomes, as a decision gets it."""
    calibrator = Calibrator()
    for conviction, is_won in zip(*planted(truth, count, seed), strict=True):
        calibrator.observe(CalibrationOutcome("", conviction, is_won))
    return calibrator, map_message("ema_cross", "", calibrator.map_of(""))


def test_the_intent_has_the_probability_and_the_decision_the_map():
    calibrator, found = learned(line(0.6, -0.5), 1_100)
    decision = decide(case(calibration_map=found))
    applied = decision.calibration
    assert applied.map == found
    assert applied.conviction == decide(case()).calibration.conviction
    expected = calibrator.map_of("").probability(applied.conviction)
    assert applied.probability == round(expected, PROBABILITY_DIGITS)
    assert applied.probability < applied.conviction
    assert decision.intent.conviction == applied.probability
    assert report(decision).skipped_reason == ""
    assert any(one.startswith("calibrated from") for one in decision.intent.reasons)


def test_with_too_few_outcomes_the_stage_is_skipped_and_names_their_number():
    _, found = learned(line(1.0, 0.0), 57)
    decision = decide(case(calibration_map=found))
    assert report(decision).skipped_reason == "57 outcomes in all regimes; 200 are needed"
    assert decision.calibration.map.outcomes == 57
    assert decision.intent.conviction == decision.calibration.conviction


def test_without_skill_the_stage_is_skipped_and_names_the_skill():
    _, found = learned(line(0.0, 0.0), 400)
    decision = decide(case(calibration_map=found))
    assert found.brier_skill <= 0
    assert f"is {found.brier_skill:.4f} over" in report(decision).skipped_reason
    assert decision.calibration.probability == min(0.5, decision.calibration.conviction)


def test_a_drift_is_named_and_lowers_the_conviction():
    drifted = platt_map(is_applied=False, conviction_max=0.2, reason="the log-loss has risen")
    decision = decide(case(calibration_map=drifted))
    assert report(decision).skipped_reason == "the log-loss has risen"
    assert decision.calibration.conviction > 0.2
    assert decision.intent.conviction == 0.2


def test_a_probability_below_the_least_conviction_blocks_an_entry_and_no_reduction():
    low = platt_map(slope=1.0, intercept=-5.0)
    decision = decide(case(calibration_map=low))
    assert decision.outcome == BLOCKED
    assert results(decision)["calibrated_conviction"] == checks_pb2.CHECK_RESULT_BLOCKED
    assert decision.calibration.probability < 0.1
    closed = decide(case(signal(CLOSE), calibration_map=low))
    assert closed.outcome == ISSUED
    assert results(closed)["calibrated_conviction"] == checks_pb2.CHECK_RESULT_NOTED
    flipped = decide(case(signal(FLIP), calibration_map=low))
    assert (flipped.outcome, flipped.intent.action) == (ISSUED, CLOSE)


def test_decisions_by_earlier_rules_have_no_map():
    decision = decide(case(known=facts(rules__version=None), calibration_map=platt_map()))
    assert not decision.HasField("calibration")
    assert report(decision).skipped_reason == "no outcomes of earlier decisions are recorded"
