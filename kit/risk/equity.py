"""Profit, equity and margin by the books and the prices of now, and what an order makes of them.

Profit is what was realised, less fees, with funding and with the open profit of positions at their
marks. Equity is what accounts have, with the open profit of derivatives. Unknown stays unknown.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TypeVar

from kit.accounting.amounts import ZERO, add, product, quotient, rounded, subtract, total
from kit.accounting.contract import Contract, ContractAssets, ContractKind
from kit.accounting.fees import FeeCalculator, FeeTier
from kit.accounting.margin import MarginCalculator
from kit.accounting.money import ATOM, Ratio, atoms_of
from kit.accounting.wallet import Wallet
from kit.risk.facts import Holding
from kit.risk.measures import ONE, EntryContext, Measured, Valuation, exposure
from kit.risk.scopes import PositionKey, Scope, ScopeKind

Fact = TypeVar("Fact")
CONTRACTS_MAX = 4_096
"""Terms and values that are kept, as they are computed slowly."""
_NO_FEES = FeeCalculator([FeeTier(ZERO, ZERO)])


class _Unknown(Exception):
    """A value is not known. The text has the reason."""


def _or_problem(
    measure: Callable[[EntryContext, Scope], Measured],
) -> Callable[[EntryContext, Scope], Measured]:
    def measured(context: EntryContext, scope: Scope) -> Measured:
        try:
            return measure(context, scope)
        except _Unknown as unknown:
            return Measured(problem=str(unknown))

    return measured


@_or_problem
def profit(context: EntryContext, scope: Scope) -> Measured:
    """What was earned since the books began."""
    return Measured(_profit(context, scope))


@_or_problem
def drawdown(context: EntryContext, scope: Scope) -> Measured:
    """How far the profit is below its high-water mark."""
    return Measured(_drawdown(context, scope))


@_or_problem
def drawdown_ratio(context: EntryContext, scope: Scope) -> Measured:
    """The drawdown as a part of the equity at the high-water mark."""
    fallen = _drawdown(context, scope)
    highest = add(_equity(context, scope), fallen)
    if highest <= ZERO:
        raise _Unknown("the equity was never above 0: no part of it is known")
    return Measured(_ratio(fallen, highest))


@_or_problem
def balance(context: EntryContext, scope: Scope) -> Measured:
    """The equity of the accounts."""
    return Measured(_equity(context, scope))


@_or_problem
def leverage(context: EntryContext, scope: Scope) -> Measured:
    """The exposure, as ``exposure`` measures it, as a multiple of the equity."""
    owned = _equity(context, scope)
    if owned <= ZERO:
        raise _Unknown("the equity is not above 0: no leverage is known")
    exposed = exposure(context, scope)
    observed, projected = (None if value is None else _ratio(value, owned) for value in exposed[:2])
    return Measured(observed, projected, exposed.problem)


@_or_problem
def liquidation_distance(context: EntryContext, scope: Scope) -> Measured:
    """The smallest distance of the liquidation price of a position from its mark, as a part of the
    mark; at most 1, which it also is without a position that can be liquidated."""
    holdings = [one for one in holdings_of(context) if one.settle and one.size]
    order = context.facts.order
    with_order = [*holdings, order] if order is not None and order.settle else None
    observed = _smallest_distance(context, scope, holdings)
    if with_order is None:
        return Measured(observed)
    return Measured(observed, _smallest_distance(context, scope, with_order))


def open_profit(holding: Holding) -> Decimal | None:
    """What closing it at its mark would bring, in the asset that pays it; None if that is not
    known."""
    value = _value_at_mark(holding)
    if value is None or holding.cost is None:
        return None
    gain = subtract(value, holding.cost)
    return -gain if _assets(holding).kind is ContractKind.INVERSE else gain


def _profit(context: EntryContext, scope: Scope) -> Decimal:
    found: Decimal = context.computed("profit", scope, lambda: _sum_of_profit(context, scope))
    return found


def _equity(context: EntryContext, scope: Scope) -> Decimal:
    found: Decimal = context.computed("equity", scope, lambda: _sum_of_equity(context, scope))
    return found


def _sum_of_profit(context: EntryContext, scope: Scope) -> Decimal:
    facts, groups = context.facts, context.groups
    found = [
        _value(context.valuation, one.profit, one.asset)
        for one in _known(facts.booked, "profits")
        if one.position_key.is_in(scope, groups)
    ]
    holdings = holdings_of(context)
    return total([*found, *_open_profits(context, scope, holdings)])


def _drawdown(context: EntryContext, scope: Scope) -> Decimal:
    marks = context.facts.marks
    if marks is None:
        raise _Unknown("the high-water marks are not known")
    return max(ZERO, subtract(marks.get(scope.key, ZERO), _profit(context, scope)))


def _sum_of_equity(context: EntryContext, scope: Scope) -> Decimal:
    facts, position_key = context.facts, context.position_key
    balances = [
        one
        for one in _known(facts.balances, "balances")
        if one.position_key.is_in(scope, context.groups)
    ]
    is_booked = any(one.position_key[:2] == position_key[:2] for one in balances)
    if not is_booked and (position_key.account or not balances):
        # What is missing is not nothing, and not unlimited.
        where = (
            f"{position_key.venue}/{position_key.account}" if position_key.account else scope.key
        )
        raise _Unknown(f"no balance of {where} is known")
    derivatives = [one for one in holdings_of(context) if one.settle]
    found = [_value(context.valuation, one.amount, one.asset) for one in balances]
    return total([*found, *_open_profits(context, scope, derivatives)])


def _open_profits(
    context: EntryContext, scope: Scope, holdings: Iterable[Holding]
) -> Iterator[Decimal]:
    everything = Scope(ScopeKind.MESH)
    profits: Mapping[int, tuple[PositionKey, Decimal | None]] = context.computed(
        "open profit", everything, lambda: _valued_profits(context)
    )
    is_all = scope.kind is ScopeKind.MESH
    for one in holdings:
        position_key, value = profits[id(one)]
        if is_all or position_key.is_in(scope, context.groups):
            if value is None:
                raise _Unknown(context.valuation.problem(one.settle or one.quote))
            yield value


def _valued_profits(context: EntryContext) -> Mapping[int, tuple[PositionKey, Decimal | None]]:
    """Position and open profit in the currency, by the id of a holding; None: not known."""
    found: dict[int, tuple[PositionKey, Decimal | None]] = {}
    for one in holdings_of(context):
        profit = open_profit(one)
        is_nothing = profit is not None and not profit
        value = context.valuation.value(profit, one.settle or one.quote)
        found[id(one)] = one.position_key, ZERO if is_nothing else value
    return found


def holdings_of(context: EntryContext) -> tuple[Holding, ...]:
    return _known(context.facts.holdings, "positions")


def _smallest_distance(context: EntryContext, scope: Scope, holdings: Iterable[Holding]) -> Decimal:
    """Of all positions of each account that has one in the scope: they share their margin."""
    accounts: defaultdict[tuple[str, str], list[Holding]] = defaultdict(list)
    for one in holdings:
        accounts[one.position_key[:2]].append(one)
    found = [ONE]
    for (venue, account), own in sorted(accounts.items()):
        if PositionKey(venue, account, "").is_in(scope, context.groups):
            maintenance = context.maintenance.get(venue)
            if maintenance is None:
                raise _Unknown(f"the policy has no maintenance_margin of {venue}: it is not known")
            balances = _known(context.facts.balances, "balances")
            amounts = {
                one.asset: one.amount
                for one in balances
                if one.position_key[:2] == (venue, account)
            }
            found += _distances(own, amounts, maintenance)
    return min(found)


def _distances(
    holdings: Sequence[Holding], amounts: Mapping[str, Decimal], maintenance: Decimal
) -> Iterator[Decimal]:
    """Of each position of an account."""
    wallet, marks = Wallet(), dict[str, Decimal]()
    for one in holdings:
        if one.mark is None or one.multiplier is None or one.cost is None:
            raise _Unknown(f"no price of {one.symbol} is known, or no terms of its contract")
        if one.settle not in amounts:
            where = f"{one.venue}/{one.account}"
            raise _Unknown(f"no balance of {one.settle} in {where} is known")
        wallet.totals[one.settle] = atoms_of(amounts[one.settle])
        terms = one.symbol, one.base, one.quote, one.settle, one.multiplier
        position = wallet.position(_contract(*terms))
        position.size += atoms_of(one.size)
        position.cost += atoms_of(one.cost)
        marks[one.symbol] = one.mark

    def unit_value(contract: Contract) -> Ratio:
        return _unit_value(contract, marks[contract.symbol])

    margin = MarginCalculator(_NO_FEES, Ratio.of(ONE), Ratio.of(maintenance), unit_value)
    for asset in sorted(wallet.totals):
        free = margin.equity(wallet, asset) - margin.maintenance_required(wallet, asset)
        if free <= 0:
            yield ZERO
        for position, price in margin.nearest_liquidations(wallet, asset, free):
            mark = marks[position.contract.symbol]
            yield ONE if price is None else min(ONE, _ratio(abs(subtract(price, mark)), mark))


@lru_cache(maxsize=CONTRACTS_MAX)
def _contract(symbol: str, base: str, quote: str, settle: str, multiplier: Decimal) -> Contract:
    return Contract(symbol, ContractAssets(base, quote, settle), multiplier)


@lru_cache(maxsize=CONTRACTS_MAX)
def _unit_value(contract: Contract, mark: Decimal) -> Ratio:
    return contract.unit_value(mark)


def _value_at_mark(holding: Holding) -> Decimal | None:
    if not holding.size:
        return ZERO
    if holding.multiplier is None or holding.mark is None:
        return None
    size = product(holding.size, holding.multiplier)
    is_inverse = _assets(holding).kind is ContractKind.INVERSE
    value = quotient(size, holding.mark) if is_inverse else product(size, holding.mark)
    # As the ledger counts: in atoms.
    return rounded(value, ATOM)


def _assets(holding: Holding) -> ContractAssets:
    return ContractAssets(holding.base, holding.quote, holding.settle)


def _value(valuation: Valuation, amount: Decimal | None, asset: str) -> Decimal:
    if amount is not None and not amount:
        return ZERO
    value = valuation.value(amount, asset)
    if value is None:
        raise _Unknown(valuation.problem(asset))
    return value


def _known(facts: tuple[Fact, ...] | None, name: str) -> tuple[Fact, ...]:
    if facts is None:
        raise _Unknown(f"the {name} are not known")
    return facts


def _ratio(amount: Decimal, of: Decimal) -> Decimal:
    """Rounded, so that it can be computed with."""
    return rounded(quotient(amount, of), ATOM)
