"""Stage 5: turns the conviction into the probability that the decision wins.

The map is a part of the case, so that a stored decision is made again with its own map.
"""

from dataclasses import replace

from venuemesh.events.v1 import calibrations_pb2

from core.advisor.calibration.messages import read_map
from core.advisor.decision_case import Assessment, DecisionCase, StageOutput

PROBABILITY_DIGITS = 6
"""The probability is rounded, so that programs with another logarithm give the same."""


def run(case: DecisionCase, found: Assessment) -> StageOutput:
    if case.facts.rules_version < 3:
        return StageOutput(found, skipped_reason="no outcomes of earlier decisions are recorded")
    message = case.calibration_map
    if message is None:
        return StageOutput(found, skipped_reason="no calibration map is given")
    conviction, probability = found.conviction, found.conviction
    if message.is_applied:
        probability = round(read_map(message).probability(conviction), PROBABILITY_DIGITS)
    probability = min(probability, message.conviction_max)
    applied = calibrations_pb2.CalibrationApplied(
        map=message, conviction=conviction, probability=probability
    )
    checks = []
    if probability != conviction:
        least = case.rules.conviction_min
        checks.append(case.check("calibrated_conviction", probability >= least, probability, least))
    assessed = replace(found, conviction=probability, calibration=applied)
    return StageOutput(assessed, checks, "" if message.is_applied else message.reason)
