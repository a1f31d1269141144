"""Stage 1: checks that the signal has a known action and has not expired."""

from venuemesh.events.v1 import signals_pb2

from core.advisor import facts as fact_ids
from core.advisor.decision_case import SIDES, Assessment, DecisionCase, StageOutput

EXPIRY = "signal_expiry"
ACTIONS = (
    signals_pb2.POSITION_ACTION_OPEN,
    signals_pb2.POSITION_ACTION_CLOSE,
    signals_pb2.POSITION_ACTION_REDUCE,
    signals_pb2.POSITION_ACTION_FLIP,
)


def run(case: DecisionCase, found: Assessment) -> StageOutput:
    signal, now_ns = case.signal, case.now_ns
    checks = [
        case.check("signal_action", case.action in ACTIONS, case.action, "OPEN CLOSE REDUCE FLIP"),
        case.check("signal_side", signal.side in SIDES, signal.side, "BUY SELL"),
        case.check(
            EXPIRY,
            None if now_ns is None else now_ns < signal.expires_time_ns,
            now_ns,
            signal.expires_time_ns,
            "ns",
        ),
    ]
    newer = case.facts.text(fact_ids.SUPERSEDED_BY)
    if newer:
        checks.append(case.check("signal_superseded", False, newer, "no newer signal"))
    return StageOutput(found, checks)
