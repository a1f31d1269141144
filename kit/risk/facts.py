"""The facts for the comparison of an order with limits, as verdicts record them. None: unknown."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from kit.accounting.amounts import add, quotient
from kit.risk.scopes import Groups, PositionKey, Scope, ScopeKind

LOSSES_SECONDS = Decimal(24 * 60 * 60)
"""Older losses of a strategy do not count."""


class Exposure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is open in an instrument of an account, of one strategy or of persons. Values are in
    ``asset``; None: not known."""

    venue: str
    account: str
    symbol: str
    strategy: str = ""
    asset: str = ""
    """"": the terms of the instrument are not known."""
    held: Decimal | None = Decimal(0)
    """Value of the position; negative if short."""
    buys: Decimal | None = Decimal(0)
    """Value of the approved purchases that may still be filled."""
    sells: Decimal | None = Decimal(0)

    @property
    def position_key(self) -> PositionKey:
        return PositionKey(self.venue, self.account, self.symbol, self.strategy)


class DayProfit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Profit of a strategy, or of persons, in an account since the day's start, in one asset."""

    venue: str
    account: str
    strategy: str = ""
    asset: str
    profit: Decimal
    """Realised, with fees and funding; a loss is negative."""

    @property
    def position_key(self) -> PositionKey:
        return PositionKey(self.venue, self.account, "", self.strategy)


class RecentEntries(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Approved entries within a time."""

    venue: str
    account: str
    strategy: str = ""
    count: int

    @property
    def position_key(self) -> PositionKey:
        return PositionKey(self.venue, self.account, "", self.strategy)


class Losses(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The newest losses of the strategy of the order within LOSSES_SECONDS, one after the other."""

    in_row: int
    """How many closings before now were losses, without a profit between them."""
    last_time_ns: int = 0
    """Of the newest one. 0: there is none in this row."""


class ReferencePrice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The top of the order book of the instrument."""

    bid: Decimal
    ask: Decimal
    time_ns: int
    """The book was so at this time or later."""
    book_state: str = ""
    """As "proven" or "unproven"; "": not known."""

    @property
    def middle(self) -> Decimal:
        return quotient(add(self.bid, self.ask), Decimal(2))


class Holding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A position, or an order as if it were filled, with what its profit follows from."""

    venue: str
    account: str
    symbol: str
    strategy: str = ""
    base: str = ""
    quote: str = ""
    """"": the terms of the instrument are not known."""
    settle: str = ""
    """Of a derivative, the asset that pays profit and loss; "" of spot."""
    multiplier: Decimal | None = None
    size: Decimal
    """Negative if short."""
    cost: Decimal | None = None
    """What it is worth at the prices of its fills; negative if short."""
    mark: Decimal | None = None
    """The middle of the best bid and ask."""

    @property
    def position_key(self) -> PositionKey:
        return PositionKey(self.venue, self.account, self.symbol, self.strategy)


class Balance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an account has of an asset by the books, without what open positions have earned."""

    venue: str
    account: str
    asset: str
    amount: Decimal

    @property
    def position_key(self) -> PositionKey:
        return PositionKey(self.venue, self.account, "")


class OpenOrder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An own order in the instrument of the order, of any account of its venue."""

    account: str
    strategy: str = ""
    is_buy: bool
    size: Decimal
    price: Decimal | None = None
    """None: at market."""
    is_recent: bool = False
    """Whether it is an entry that was approved within the last minute."""
    may_fill: bool = False
    """Whether it may still be filled."""


class RiskFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All facts. None: unknown."""

    notional: Decimal | None = None
    """The value of the order in ``notional_asset``."""
    notional_asset: str = ""
    exposures: tuple[Exposure, ...] | None = None
    """Of the whole mesh."""
    results: tuple[DayProfit, ...] | None = None
    recent: tuple[RecentEntries, ...] | None = None
    """Within the last minute."""
    losses: Losses | None = None
    """None: also for an order of a person. This and what follows: also where no limit needs it."""
    reference: ReferencePrice | None = None
    order: Holding | None = None
    """The order, as if it were filled."""
    today: tuple[RecentEntries, ...] | None = None
    """Since midnight UTC."""
    orders: tuple[OpenOrder, ...] | None = None
    holdings: tuple[Holding, ...] | None = None
    balances: tuple[Balance, ...] | None = None
    booked: tuple[DayProfit, ...] | None = None
    """Since the books began."""
    marks: Mapping[str, Decimal] | None = None
    """The high-water marks of profit by scope, in the currency of the policy. A scope that is not
    there has had no profit yet."""
    strategy: str = ""
    """Of the order that a person amends. "": of a person, or the order names it."""

    @property
    def text(self) -> str:
        """As JSON; the same for equal facts."""
        return msgspec.json.encode(self, order="deterministic").decode()

    def exposures_in(self, scope: Scope, groups: Groups) -> Iterable[Exposure] | None:
        if self.exposures is None or scope.kind is ScopeKind.MESH:
            return self.exposures
        return [one for one in self.exposures if one.position_key.is_in(scope, groups)]


NO_FACTS = RiskFacts()


def read_facts(text: str) -> RiskFacts | None:
    """The facts of a verdict; None if it has recorded none."""
    return msgspec.json.decode(text, type=RiskFacts) if text else None
