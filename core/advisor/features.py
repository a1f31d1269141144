"""The features of an entry: training and decisions compute them by the same code.

A feature depends on the signal and on the facts of its decision, so on nothing that came later. It
is None if what it needs is unknown.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal

from venuemesh.bars.v1 import bars_pb2

from core.advisor.amounts import amount_of, positive
from core.advisor.decision_case import DecisionCase
from kit.accounting.amounts import add, product, quotient, subtract


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
    if close is None or case.reference is None or not is_own_bar(case):
        return None
    away = subtract(case.reference, close).copy_abs()
    return quotient(away, close)


def spread(case: DecisionCase) -> Decimal | None:
    """The spread as a part of the middle."""
    if case.bid is None or case.ask is None or case.bid >= case.ask:
        return None
    twice = product(Decimal(2), subtract(case.ask, case.bid))
    return quotient(twice, add(case.ask, case.bid))


def is_own_bar(case: DecisionCase) -> bool:
    """Whether the bar is one of the instrument that is to be traded."""
    bar, signal = case.signal.bar, case.signal
    return (bar.venue, bar.symbol) == (signal.venue, signal.symbol)


def _strategy_conviction(case: DecisionCase) -> float | None:
    said = case.signal.conviction
    return said if 0.0 <= said <= 1.0 else None


def _strategy_score(case: DecisionCase) -> float | None:
    said = case.signal.score
    return case.direction * said if -1.0 <= said <= 1.0 else None


def _bar_change(case: DecisionCase) -> float | None:
    """From open to close as a part of the open; positive for the signal."""
    bar = case.signal.bar
    begun, close = positive(bar.open), positive(bar.close)
    if begun is None or close is None or not is_own_bar(case):
        return None
    return case.direction * float(quotient(subtract(close, begun), begun))


def _bar_range(case: DecisionCase) -> float | None:
    """From the lowest to the highest price as a part of the open."""
    bar = case.signal.bar
    begun, high, low = positive(bar.open), positive(bar.high), positive(bar.low)
    if begun is None or high is None or low is None or high < low or not is_own_bar(case):
        return None
    return float(quotient(subtract(high, low), begun))


def _close_place(case: DecisionCase) -> float | None:
    """Place of the close in the range of the bar: 1 at the end that the signal bets on, -1 at the
    other."""
    bar = case.signal.bar
    high, low, close = positive(bar.high), positive(bar.low), positive(bar.close)
    if high is None or low is None or close is None or not low <= close <= high or high == low:
        return None
    above, below = subtract(close, low), subtract(high, close)
    return case.direction * float(quotient(subtract(above, below), subtract(high, low)))


def _stop_distance(case: DecisionCase) -> float | None:
    """Distance of the stop as a part of the price."""
    stop = positive(case.signal.request.stop_distance)
    if stop is None or case.reference is None:
        return None
    return float(quotient(stop, case.reference))


def _reward_risk(case: DecisionCase) -> float | None:
    """Distance of the take-profit as a multiple of that of the stop."""
    request = case.signal.request
    stop, target = positive(request.stop_distance), positive(request.target_distance)
    return None if stop is None or target is None else float(quotient(target, stop))


def _number(found: Decimal | None) -> float | None:
    return None if found is None else float(found)


FEATURE_SET = "entry/1"
"""Name and version of the features. A model works with the set that it was trained on only, so each
change of a feature has a new version."""
FEATURES: Mapping[str, Callable[[DecisionCase], float | None]] = {
    "strategy_conviction": _strategy_conviction,
    "strategy_score": _strategy_score,
    "trade_flow": trade_flow,
    "close_distance": lambda case: _number(close_distance(case)),
    "spread": lambda case: _number(spread(case)),
    "bar_change": _bar_change,
    "bar_range": _bar_range,
    "close_place": _close_place,
    "stop_distance": _stop_distance,
    "reward_risk": _reward_risk,
}


def feature_values(case: DecisionCase) -> tuple[float | None, ...]:
    """The values in the order of FEATURES."""
    return tuple(compute(case) for compute in FEATURES.values())
