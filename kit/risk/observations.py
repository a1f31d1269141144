"""How values stand to the limits that set modes."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType

import msgspec

from kit.accounting.amounts import ZERO
from kit.risk.escalation import Observation
from kit.risk.facts import Losses, RiskFacts
from kit.risk.measures import EntryContext
from kit.risk.policy import Policy
from kit.risk.scopes import PositionKey, Scope, ScopeKind, limit_of


def of_policy(
    policy: Policy, facts: RiskFacts, losses: Mapping[str, Losses], now_ns: int
) -> Iterator[Observation]:
    """How everything stands that may set a mode. ``losses``: of each strategy."""
    for escalation in policy.escalations:
        limits = limits_of(policy, escalation.limit)
        for scope, position_key in all_scopes(facts, losses):
            limit = limit_of(limits, scope)
            if limit is None:
                continue
            own = msgspec.structs.replace(facts, losses=losses.get(position_key.strategy))
            measured = escalation.rule.measure(
                without_order(policy, own, position_key, now_ns), scope
            )
            yield Observation(escalation, scope, measured.value, limit, measured.problem)


def limits_of(policy: Policy, name: str) -> Mapping[str, Decimal]:
    """The limits of a name, by the key of their scope."""
    limits = policy.limits.get(name, {})
    if name == "entries_per_minute_max" and policy.entries_per_minute_max:
        limits = {**limits, "mesh": Decimal(policy.entries_per_minute_max)}
    return limits


def without_order(
    policy: Policy, facts: RiskFacts, position_key: PositionKey, now_ns: int
) -> EntryContext:
    """What is measured in a position between two orders: one of no value changes nothing."""
    facts = msgspec.structs.replace(
        facts, notional=ZERO, notional_asset=policy.currency, order=None
    )
    return EntryContext(
        position_key,
        True,
        (),
        now_ns,
        facts,
        policy.valuation,
        policy.groups,
        policy.maintenance_margin,
    )


def all_scopes(
    facts: RiskFacts, losses: Mapping[str, Losses] = MappingProxyType({})
) -> Iterator[tuple[Scope, PositionKey]]:
    """Each scope that has a mode and anything in it, with a position that names it alone."""
    yield from _scopes(_places(facts, losses))


def _places(facts: RiskFacts, losses: Mapping[str, Losses]) -> list[PositionKey]:
    """Where anything is, without instruments."""
    found = {PositionKey("", "", "", strategy) for strategy in losses}
    for facts_of in (facts.exposures, facts.results, facts.recent, facts.today,
                     facts.holdings, facts.balances, facts.booked):  # fmt: skip
        found |= {one.position_key._replace(symbol="") for one in facts_of or ()}
    return sorted(found)


def _scopes(places: Iterable[PositionKey]) -> Iterator[tuple[Scope, PositionKey]]:
    found = {Scope(ScopeKind.MESH): PositionKey("", "", "")}
    for venue, account, _, strategy in places:
        if venue:
            found[Scope(ScopeKind.VENUE, venue)] = PositionKey(venue, "", "")
            scope = Scope(ScopeKind.ACCOUNT, f"{venue}/{account}")
            found[scope] = PositionKey(venue, account, "")
        if strategy:
            found[Scope(ScopeKind.STRATEGY, strategy)] = PositionKey("", "", "", strategy)
    yield from found.items()
