"""Stage 7: spread, reward against risk, and size, in exact decimals."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import checks_pb2

from core.advisor import facts as fact_ids
from core.advisor.amounts import amount_of
from core.advisor.decision_case import Assessment, DecisionCase, StageOutput, note
from core.advisor.features import spread
from core.advisor.order_terms import OrderTerms, order_terms
from kit.accounting.amounts import add, plain, product, quotient, rounded, subtract

SHOWN_STEP = Decimal("0.000001")


def run(case: DecisionCase, found: Assessment) -> StageOutput:
    """Compute the terms of the order, and check them. A reduction has none."""
    if case.is_reduction:
        return StageOutput(found, [note("size", "is computed from the position")])
    equity = _equity(case)
    request, reference, part = case.signal.request, case.reference, found.size_fraction
    terms = order_terms(request, case.instrument, reference, case.direction, equity, part)
    checks = [*_prices(case, terms), *_size(case, terms)]
    return StageOutput(replace(found, terms=terms), checks)


def _equity(case: DecisionCase) -> Decimal | None:
    """The equity, if it is in the asset that pays profit and loss."""
    instrument = case.instrument
    is_spot = instrument.kind == types_pb2.INSTRUMENT_KIND_SPOT
    asset = instrument.quote if is_spot else instrument.settlement_asset
    is_in_asset = bool(asset) and case.facts.unit(fact_ids.EQUITY) == asset
    return case.facts.amount(fact_ids.EQUITY) if is_in_asset else None


def _prices(case: DecisionCase, terms: OrderTerms) -> Iterator[checks_pb2.Check]:
    width, most = spread(case), case.rules.spread_max
    within = False
    if case.bid is not None and case.ask is not None and width is not None:
        twice = product(Decimal(2), subtract(case.ask, case.bid))
        within = twice <= product(most, add(case.ask, case.bid))
    yield case.check("spread", within, _ratio(width), plain(most), "ratio")
    unit = case.instrument.quote
    risk = terms.stop_distance
    yield case.check("stop_distance", bool(risk), _text(risk), "above 0", unit)
    if case.signal.request.trailing_distance:
        trailing = terms.trailing_offset
        yield case.check("trailing_distance", bool(trailing), _text(trailing), "above 0", unit)
    if not case.signal.request.target_distance:
        yield note("reward_risk", "the signal asks for no take-profit")
        return
    reward, least = terms.target_distance, case.rules.reward_risk_min
    is_enough = bool(risk) and reward is not None and reward >= product(least, risk or Decimal(0))
    shown = quotient(reward, risk) if reward is not None and risk else None
    yield case.check("reward_risk", is_enough, _ratio(shown), plain(least), "ratio")


def _size(case: DecisionCase, terms: OrderTerms) -> Iterator[checks_pb2.Check]:
    request, size, value = case.signal.request, terms.size, terms.notional
    unit = case.facts.text(fact_ids.SIZE_UNIT)
    wanted = f"notional {request.notional!r} risk_fraction {request.risk_fraction!r}"
    is_known = size is not None and size > 0
    yield case.check("size", is_known, _text(size), f"above 0, from {wanted}", unit)
    least = amount_of(case.facts.text(fact_ids.SIZE_MIN))
    within = least is not None and size is not None and size >= least
    yield case.check("size_min", within, _text(size), _text(least) or "known", unit)
    least, asset = amount_of(case.facts.text(fact_ids.NOTIONAL_MIN)), case.instrument.quote
    is_enough = least == 0 or (least is not None and value is not None and value >= least)
    yield case.check("notional_min", is_enough, _text(value), _text(least) or "known", asset)


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)


def _ratio(amount: Decimal | None) -> str | None:
    """A ratio for people; the check itself is exact."""
    return None if amount is None else plain(rounded(amount, SHOWN_STEP))
