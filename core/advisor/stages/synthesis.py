"""Stage 6: applies the answer of a language model, which may lower the conviction and the size.

The request was made before the decision. Its end is recorded, so the stage asks nobody.
"""

from collections.abc import Iterator
from dataclasses import replace

from venuemesh.events.v1 import checks_pb2, decisions_pb2

from core.advisor.amounts import shown
from core.advisor.decision_case import FLIP, Assessment, DecisionCase, StageOutput, note
from core.advisor.synthesis.answer import InvalidAnswer, ModelAnswer, read
from core.advisor.synthesis.envelope import HUNDRED, ModelAdvice, with_answer, without_answer
from kit.accounting.amounts import plain, product

OUTCOME_PREFIX = "SYNTHESIS_OUTCOME_"


def run(case: DecisionCase, found: Assessment) -> StageOutput:
    if case.signal.HasField("synthesis") and case.action == FLIP:
        return StageOutput(found, skipped_reason="a flip also closes, which waits for no model")
    if case.synthesis is None or case.is_reduction:
        return StageOutput(found, skipped_reason="no model is configured")
    answer = _usable(case.synthesis)
    if answer is None:
        advice = without_answer(found.conviction, case.signal.synthesis.conviction_max)
        checks = [note("model_answer", _fault(case.synthesis))]
    else:
        advice = with_answer(answer, found.conviction)
        checks = list(_answer(case, answer))
    conviction, least = advice.conviction, case.rules.conviction_min
    checks.append(case.check("model_conviction", conviction >= least, conviction, least))
    after = replace(
        found,
        conviction=conviction,
        size_fraction=advice.size_fraction,
        advice=_advice(case.synthesis, answer, advice),
    )
    return StageOutput(after, checks)


def _usable(made: decisions_pb2.Synthesis) -> ModelAnswer | None:
    """The answer, if it was accepted."""
    if made.outcome != decisions_pb2.SYNTHESIS_OUTCOME_ACCEPTED:
        return None
    try:
        return read(made.answer.encode())
    except InvalidAnswer:
        # The record is not one of a decision.
        return None


def _answer(case: DecisionCase, answer: ModelAnswer) -> Iterator[checks_pb2.Check]:
    is_allowed = answer.bias != "opposes" or not case.signal.synthesis.opposing_blocks
    limit = "supports or neutral" if case.signal.synthesis.opposing_blocks else "any"
    yield case.check("model_bias", is_allowed, answer.bias, limit)
    yield case.check("model_size", answer.size_percent > 0, answer.size_percent, "above 0", "%")


def _fault(made: decisions_pb2.Synthesis) -> str:
    name = decisions_pb2.SynthesisOutcome.Name(made.outcome).removeprefix(OUTCOME_PREFIX)
    return f"{name.lower().replace('_', ' ')}: {shown(made.detail)}"


def _advice(made: decisions_pb2.Synthesis, answer: ModelAnswer | None, advice: ModelAdvice) -> str:
    if answer is None:
        return f"no answer of a model is used ({_fault(made)}): conviction {advice.conviction:.4f}"
    percent = plain(product(advice.size_fraction, HUNDRED))
    return f"model {shown(made.model)} {answer.bias}: size {percent} %"
