"""What is open, added up over the mesh, venues, accounts, strategies and groups of instruments."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from kit.risk import measures, observations
from kit.risk.facts import Exposure, RiskFacts
from kit.risk.policy import Policy
from kit.risk.scopes import PositionKey, Scope, ScopeKind


@dataclass(frozen=True, slots=True)
class ExposureSum:
    """The sum of exposures in a scope. None: it is not known."""

    scope: str
    asset: str
    gross: Decimal | None
    net: Decimal | None
    open_orders: Decimal | None
    problem: str = ""
    """Why it is not known."""


def of_facts(policy: Policy, facts: RiskFacts, now_ns: int) -> Iterator[ExposureSum]:
    """The sums in the currency of the policy. Without one, the sums of each asset."""
    exposures = facts.exposures or ()
    if policy.currency:
        yield from _in_currency(policy, exposures, now_ns)
        return
    for asset in sorted({one.asset for one in exposures}):
        own = tuple(one for one in exposures if one.asset == asset)
        yield from _in_currency(msgspec.structs.replace(policy, currency=asset), own, now_ns)


def gross_of(policy: Policy, exposure: Exposure) -> tuple[Decimal | None, str]:
    """The value of an exposure without its signs, and why it is not known."""
    if not policy.currency:
        policy = msgspec.structs.replace(policy, currency=exposure.asset)
    facts = RiskFacts(exposures=(exposure,))
    context = observations.without_order(policy, facts, exposure.position_key, 0)
    measured = measures.exposure(context, Scope(ScopeKind.MESH))
    return (None if measured.problem else measured.observed), measured.problem


def _in_currency(
    policy: Policy, exposures: tuple[Exposure, ...], now_ns: int
) -> Iterator[ExposureSum]:
    facts = RiskFacts(exposures=exposures)
    scopes = [scope for scope, _ in observations.all_scopes(facts)]
    groups = [Scope(ScopeKind.GROUP, name) for name in sorted(policy.groups)]
    scopes += [one for one in groups if any(facts.exposures_in(one, policy.groups) or ())]
    context = observations.without_order(policy, facts, PositionKey("", "", ""), now_ns)
    for scope in scopes:
        measured = [
            measure(context, scope)
            for measure in (
                measures.exposure,
                measures.net_held,
                measures.open_order_notional,
            )
        ]
        problem = measured[0].problem
        gross, net, opened = (None if problem else one.observed for one in measured)
        yield ExposureSum(scope.key, policy.currency, gross, net, opened, problem)
