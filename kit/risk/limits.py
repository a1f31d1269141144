"""The table of the limits by scope."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from venuemesh.events.v1 import checks_pb2

from kit.accounting.amounts import plain, rounded
from kit.risk import equity, measures
from kit.risk.facts import LOSSES_SECONDS
from kit.risk.measures import EntryContext, Measure
from kit.risk.scopes import ALL_KINDS, Scope, ScopeKind

PASSED = checks_pb2.CHECK_RESULT_PASSED
BLOCKED = checks_pb2.CHECK_RESULT_BLOCKED
CURRENCY = ""
"""Unit of a limit: the currency of the policy."""
SHOWN_STEP = Decimal("1e-18")
TEXTS_MAX = 1_024
"""Texts of amounts that are kept."""
OF_INSTRUMENTS = (ScopeKind.MESH, ScopeKind.VENUE, ScopeKind.INSTRUMENT, ScopeKind.GROUP)
OF_OWNERS = (ScopeKind.MESH, ScopeKind.VENUE, ScopeKind.ACCOUNT, ScopeKind.STRATEGY)
OF_STRATEGIES = (ScopeKind.STRATEGY,)
OF_ACCOUNTS = (ScopeKind.MESH, ScopeKind.VENUE, ScopeKind.ACCOUNT)
THROTTLED_RATE = "throttled_entries_per_minute_max"


class Need(StrEnum):
    """What a limit is compared with beyond the facts that every verdict has."""

    PRICES = "prices"
    """Prices of now."""
    LOSSES = "losses"
    """The newest losses of a strategy."""
    EQUITY = "equity"
    """Balances, positions and profit by the books."""
    DAY = "day"
    """The entries of the day."""
    ORDERS = "orders"
    """The own orders in the instrument."""


PRICES = frozenset({Need.PRICES})
EQUITY = frozenset({Need.EQUITY, Need.PRICES})


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
    needs: frozenset[Need] = frozenset()

    def is_within(self, value: Decimal, limit: Decimal) -> bool:
        return value >= limit if self.is_minimum else value <= limit

    def check(self, context: EntryContext, scope: Scope, limit: Decimal) -> checks_pb2.Check:
        """Compare an order with the limit of one scope. What is not known is blocked."""
        measured = self.measure(context, scope)
        value = measured.value
        is_within = value is not None and self.is_within(value, limit)
        detail = f"of {scope.key}"
        return checks_pb2.Check(
            name=self.name,
            observed=_text(measured.observed),
            projected=_text(measured.projected),
            limit=_limit_text(limit),
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
        if not limits:
            return
        for scope, key, key_of_all in context.scopes:
            limit = limits.get(key)
            if limit is None:
                limit = limits.get(key_of_all)
            if limit is not None:
                yield scope, limit


RULES = (
    LimitRule("order_value_max", ALL_KINDS, CURRENCY, measures.order_value),
    LimitRule("price_deviation_max", OF_INSTRUMENTS, "ratio", measures.price_deviation,
              needs=PRICES),
    LimitRule("price_age_ms_max", OF_INSTRUMENTS, "ms", measures.price_age, needs=PRICES),
    LimitRule("entries_per_minute_max", OF_OWNERS, "orders", measures.entries_per_minute,
              is_count=True),
    LimitRule(THROTTLED_RATE, OF_OWNERS, "orders", measures.entries_per_minute, is_count=True),
    LimitRule("entries_per_day_max", OF_OWNERS, "orders", measures.entries_per_day,
              is_count=True, needs=frozenset({Need.DAY})),
    LimitRule("repeated_entries_per_minute_max", OF_INSTRUMENTS, "orders",
              measures.repeated_entries, is_count=True, needs=frozenset({Need.ORDERS})),
    LimitRule("self_matches_max", OF_INSTRUMENTS, "orders", measures.self_matches, is_count=True,
              needs=frozenset({Need.ORDERS})),
    LimitRule("positions_max", ALL_KINDS, "positions", measures.positions, is_count=True),
    LimitRule("open_order_notional_max", ALL_KINDS, CURRENCY, measures.open_order_notional,
              needs=PRICES),
    LimitRule("exposure_max", ALL_KINDS, CURRENCY, measures.exposure, needs=PRICES),
    LimitRule("net_exposure_max", ALL_KINDS, CURRENCY, measures.net_exposure, needs=PRICES),
    LimitRule("leverage_max", OF_ACCOUNTS, "ratio", equity.leverage, needs=EQUITY),
    LimitRule("liquidation_distance_min", OF_ACCOUNTS, "ratio", equity.liquidation_distance,
              is_minimum=True, end=Decimal(1), needs=EQUITY),
    LimitRule("balance_min", OF_ACCOUNTS, CURRENCY, equity.balance, is_minimum=True,
              needs=EQUITY),
    LimitRule("loss_per_day_max", OF_OWNERS, CURRENCY, measures.day_loss),
    LimitRule("drawdown_max", OF_OWNERS, CURRENCY, equity.drawdown, needs=EQUITY),
    LimitRule("drawdown_ratio_max", OF_ACCOUNTS, "ratio", equity.drawdown_ratio, end=Decimal(1),
              needs=EQUITY),
    LimitRule("losses_in_row_max", OF_STRATEGIES, "losses", measures.losses_in_row,
              is_count=True, needs=frozenset({Need.LOSSES})),
    LimitRule("seconds_after_loss_min", OF_STRATEGIES, "s", measures.seconds_after_loss,
              is_minimum=True, end=LOSSES_SECONDS, needs=frozenset({Need.LOSSES})),
)  # fmt: skip
"""In the order in which they are checked."""
RULES_BY_NAME: Mapping[str, LimitRule] = {rule.name: rule for rule in RULES}


# Several scopes often have the same value, and all verdicts have the same limits.
@lru_cache(maxsize=TEXTS_MAX)
def _text(amount: Decimal | None) -> str:
    """As it is shown: with at most 18 decimal places."""
    return "" if amount is None else plain(rounded(amount, SHOWN_STEP))


@lru_cache(maxsize=TEXTS_MAX)
def _limit_text(limit: Decimal) -> str:
    return plain(limit)
