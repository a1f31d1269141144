"""The venues that a policy names. With a wrong name a limit holds for nothing."""

from collections.abc import Iterator

from kit.base.errors import SettingError
from kit.connector.contract import discovery
from kit.risk.policy import Policy
from kit.risk.policy_file import PolicyProblem
from kit.risk.scopes import ALL, ScopeKind

OF_VENUES = (ScopeKind.VENUE, ScopeKind.ACCOUNT, ScopeKind.INSTRUMENT)


def unknown_venues(policy: Policy) -> list[PolicyProblem]:
    """Every name of a venue that this installation does not have."""
    found = []
    for field, name in _names(policy):
        venue = name.partition("/")[0]
        try:
            if venue != ALL:
                discovery.require(venue)
        except SettingError as error:
            found.append(PolicyProblem(field, venue, error.allowed))
    return found


def _names(policy: Policy) -> Iterator[tuple[str, str]]:
    """Fields with the names of venues, accounts and instruments in them."""
    for field in ("accounts", "instruments", "order_size_max"):
        for name in getattr(policy, field):
            yield field, name
    for venue in policy.maintenance_margin:
        yield f"maintenance_margin.{venue}", venue
    for group, members in policy.groups.items():
        for name in members:
            yield f"groups.{group}", name
    for rule, limits in policy.limits.items():
        for key in limits:
            kind, _, name = key.partition(":")
            if kind in OF_VENUES:
                yield f"{rule}.{key}", name
