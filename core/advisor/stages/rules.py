"""Stage 3: scores the signal by rules of its own, independently of the strategy.

Each rule says how much its facts are for the signal, from -1 to 1, or abstains. The score is the
weighted mean of those that do not abstain, and 0 if all do.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from venuemesh.bars.v1 import bars_pb2

from core.advisor.amounts import amount_of, positive
from core.advisor.decision_case import Assessment, DecisionCase, RuleFinding, StageOutput, note
from kit.accounting.amounts import add, product, quotient, subtract

TRADE_FLOW_WEIGHT = 0.5
"""More was bought than sold by takers during the bar, for a buy."""
CLOSE_DISTANCE_WEIGHT = 0.3
"""The price has not run away from the close of the bar."""
SPREAD_WEIGHT = 0.2
"""To trade at once costs little."""


def run(case: DecisionCase, found: Assessment) -> StageOutput:
    """Compute the score, and check that the price has not run away."""
    distance = close_distance(case)
    findings = (
        RuleFinding("trade_flow", TRADE_FLOW_WEIGHT, trade_flow(case)),
        RuleFinding(
            "close_distance",
            CLOSE_DISTANCE_WEIGHT,
            _nearness(distance, case.rules.close_distance_max),
        ),
        RuleFinding("spread", SPREAD_WEIGHT, _nearness(spread(case), case.rules.spread_max)),
    )
    score, least = mean(findings), case.rules.rules_score_min
    checks = [case.check("rules_score", score >= least, score, least)]
    if not _is_own_bar(case):
        checks.append(note("close_distance", "the bar is one of another instrument"))
    else:
        most = case.rules.close_distance_max
        within = distance is not None and distance <= most
        shown = None if distance is None else float(distance)
        checks.append(case.check("close_distance", within, shown, most, "ratio"))
    return StageOutput(replace(found, rules=findings, rules_score=score), checks)


def mean(findings: Sequence[RuleFinding]) -> float:
    said = [(one.weight, one.score) for one in findings if one.score is not None]
    total = sum(weight for weight, _ in said)
    return sum(weight * score for weight, score in said) / total if total else 0.0


def trade_flow(case: DecisionCase) -> float | None:
    """What takers bought less what they sold during the bar, as a part of the volume; positive for
    the signal."""
    bar = case.signal.bar
    volume, bought = positive(bar.volume), amount_of(bar.buy_volume)
    if bar.source == bars_pb2.BAR_SOURCE_VENUE_CANDLE or volume is None or bought is None:
        return None
    if not 0 <= bought <= volume:
        return None
    return case.direction * float(quotient(subtract(add(bought, bought), volume), volume))


def close_distance(case: DecisionCase) -> Decimal | None:
    """Distance of the price of the order from the close of the bar, as a part of the close."""
    close = positive(case.signal.bar.close)
    if close is None or case.reference is None or not _is_own_bar(case):
        return None
    away = subtract(case.reference, close).copy_abs()
    return quotient(away, close)


def spread(case: DecisionCase) -> Decimal | None:
    """The spread as a part of the middle."""
    if case.bid is None or case.ask is None or case.bid >= case.ask:
        return None
    twice = product(Decimal(2), subtract(case.ask, case.bid))
    return quotient(twice, add(case.ask, case.bid))


def _nearness(distance: Decimal | None, most: Decimal) -> float | None:
    """1 at no distance, -1 from the largest one on."""
    return (
        None if distance is None else 1.0 - 2.0 * float(min(quotient(distance, most), Decimal(1)))
    )


def _is_own_bar(case: DecisionCase) -> bool:
    """Whether the bar is one of the instrument that is to be traded."""
    bar, signal = case.signal.bar, case.signal
    return (bar.venue, bar.symbol) == (signal.venue, signal.symbol)
