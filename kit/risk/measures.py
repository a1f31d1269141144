"""The values after an order, for the comparison with limits. Unknown stays unknown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from kit.accounting.amounts import ZERO, add, plain, product, quotient, subtract
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.risk.facts import Exposure, RecentEntries, RiskFacts
from kit.risk.scopes import ALL, Groups, PositionKey, Scope, ScopeKind

ONE = Decimal(1)
MILLISECOND_NS = 1_000_000
MESH = Scope(ScopeKind.MESH)


@dataclass(frozen=True, slots=True)
class Valuation:
    """How amounts of several assets are added up."""

    currency: str
    """"": none is set, and no value is known."""
    rates: Mapping[str, Decimal]
    """What one unit of an asset is worth in the currency."""

    @property
    def text(self) -> str:
        """The same for equal currencies and rates."""
        rates = " ".join(f"{asset}={plain(self.rates[asset])}" for asset in sorted(self.rates))
        return f"{self.currency} {rates}"

    def rate(self, asset: str) -> Decimal | None:
        if asset and asset == self.currency:
            return ONE
        return self.rates.get(asset)

    def value(self, amount: Decimal | None, asset: str) -> Decimal | None:
        """An amount in the currency; None if it, or the rate, is not known."""
        rate = self.rate(asset)
        return None if amount is None or rate is None else product(amount, rate)

    def values(self, exposure: Exposure) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
        """What is held, may be bought and may be sold, in the currency."""
        rate = self.rate(exposure.asset)
        if rate is None:
            return None, None, None
        held, buys, sells = exposure.held, exposure.buys, exposure.sells
        # Most have only one of the three.
        return (
            product(held, rate) if held else held,
            product(buys, rate) if buys else buys,
            product(sells, rate) if sells else sells,
        )

    def problem(self, asset: str) -> str:
        """Why no value is known."""
        if not asset:
            return "the terms of an instrument are not known"
        if self.rate(asset) is None:
            return f"the policy has no rate of {asset}: name it in rates"
        return f"an amount in {asset} is not known: no price, or no terms of the contract"


@dataclass(frozen=True, slots=True)
class EntryContext:
    """An order that may open a position, and what it is compared with."""

    position_key: PositionKey
    is_buy: bool
    prices: tuple[Decimal | None, ...]
    """Limit prices, or those that trigger; of an order at market its reference price. Several: of
    alternatives. None: not known."""
    now_ns: int
    facts: RiskFacts
    valuation: Valuation
    groups: Groups
    maintenance: Mapping[str, Decimal] = field(default_factory=dict)
    """By venue, the margin below which positions are liquidated, as a part of their value."""
    is_throttled: bool = False
    """Whether the mode is THROTTLED."""
    _computed: dict[tuple[str, Scope], Any] = field(
        default_factory=dict, compare=False, repr=False, init=False
    )

    @property
    def scopes(self) -> Sequence[tuple[Scope, str, str]]:
        """The scopes that the order is in, each with its key and that of all of its kind."""
        found: Sequence[tuple[Scope, str, str]] = self.computed("scopes", MESH, self._scopes)
        return found

    def _scopes(self) -> Sequence[tuple[Scope, str, str]]:
        scopes = self.position_key.scopes(self.groups)
        return [(scope, scope.key, f"{scope.kind}:{ALL}") for scope in scopes]

    def computed(self, name: str, scope: Scope, compute: Callable[[], Any]) -> Any:
        """What several limits are compared with: it is computed once."""
        key = name, scope
        if key not in self._computed:
            self._computed[key] = compute()
        return self._computed[key]


class Measured(NamedTuple):
    """A value before and after an order."""

    observed: Decimal | None = None
    projected: Decimal | None = None
    """None: the order does not change it."""
    problem: str = ""
    """Why it is not known. "": it is."""

    @property
    def value(self) -> Decimal | None:
        """What the limit is compared with."""
        if self.problem:
            return None
        return self.observed if self.projected is None else self.projected


Measure = Callable[[EntryContext, Scope], Measured]


def order_value(context: EntryContext, scope: Scope) -> Measured:
    """The value of the order."""
    facts, valuation = context.facts, context.valuation
    value = valuation.value(facts.notional, facts.notional_asset)
    if value is None:
        return Measured(problem=valuation.problem(facts.notional_asset))
    return Measured(projected=value)


def price_deviation(context: EntryContext, scope: Scope) -> Measured:
    """The distance of its price from the best price of the other side, as a part of that; of
    alternatives the largest one."""
    reference = context.facts.reference
    if reference is None:
        return Measured(problem="no good order book is known")
    best = reference.ask if context.is_buy else reference.bid
    known = [price for price in context.prices if price is not None]
    if not known or len(known) < len(context.prices):
        return Measured(problem="the price of the order is not known")
    return Measured(max(quotient(abs(subtract(price, best)), best) for price in known))


def price_age(context: EntryContext, scope: Scope) -> Measured:
    """The age of the order book, in ms."""
    reference = context.facts.reference
    if reference is None:
        return Measured(problem="no good order book is known")
    # A clock that was set back does not make an old price new.
    age_ns = abs(context.now_ns - reference.time_ns)
    return Measured(quotient(Decimal(age_ns), Decimal(MILLISECOND_NS)))


def entries_per_minute(context: EntryContext, scope: Scope) -> Measured:
    """The entries of a minute."""
    return _with_this_one(context, scope, context.facts.recent, "the entries of the last minute")


def entries_per_day(context: EntryContext, scope: Scope) -> Measured:
    """The entries since midnight UTC."""
    return _with_this_one(context, scope, context.facts.today, "the entries of the day")


def repeated_entries(context: EntryContext, scope: Scope) -> Measured:
    """The entries of a minute that are like the order: in its account and instrument, of its
    strategy or of persons, of its side and size."""
    orders, order, position_key = context.facts.orders, context.facts.order, context.position_key
    if orders is None or order is None:
        return Measured(problem="the entries of the last minute in the instrument are not known")
    like = [
        one
        for one in orders
        if one.is_recent
        and (one.account, one.strategy) == (position_key.account, position_key.strategy)
        and (one.is_buy, one.size) == (context.is_buy, abs(order.size))
    ]
    return Measured(Decimal(len(like)), Decimal(len(like) + 1))


def self_matches(context: EntryContext, scope: Scope) -> Measured:
    """The own orders of the other side, of any account of the venue, that the order could trade
    with."""
    if context.facts.orders is None:
        return Measured(problem="the own orders in the instrument are not known")
    others = [one for one in context.facts.orders if one.may_fill and one.is_buy != context.is_buy]
    return Measured(Decimal(sum(_may_meet(context, one.price) for one in others)))


def open_order_notional(context: EntryContext, scope: Scope) -> Measured:
    """The value of all entries that may still be filled."""

    def to_fill(sums: _Sums) -> Decimal:
        return add(sums.buys, sums.sells)

    return _exposed(context, scope, to_fill)


def positions(context: EntryContext, scope: Scope) -> Measured:
    """How many positions are open, or may still be opened by what is approved."""
    exposures = _exposures_in(context, scope)
    if exposures is None:
        return Measured(problem="the positions are not known")
    places = {one.position_key for one in exposures if one.is_open}
    return Measured(Decimal(len(places)), Decimal(len(places | {context.position_key})))


def exposure(context: EntryContext, scope: Scope) -> Measured:
    """The sum of the values of positions and of what may still open, whatever the side is."""

    def gross(sums: _Sums) -> Decimal:
        return add(sums.gross, add(sums.buys, sums.sells))

    return _exposed(context, scope, gross)


def net_exposure(context: EntryContext, scope: Scope) -> Measured:
    """The value of long positions less that of short ones, the larger of: all that may still be
    bought is bought, or all that may still be sold is sold."""

    def net(sums: _Sums) -> Decimal:
        bought, sold = add(sums.held, sums.buys), subtract(sums.held, sums.sells)
        return max(abs(bought), abs(sold))

    return _exposed(context, scope, net)


def net_held(context: EntryContext, scope: Scope) -> Measured:
    """The value of long positions less that of short ones, without entries that may still be
    filled."""
    return _exposed(context, scope, lambda sums: sums.held)


def day_loss(context: EntryContext, scope: Scope) -> Measured:
    """What was lost since midnight UTC: realised, with fees and funding. 0 with a profit."""
    facts, valuation = context.facts, context.valuation
    if facts.results is None:
        return Measured(problem="the profit of the day is not known")
    profit = ZERO
    for one in facts.results:
        if one.position_key.is_in(scope, context.groups):
            value = valuation.value(one.profit, one.asset)
            if value is None:
                return Measured(problem=valuation.problem(one.asset))
            profit = add(profit, value)
    return Measured(max(ZERO, subtract(ZERO, profit)))


def losses_in_row(context: EntryContext, scope: Scope) -> Measured:
    """The losses one after the other, if this position is one as well."""
    losses = context.facts.losses
    if losses is None:
        return Measured(problem="the results of the strategy are not known")
    return Measured(Decimal(losses.in_row), Decimal(losses.in_row + 1))


def seconds_after_loss(context: EntryContext, scope: Scope) -> Measured:
    """The time since the newest loss, if nothing was won since."""
    losses = context.facts.losses
    if losses is None:
        return Measured(problem="the results of the strategy are not known")
    passed_ns = context.now_ns - losses.last_time_ns
    return Measured(quotient(Decimal(passed_ns), Decimal(NANOSECONDS_PER_SECOND)))


def _with_this_one(
    context: EntryContext, scope: Scope, entries: Iterable[RecentEntries] | None, name: str
) -> Measured:
    if entries is None:
        return Measured(problem=f"{name} are not known")
    groups = context.groups
    count = Decimal(sum(one.count for one in entries if one.position_key.is_in(scope, groups)))
    return Measured(count, add(count, ONE))


def _may_meet(context: EntryContext, price: Decimal | None) -> bool:
    """Whether an order of the other side at a price could trade with it. One at market could trade
    with any."""
    for own in context.prices:
        if own is None or price is None:
            return True
        if own >= price if context.is_buy else own <= price:
            return True
    return False


class _Sums(NamedTuple):
    """Values of a scope in the currency."""

    gross: Decimal = ZERO
    """Of positions, whatever their side is."""
    held: Decimal = ZERO
    buys: Decimal = ZERO
    sells: Decimal = ZERO
    problem: str = ""
    """Why they are not known. "": they are."""


def _exposed(context: EntryContext, scope: Scope, measure: Callable[[_Sums], Decimal]) -> Measured:
    facts, valuation = context.facts, context.valuation
    sums: _Sums = context.computed("exposed", scope, lambda: _sums(context, scope))
    if sums.problem:
        return Measured(problem=sums.problem)
    value = valuation.value(facts.notional, facts.notional_asset)
    if value is None:
        return Measured(measure(sums), problem=valuation.problem(facts.notional_asset))
    if context.is_buy:
        return Measured(measure(sums), measure(sums._replace(buys=add(sums.buys, value))))
    return Measured(measure(sums), measure(sums._replace(sells=add(sums.sells, value))))


class _ValuedExposure(NamedTuple):
    """An exposure, whose values are in the currency."""

    position_key: PositionKey
    asset: str
    is_open: bool
    held: Decimal | None
    buys: Decimal | None
    sells: Decimal | None


def _exposures_in(context: EntryContext, scope: Scope) -> Sequence[_ValuedExposure] | None:
    """The exposures of a scope; None if they are not known."""
    if context.facts.exposures is None:
        return None
    found: Sequence[_ValuedExposure] = context.computed("exposures", MESH, lambda: _valued(context))
    if scope.kind is ScopeKind.MESH:
        return found
    return [one for one in found if one.position_key.is_in(scope, context.groups)]


def _valued(context: EntryContext) -> Sequence[_ValuedExposure]:
    values = context.valuation.values
    return [
        _ValuedExposure(one.position_key, one.asset, _is_open(one), *values(one))
        for one in context.facts.exposures or ()
    ]


def _sums(context: EntryContext, scope: Scope) -> _Sums:
    exposures = _exposures_in(context, scope)
    if exposures is None:
        return _Sums(problem="the positions are not known")
    gross = signed = bought = sold = ZERO
    for position_key, asset, _, held, buys, sells in exposures:
        if held is None or buys is None or sells is None:
            name = "/".join(position_key[:3])
            return _Sums(problem=f"{name}: {context.valuation.problem(asset)}")
        if held:
            gross, signed = add(gross, abs(held)), add(signed, held)
        if buys or sells:
            bought, sold = add(bought, buys), add(sold, sells)
    return _Sums(gross, signed, bought, sold)


def _is_open(exposure: Exposure) -> bool:
    return any(amount != ZERO for amount in (exposure.held, exposure.buys, exposure.sells))
