"""How values stand to the limits that set modes."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

import msgspec

from kit.accounting.amounts import ZERO
from kit.risk.escalation import Observation
from kit.risk.facts import Losses, RiskFacts
from kit.risk.measures import EntryContext
from kit.risk.policy import Policy
from kit.risk.scopes import Place, Scope, ScopeKind, limit_of


def of_policy(
    policy: Policy, facts: RiskFacts, losses: Mapping[str, Losses], now_ns: int
) -> Iterator[Observation]:
    """How everything stands that may set a mode. ``losses``: of each strategy."""
    places = _places(facts, losses)
    for escalation in policy.escalations:
        limits = policy.limits.get(escalation.limit, {})
        if escalation.limit == "entries_per_minute_max" and policy.entries_per_minute_max:
            limits = {**limits, "mesh": Decimal(policy.entries_per_minute_max)}
        for scope, place in _scopes(places):
            limit = limit_of(limits, scope)
            if limit is None:
                continue
            context = EntryContext(
                place,
                True,
                (),
                now_ns,
                _without_order(policy, facts, losses.get(place.strategy)),
                policy.valuation,
                policy.groups,
                policy.maintenance_margin,
            )
            measured = escalation.rule.measure(context, scope)
            yield Observation(escalation, scope, measured.value, limit, measured.problem)


def _without_order(policy: Policy, facts: RiskFacts, losses: Losses | None) -> RiskFacts:
    """An order of no value changes nothing that is measured."""
    return msgspec.structs.replace(
        facts, notional=ZERO, notional_asset=policy.currency, order=None, losses=losses
    )


def all_scopes(facts: RiskFacts) -> Iterator[tuple[Scope, Place]]:
    """Each scope that has a mode and anything in it, with a place that names it alone."""
    yield from _scopes(_places(facts, {}))


def _places(facts: RiskFacts, losses: Mapping[str, Losses]) -> list[Place]:
    """Where anything is, without instruments."""
    found = {Place("", "", "", strategy) for strategy in losses}
    for facts_of in (facts.exposures, facts.results, facts.recent, facts.today,
                     facts.holdings, facts.balances, facts.booked):  # fmt: skip
        found |= {one.place._replace(symbol="") for one in facts_of or ()}
    return sorted(found)


def _scopes(places: Iterable[Place]) -> Iterator[tuple[Scope, Place]]:
    found = {Scope(ScopeKind.MESH): Place("", "", "")}
    for venue, account, _, strategy in places:
        if venue:
            found[Scope(ScopeKind.VENUE, venue)] = Place(venue, "", "")
            scope = Scope(ScopeKind.ACCOUNT, f"{venue}/{account}")
            found[scope] = Place(venue, account, "")
        if strategy:
            found[Scope(ScopeKind.STRATEGY, strategy)] = Place("", "", "", strategy)
    yield from found.items()
