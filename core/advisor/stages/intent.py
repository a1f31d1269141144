"""Stage 8: writes the intent."""

from collections.abc import Iterator
from dataclasses import replace

from venuemesh.events.v1 import decisions_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.advisor.amounts import positive, shown
from core.advisor.decision_case import CLOSE, REDUCE, Assessment, DecisionCase, StageOutput
from kit.accounting.amounts import plain


def run(case: DecisionCase, found: Assessment) -> StageOutput:
    """Make the intent of what was found."""
    signal, terms = case.signal, found.terms
    action, fraction = case.action, ""
    if action == REDUCE:
        fraction = signal.request.reduce_fraction
        part = positive(fraction)
        if part is None or part >= 1:
            # It wants to hold less, and how much less is not known.
            action, fraction = CLOSE, ""
    intent = decisions_pb2.ExecutionIntent(
        strategy=signal.strategy,
        venue=signal.venue,
        account=signal.account,
        symbol=signal.symbol,
        action=action,
        side=signal.side,
        type=orders_pb2.ORDER_TYPE_MARKET,
        reduce_fraction=fraction,
        expires_time_ns=signal.expires_time_ns,
        conviction=found.conviction,
        reasons=_reasons(case, found),
    )
    if case.reference is not None:
        intent.reference_price = plain(case.reference)
    if not case.is_reduction and terms.size is not None and terms.stop is not None:
        intent.size, intent.stop_price = plain(terms.size), plain(terms.stop)
        intent.target_price = "" if terms.target is None else plain(terms.target)
        if terms.trailing_offset is not None:
            intent.trailing_offset = plain(terms.trailing_offset)
    return StageOutput(replace(found, intent=intent))


def _reasons(case: DecisionCase, found: Assessment) -> Iterator[str]:
    if case.blocked_by:
        yield "only closed, because the other side is blocked by " + ", ".join(case.blocked_by)
    signal = case.signal
    yield f"strategy {shown(signal.strategy)}: conviction {signal.conviction:.4f}"
    said = [one for one in found.rules if one.score is not None]
    said.sort(key=lambda one: -abs(one.weight * (one.score or 0.0)))
    parts = ", ".join(f"{one.rule} {one.score:+.4f}" for one in said)
    yield f"rules {found.rules_score:+.4f}" + (f": {parts}" if parts else "")
    yield f"quality {found.quality:.4f}"
    applied = found.calibration
    if applied is not None and applied.probability != applied.conviction:
        yield f"calibrated from {applied.conviction:.4f} to {applied.probability:.4f}"
    if found.advice:
        yield found.advice
