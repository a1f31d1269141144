"""A risk policy: allowed accounts, instruments, times and sizes."""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property

import msgspec
from venuemesh.events.v1 import checks_pb2

from kit.risk import trading_hours
from kit.risk.limits import BLOCKED, OF_LOSSES, PASSED, PRICED, RULES
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

    @property
    def needs_prices(self) -> bool:
        """Whether a limit is compared with prices of now."""
        return not PRICED.isdisjoint(self.limits)

    @property
    def needs_losses(self) -> bool:
        """Whether a limit is compared with the newest losses of a strategy."""
        return not OF_LOSSES.isdisjoint(self.limits)

    def allows_account(self, venue: str, account: str) -> bool:
        return ALL in self.accounts or f"{venue}/{account}" in self.accounts

    def allows_instrument(self, venue: str, symbol: str) -> bool:
        names = (ALL, f"{venue}/{ALL}", f"{venue}/{symbol}")
        return not set(names).isdisjoint(self.instruments)

    def checks(self, context: EntryContext) -> list[checks_pb2.Check]:
        """Compare an order with what the policy sets by time, strategy and scope."""
        found = []
        strategy = context.place.strategy
        if strategy and ALL not in self.strategies:
            result = PASSED if strategy in self.strategies else BLOCKED
            names = ", ".join(self.strategies)
            found.append(
                checks_pb2.Check(name="strategies", observed=strategy, limit=names, result=result)
            )
        if self.trading_hours:
            found.append(self._hours_check(context.now_ns))
        for rule in RULES:
            found += rule.checks(context, self.limits.get(rule.name, {}))
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
