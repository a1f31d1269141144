"""How every limit of a policy stands between two orders."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from kit.accounting.amounts import ZERO, quotient
from kit.risk import observations
from kit.risk.escalation import ESCALATING, Escalation
from kit.risk.facts import Losses, RiskFacts
from kit.risk.limits import RULES, THROTTLED_RATE
from kit.risk.policy import Policy
from kit.risk.scopes import ALL, PositionKey, Scope, ScopeKind, limit_of

OF_STATES = (*ESCALATING, "positions_max", "open_order_notional_max", THROTTLED_RATE)
"""Limits of something that is there between two orders. All others are of single orders."""
NO_LOSSES = Losses(in_row=0)


@dataclass(frozen=True, slots=True)
class LimitUse:
    """How a value stands to a limit."""

    name: str
    scope: str
    """The key of a scope, or of all of a kind."""
    limit: Decimal
    unit: str
    is_of_orders: bool = True
    is_minimum: bool = False
    observed: Decimal | None = None
    problem: str = ""
    """Why ``observed`` is not known. "": it is, or nothing is measured."""
    escalations: Sequence[Escalation] = ()

    @property
    def is_beyond(self) -> bool:
        """Whether the value is known to be beyond the limit."""
        if self.observed is None:
            return False
        return self.observed < self.limit if self.is_minimum else self.observed > self.limit

    @property
    def used(self) -> Decimal | None:
        """The used part of the limit; None if it is not known, or cannot be divided."""
        part, whole = self.observed, self.limit
        if self.is_minimum:
            part, whole = self.limit, self.observed or ZERO
        return quotient(part, whole) if part is not None and whole > ZERO else None


def of_policy(
    policy: Policy, facts: RiskFacts, losses: Mapping[str, Losses], now_ns: int
) -> Iterator[LimitUse]:
    """Each limit in each scope. ``losses``: of each strategy that has realised anything lately."""
    for symbol, limit in policy.order_size_max.items():
        yield LimitUse("order_size_max", f"{ScopeKind.INSTRUMENT}:{symbol}", limit, "size_unit")
    for asset, limit in policy.order_notional_max.items():
        yield LimitUse("order_notional_max", ScopeKind.MESH, limit, asset)
    scopes = _scopes(policy, facts, losses)
    for rule in RULES:
        limits = observations.limits_of(policy, rule.name)
        unit = rule.unit or policy.currency
        if rule.name not in OF_STATES:
            for key, limit in limits.items():
                yield LimitUse(rule.name, key, limit, unit, is_minimum=rule.is_minimum)
            continue
        escalations = [one for one in policy.escalations if one.limit == rule.name]
        for scope, position_key in scopes.items():
            found = limit_of(limits, scope) if scope.kind in rule.kinds else None
            if found is None:
                continue
            own = msgspec.structs.replace(
                facts, losses=losses.get(position_key.strategy, NO_LOSSES)
            )
            context = observations.without_order(policy, own, position_key, now_ns)
            measured = rule.measure(context, scope)
            yield LimitUse(
                rule.name,
                scope.key,
                found,
                unit,
                False,
                rule.is_minimum,
                None if measured.problem else measured.observed,
                measured.problem,
                escalations,
            )


def _scopes(
    policy: Policy, facts: RiskFacts, losses: Mapping[str, Losses]
) -> Mapping[Scope, PositionKey]:
    """The scopes with anything in them, and those that the policy names, with a position."""
    found = dict(observations.all_scopes(facts, losses))
    for one in facts.exposures or ():
        found[Scope(ScopeKind.INSTRUMENT, f"{one.venue}/{one.symbol}")] = PositionKey("", "", "")
    for name in policy.groups:
        found[Scope(ScopeKind.GROUP, name)] = PositionKey("", "", "")
    for limits in policy.limits.values():
        for key in limits:
            kind, _, name = key.partition(":")
            scope = Scope(ScopeKind(kind), name)
            if name != ALL:
                found.setdefault(scope, _place_of(scope))
    return found


def _place_of(scope: Scope) -> PositionKey:
    match scope.kind:
        case ScopeKind.VENUE:
            return PositionKey(scope.name, "", "")
        case ScopeKind.ACCOUNT:
            venue, _, account = scope.name.partition("/")
            return PositionKey(venue, account, "")
        case ScopeKind.STRATEGY:
            return PositionKey("", "", "", scope.name)
    return PositionKey("", "", "")
