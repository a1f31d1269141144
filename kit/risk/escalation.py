"""Rules that set modes: what a limit that is reached does, and when that is over.

A rule escalates at once. It lets go by itself only after its value was within the limit for the
whole waiting time. What a person has released comes again only when it has become worse, or was
within the limit in between: a profit never makes it come again.
"""

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

import msgspec

from kit.accounting.amounts import product
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.risk.limits import RULES_BY_NAME, LimitRule
from kit.risk.scopes import Scope, ScopeKind

ESCALATING = (
    *("entries_per_minute_max", "entries_per_day_max", "exposure_max", "net_exposure_max"),
    *("leverage_max", "liquidation_distance_min", "balance_min", "loss_per_day_max"),
    *("drawdown_max", "drawdown_ratio_max", "losses_in_row_max"),
)
"""Limits that are compared with a state, and not with one order."""
WITH_MODES = (ScopeKind.MESH, ScopeKind.VENUE, ScopeKind.ACCOUNT, ScopeKind.STRATEGY)
COUNTED_NS = 10 * NANOSECONDS_PER_SECOND
"""At most so much of the time between two looks counts as waited: the clock may have been set, or
nobody may have looked."""


class EscalatedMode(StrEnum):
    """What a rule sets, least strict first."""

    THROTTLED = "throttled"
    STANDING_DOWN = "standing_down"
    CLOSING_ALL = "closing_all"
    HALTED = "halted"


class Escalation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done when a limit is reached."""

    limit: str
    """Name of a limit of the policy; its scopes with a mode are looked at."""
    mode: EscalatedMode
    share: Decimal = Decimal(1)
    """The part of the limit from which on it is done. Of a minimum: the limit is reached at so much
    more, the limit divided by this."""
    release_seconds: int | None = None
    """How long the value must be within the limit until the mode ends. None: a person ends it."""

    @property
    def rule(self) -> LimitRule:
        return RULES_BY_NAME[self.limit]


class Observation(NamedTuple):
    """How a value stands to a limit."""

    escalation: Escalation
    scope: Scope
    value: Decimal | None
    """None: it is not known."""
    limit: Decimal
    problem: str = ""

    @property
    def is_beyond(self) -> bool:
        """What is not known is not beyond: it blocks entries, and sets no mode."""
        if self.value is None:
            return False
        rule, share = self.escalation.rule, self.escalation.share
        if rule.is_minimum:
            return not rule.is_within(product(self.value, share), self.limit)
        return not rule.is_within(self.value, product(self.limit, share))

    @property
    def key(self) -> tuple[str, str, str]:
        return self.scope.key, self.escalation.limit, self.escalation.mode


class Trigger(NamedTuple):
    """What is remembered of a rule in a scope that was beyond its limit."""

    is_active: bool
    """Whether it sets its mode. False: a person has released it, and it is still beyond."""
    value: Decimal
    """Of the newest time that it was beyond while active, or when it was released."""
    looked_time_ns: int
    within_ns: int | None = None
    """How long the value was within the limit since. None: it was not at the last look."""


def next_trigger(before: Trigger | None, seen: Observation, now_ns: int) -> Trigger | None:
    """The state of a rule after a look. None: nothing is remembered, and the next time that the
    limit is reached it escalates."""
    if seen.is_beyond and seen.value is not None:
        is_worse = before is None or _is_worse(seen, before.value)
        is_active = is_worse or (before is not None and before.is_active)
        value = seen.value if is_active or before is None else before.value
        return Trigger(is_active, value, now_ns)
    if before is None:
        return None
    if seen.value is None:
        # Nobody knows whether it is within the limit: the waiting begins again.
        return before._replace(looked_time_ns=now_ns, within_ns=None)
    if not before.is_active:
        return None
    within_ns = 0
    if before.within_ns is not None:
        passed_ns = min(max(now_ns - before.looked_time_ns, 0), COUNTED_NS)
        within_ns = before.within_ns + passed_ns
    release = seen.escalation.release_seconds
    if release is not None and within_ns >= release * NANOSECONDS_PER_SECOND:
        return None
    return before._replace(looked_time_ns=now_ns, within_ns=within_ns)


def _is_worse(seen: Observation, than: Decimal) -> bool:
    assert seen.value is not None
    return seen.value < than if seen.escalation.rule.is_minimum else seen.value > than
