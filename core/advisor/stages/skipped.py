"""Stages 5 and 6, which are passed over."""

from core.advisor.case import Assessment, Case, StageOutput


def calibration(case: Case, found: Assessment) -> StageOutput:
    """Stage 5."""
    return StageOutput(found, skipped_reason="no outcomes of earlier decisions are recorded")


def synthesis(case: Case, found: Assessment) -> StageOutput:
    """Stage 6."""
    return StageOutput(found, skipped_reason="no model is configured")
