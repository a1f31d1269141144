"""The metrics of the advisor."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from venuemesh.events.v1 import decisions_pb2

from core.advisor.decider import Stage
from kit.base.telemetry import Meter

STAGE_BUCKETS_SECONDS = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.02, 0.1)
OUTCOME_PREFIX = "DECISION_OUTCOME_"
STAGE_PREFIX = "DECISION_STAGE_"


class AdvisorMetrics:
    """Decisions by outcome, and the time of each stage."""

    def __init__(self, meter: Meter) -> None:
        self._decisions = meter.counter("advisor_decisions", "Decisions stored", "outcome")
        self._stages = meter.histogram(
            "advisor_stage_seconds", "Time of a stage of a decision", STAGE_BUCKETS_SECONDS, "stage"
        )

    def decided(self, outcome: "decisions_pb2.DecisionOutcome.ValueType") -> None:
        name = decisions_pb2.DecisionOutcome.Name(outcome)
        self._decisions.labels(name.removeprefix(OUTCOME_PREFIX).lower()).inc()

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Observe the time until the context ends."""
        begun = perf_counter()
        try:
            yield
        finally:
            name = decisions_pb2.DecisionStage.Name(stage).removeprefix(STAGE_PREFIX).lower()
            self._stages.labels(name).observe(perf_counter() - begun)
