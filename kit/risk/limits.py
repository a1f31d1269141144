"""The table of the limits by scope."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from venuemesh.events.v1 import checks_pb2

from kit.accounting.amounts import plain, rounded
from kit.risk import measures
from kit.risk.facts import LOSSES_SECONDS
from kit.risk.measures import EntryContext, Measure
from kit.risk.scopes import ALL_KINDS, Scope, ScopeKind, limit_of

PASSED = checks_pb2.CHECK_RESULT_PASSED
BLOCKED = checks_pb2.CHECK_RESULT_BLOCKED
CURRENCY = ""
"""Unit of a limit: the currency of the policy."""
SHOWN_STEP = Decimal("1e-18")
OF_INSTRUMENTS = (ScopeKind.MESH, ScopeKind.VENUE, ScopeKind.INSTRUMENT, ScopeKind.GROUP)
OF_OWNERS = (ScopeKind.MESH, ScopeKind.VENUE, ScopeKind.ACCOUNT, ScopeKind.STRATEGY)
OF_STRATEGIES = (ScopeKind.STRATEGY,)


@dataclass(frozen=True, slots=True)
class LimitRule:
    """One limit: for which scopes it can be set, in which unit, and what it is compared with."""

    name: str
    kinds: tuple[ScopeKind, ...]
    unit: str
    measure: Measure
    is_minimum: bool = False
    """Whether the value must be at least the limit; otherwise at most."""
    is_count: bool = False
    """Whether it must be a whole number."""
    end: Decimal | None = None
    """The largest limit that makes sense. None: any does."""

    def check(self, context: EntryContext, scope: Scope, limit: Decimal) -> checks_pb2.Check:
        """Compare an order with the limit of one scope. What is not known is blocked."""
        measured = self.measure(context, scope)
        value = measured.value
        if value is None:
            is_within = False
        else:
            is_within = value >= limit if self.is_minimum else value <= limit
        detail = f"of {scope.key}"
        return checks_pb2.Check(
            name=self.name,
            observed=_text(measured.observed),
            projected=_text(measured.projected),
            limit=plain(limit),
            unit=self.unit or context.valuation.currency,
            result=PASSED if is_within else BLOCKED,
            detail=f"{detail}: {measured.problem}" if measured.problem else detail,
        )

    def checks(
        self, context: EntryContext, limits: Mapping[str, Decimal]
    ) -> Iterator[checks_pb2.Check]:
        """Compare an order with the limit of each scope that it is in and that has one."""
        for scope, limit in self.scopes(context, limits):
            yield self.check(context, scope, limit)

    def scopes(
        self, context: EntryContext, limits: Mapping[str, Decimal]
    ) -> Iterator[tuple[Scope, Decimal]]:
        """The scopes that an order is in and that have a limit, each with it."""
        for scope in context.place.scopes(context.groups):
            limit = limit_of(limits, scope)
            if limit is not None:
                yield scope, limit


RULES = (
    LimitRule("order_value_max", ALL_KINDS, CURRENCY, measures.order_value),
    LimitRule("price_deviation_max", OF_INSTRUMENTS, "ratio", measures.price_deviation),
    LimitRule("price_age_ms_max", OF_INSTRUMENTS, "ms", measures.price_age),
    LimitRule("entries_per_minute_max", OF_OWNERS, "orders", measures.entries_per_minute,
              is_count=True),
    LimitRule("positions_max", ALL_KINDS, "positions", measures.positions, is_count=True),
    LimitRule("exposure_max", ALL_KINDS, CURRENCY, measures.exposure),
    LimitRule("net_exposure_max", ALL_KINDS, CURRENCY, measures.net_exposure),
    LimitRule("loss_per_day_max", OF_OWNERS, CURRENCY, measures.day_loss),
    LimitRule("losses_in_row_max", OF_STRATEGIES, "losses", measures.losses_in_row,
              is_count=True),
    LimitRule("seconds_after_loss_min", OF_STRATEGIES, "s", measures.seconds_after_loss,
              is_minimum=True, end=LOSSES_SECONDS),
)  # fmt: skip
"""In the order in which they are checked."""
PRICED = frozenset({"price_deviation_max", "price_age_ms_max", "exposure_max", "net_exposure_max"})
"""What is compared with prices of now."""
OF_LOSSES = frozenset({"losses_in_row_max", "seconds_after_loss_min"})
"""What is compared with the newest losses of a strategy."""
RULES_BY_NAME: Mapping[str, LimitRule] = {rule.name: rule for rule in RULES}


def _text(amount: Decimal | None) -> str:
    """As it is shown: with at most 18 decimal places."""
    return "" if amount is None else plain(rounded(amount, SHOWN_STEP))
