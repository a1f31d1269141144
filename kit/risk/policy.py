"""A risk policy: allowed accounts, instruments, times and sizes."""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property

import msgspec
from venuemesh.events.v1 import checks_pb2

from kit.risk import closed_periods, trading_hours
from kit.risk.closed_periods import ClosedPeriod
from kit.risk.escalation import Escalation
from kit.risk.limits import BLOCKED, PASSED, RULES, RULES_BY_NAME, THROTTLED_RATE, Need
from kit.risk.measures import EntryContext, Valuation
from kit.risk.scopes import ALL
from kit.risk.trading_hours import TradingHours


class Policy(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True
):  # dict: for cached_property
    """The content of a policy file. What is not allowed here is blocked."""

    accounts: tuple[str, ...] = ()
    """Accounts in which positions may be opened, each as "venue/account"; "*": all."""
    instruments: tuple[str, ...] = ()
    """Instruments, each as "venue/SYMBOL"; "venue/*": all of a venue, "*": all."""
    strategies: tuple[str, ...] = (ALL,)
    """Strategies that may open positions; "*": all. It does not hold for persons."""
    order_size_max: Mapping[str, Decimal] = {}
    """Largest size of an order, by "venue/SYMBOL". Not named: no limit."""
    order_notional_max: Mapping[str, Decimal] = {}
    """Largest value of an order, by quote asset. An asset that is not named is not allowed, unless
    the limit is waived."""
    entries_per_minute_max: int | None = 0
    """Orders that open positions, of the whole mesh within the last minute. None: no limit."""
    trading_hours: tuple[TradingHours, ...] = ()
    """Empty: always."""
    closed_periods: tuple[ClosedPeriod, ...] = ()
    """When no positions may be opened, by date."""
    book_states: tuple[str, ...] = ()
    """States of the order book in which positions may be opened. Empty: any that may be right."""
    limits: Mapping[str, Mapping[str, Decimal]] = {}
    """By the name of a rule in kit.risk.limits and the key of a scope."""
    waived: tuple[str, ...] = ()
    """Limits that are expressly not set, by name."""
    currency: str = ""
    """In which values of all assets are added up."""
    rates: Mapping[str, Decimal] = {}
    """What one unit of another asset is worth in the currency."""
    groups: Mapping[str, tuple[str, ...]] = {}
    """Instruments that are limited together, because their prices move together."""
    maintenance_margin: Mapping[str, Decimal] = {}
    """By venue, the part of the value of a position that must be left of the equity."""
    escalations: tuple[Escalation, ...] = ()
    """What sets modes when a limit is reached."""

    @cached_property
    def version(self) -> bytes:
        """SHA-256 of the content."""
        return hashlib.sha256(self.text.encode()).digest()

    @cached_property
    def text(self) -> str:
        """The content as JSON; the same for equal contents."""
        return msgspec.json.encode(self, order="deterministic").decode()

    @property
    def valuation(self) -> Valuation:
        return Valuation(self.currency, self.rates)

    @cached_property
    def needs(self) -> frozenset[Need]:
        """What its limits are compared with."""
        found = frozenset[Need]().union(*(RULES_BY_NAME[name].needs for name in self.limits))
        return found | {Need.PRICES} if self.book_states else found

    def allows_account(self, venue: str, account: str) -> bool:
        return ALL in self.accounts or f"{venue}/{account}" in self.accounts

    def allows_instrument(self, venue: str, symbol: str) -> bool:
        names = (ALL, f"{venue}/{ALL}", f"{venue}/{symbol}")
        return not set(names).isdisjoint(self.instruments)

    def checks(self, context: EntryContext) -> list[checks_pb2.Check]:
        """Compare an order with what the policy sets by time, strategy and scope."""
        found = []
        strategy = context.position_key.strategy
        if strategy and ALL not in self.strategies:
            result = PASSED if strategy in self.strategies else BLOCKED
            names = ", ".join(self.strategies)
            found.append(
                checks_pb2.Check(name="strategies", observed=strategy, limit=names, result=result)
            )
        if self.trading_hours:
            found.append(self._hours_check(context.now_ns))
        if self.closed_periods:
            found.append(self._closed_check(context.now_ns))
        if self.book_states:
            found.append(self._book_check(context))
        for rule in RULES:
            if rule.name != THROTTLED_RATE:
                found += rule.checks(context, self.limits.get(rule.name, {}))
            elif context.is_throttled:
                found += self._throttled_checks(context)
        return found

    def _hours_check(self, now_ns: int) -> checks_pb2.Check:
        is_within = trading_hours.is_within(self.trading_hours, now_ns)
        return checks_pb2.Check(
            name="trading_hours",
            observed=trading_hours.week_time(now_ns),
            limit=trading_hours.text_of(self.trading_hours),
            unit="UTC",
            result=PASSED if is_within else BLOCKED,
        )

    def _closed_check(self, now_ns: int) -> checks_pb2.Check:
        closed = closed_periods.at(self.closed_periods, now_ns)
        return checks_pb2.Check(
            name="closed_periods",
            observed=closed_periods.utc_text(now_ns),
            limit="" if closed is None else closed_periods.text_of(closed),
            unit="UTC",
            result=PASSED if closed is None else BLOCKED,
        )

    def _book_check(self, context: EntryContext) -> checks_pb2.Check:
        reference = context.facts.reference
        state = "" if reference is None else reference.book_state
        return checks_pb2.Check(
            name="book_states",
            observed=state,
            limit=", ".join(self.book_states),
            result=PASSED if state in self.book_states else BLOCKED,
            detail="" if state else "no good order book is known",
        )

    def _throttled_checks(self, context: EntryContext) -> list[checks_pb2.Check]:
        found = [
            *RULES_BY_NAME[THROTTLED_RATE].checks(context, self.limits.get(THROTTLED_RATE, {}))
        ]
        if not found:
            # Which lower rate it is is not known.
            text = "the mode is THROTTLED, and the policy has no rate for it"
            found = [checks_pb2.Check(name=THROTTLED_RATE, result=BLOCKED, detail=text)]
        return found


OPEN_POLICY = Policy(
    accounts=(ALL,),
    instruments=(ALL,),
    order_notional_max={
        **dict.fromkeys(("USDT", "USDC", "USD", "EUR"), Decimal(100_000)),
        "BTC": Decimal(2),
        "ETH": Decimal(50),
    },
    entries_per_minute_max=600,
)
"""Where no real money is involved."""
