"""The entries whose outcomes are observed: those that are wanted, and those that were blocked
because a win was improbable.

Without the second kind a map that blocks some convictions would never see whether they win again.
"""

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import checks_pb2, decisions_pb2, signals_pb2

from core.advisor import facts as fact_ids
from core.advisor.amounts import positive
from core.advisor.facts import DecisionFacts
from core.advisor.order_terms import order_terms
from kit.accounting.amounts import plain

STAGES = (decisions_pb2.DECISION_STAGE_CALIBRATION, decisions_pb2.DECISION_STAGE_SYNTHESIS)


def is_improbable(made: decisions_pb2.DecisionMade) -> bool:
    """Whether the calibration, or a language model, has blocked an entry."""
    return any(
        check.result == checks_pb2.CHECK_RESULT_BLOCKED
        for stage in made.stages
        if stage.stage in STAGES
        for check in stage.checks
    )


def observed_intent(
    signal: signals_pb2.SignalRaised, made: decisions_pb2.DecisionMade
) -> decisions_pb2.ExecutionIntent:
    """The intent of a decision; of an improbable entry its prices, as if it had passed. It is empty
    if they are not known."""
    if not is_improbable(made):
        return made.intent
    facts, is_buy = DecisionFacts(made.facts), signal.side == types_pb2.SIDE_BUY
    reference = positive(facts.text(fact_ids.ASK_PRICE if is_buy else fact_ids.BID_PRICE))
    direction = 1 if is_buy else -1
    terms = order_terms(signal.request, facts.instrument(), reference, direction, None)
    if reference is None or terms.stop is None:
        return decisions_pb2.ExecutionIntent()
    return decisions_pb2.ExecutionIntent(
        action=signal.action,
        side=signal.side,
        reference_price=plain(reference),
        stop_price=plain(terms.stop),
        target_price="" if terms.target is None else plain(terms.target),
    )
