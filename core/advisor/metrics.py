"""The metrics of the advisor."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from venuemesh.events.v1 import decisions_pb2

from core.advisor.decider import Stage
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.telemetry import Meter

STAGE_BUCKETS_SECONDS = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.02, 0.1)
ANSWER_BUCKETS_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
SYNTHESIS_PREFIX = "SYNTHESIS_OUTCOME_"
OUTCOME_PREFIX = "DECISION_OUTCOME_"
STAGE_PREFIX = "DECISION_STAGE_"


class AdvisorMetrics:
    """Decisions by outcome, the time of each stage, and requests to language models."""

    def __init__(self, meter: Meter) -> None:
        self._decisions = meter.counter("advisor_decisions", "Decisions stored", "outcome")
        self._stages = meter.histogram(
            "advisor_stage_seconds", "Time of a stage of a decision", STAGE_BUCKETS_SECONDS, "stage"
        )
        self._requests = meter.counter(
            "advisor_model_requests", "Decisions for which a model was to be asked", "outcome"
        )
        self._answers = meter.histogram(
            "advisor_model_seconds", "Time of a request to a model", ANSWER_BUCKETS_SECONDS
        )
        self._tokens = meter.counter("advisor_model_tokens", "Tokens of requests to models", "kind")

    def decided(self, decision: decisions_pb2.DecisionMade) -> None:
        name = decisions_pb2.DecisionOutcome.Name(decision.outcome)
        self._decisions.labels(name.removeprefix(OUTCOME_PREFIX).lower()).inc()
        if not decision.HasField("synthesis"):
            return
        made = decision.synthesis
        ended = decisions_pb2.SynthesisOutcome.Name(made.outcome)
        self._requests.labels(ended.removeprefix(SYNTHESIS_PREFIX).lower()).inc()
        if made.is_cached or not made.model:
            return
        self._answers.observe((made.answered_time_ns - made.asked_time_ns) / NANOSECONDS_PER_SECOND)
        self._tokens.labels("prompt").inc(made.prompt_tokens)
        self._tokens.labels("completion").inc(made.completion_tokens)

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Observe the time until the context ends."""
        begun = perf_counter()
        try:
            yield
        finally:
            name = decisions_pb2.DecisionStage.Name(stage).removeprefix(STAGE_PREFIX).lower()
            self._stages.labels(name).observe(perf_counter() - begun)
