"""Stage 5, which does nothing yet."""

from core.advisor.decision_case import Assessment, DecisionCase, StageOutput


def calibration(case: DecisionCase, found: Assessment) -> StageOutput:
    """Stage 5."""
    return StageOutput(found, skipped_reason="no outcomes of earlier decisions are recorded")
