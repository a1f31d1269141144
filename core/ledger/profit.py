"""Profit and equity: realised from the balances, unrealised from positions and prices."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from venuemesh.ledger.v1 import ledger_pb2

from core.ledger.accounts import AccountCode, AccountKey
from core.ledger.contracts import HoldingKey, InstrumentKey
from core.ledger.store import Totals
from core.ledger.valuation import Amount, Place
from kit.accounting.contract import Contract
from kit.accounting.money import atoms_text, parse_atoms

Prices = Mapping[InstrumentKey, Decimal]
"""Of the instruments whose price is known."""


class OpenPosition(NamedTuple):
    """What a strategy holds now."""

    holding: HoldingKey
    strategy: str
    size: int
    """In 10^-18; negative for a short position."""
    cost: int
    """In atoms; negative for a short position."""
    contract: Contract

    def unrealized(self, price: Decimal | None) -> int | None:
        """The profit of closing it at a price, in atoms of the asset that pays it; None while the
        price is not known."""
        if not self.size:
            return -self.contract.direction * self.cost
        if price is None:
            return None
        unit_value = self.contract.unit_value(price)
        return self.contract.direction * (unit_value.apply(self.size) - self.cost)


Grouping = Callable[[Place], Place]

GROUPINGS: Mapping[int, Grouping] = {
    ledger_pb2.PROFIT_GROUPING_UNSPECIFIED: lambda place: (place[0], place[1], "", ""),
    ledger_pb2.PROFIT_GROUPING_ACCOUNT: lambda place: (place[0], place[1], "", ""),
    ledger_pb2.PROFIT_GROUPING_STRATEGY: lambda place: ("", "", "", place[3]),
    ledger_pb2.PROFIT_GROUPING_VENUE: lambda place: (place[0], "", "", ""),
    ledger_pb2.PROFIT_GROUPING_PORTFOLIO: lambda place: ("", "", "", ""),
    ledger_pb2.PROFIT_GROUPING_POSITION: lambda place: place,
}


@dataclass(slots=True)
class _Sums:
    """Amounts in atoms; profits are positive."""

    realized: int = 0
    fees: int = 0
    funding: int = 0
    unrealized: int = 0
    unpriced: set[str] = field(default_factory=set)
    """Symbols."""


def profits(
    totals: Iterable[Totals], positions: Iterable[OpenPosition], prices: Prices, grouping: Grouping
) -> list[ledger_pb2.Profit]:
    """The profit of each group in each asset, in order."""
    sums: defaultdict[tuple[Place, str], _Sums] = defaultdict(_Sums)
    for row in totals:
        key, profit = row.key, row.credits - row.debits
        own = grouping((key.venue, key.account, key.symbol, key.strategy))
        match key.code:
            case AccountCode.REALIZED_PROFIT:
                sums[own, key.asset].realized += profit
            case AccountCode.FEES:
                sums[own, key.asset].fees += profit
            case AccountCode.FUNDING_PROFIT:
                sums[own, key.asset].funding += profit
    for position in positions:
        if position.size:
            found = sums[grouping((*position.holding, position.strategy)), position.contract.settle]
            open_profit = position.unrealized(prices.get(position.holding.instrument))
            if open_profit is None:
                found.unpriced.add(position.holding.symbol)
            else:
                found.unrealized += open_profit
    return [
        ledger_pb2.Profit(
            venue=place[0],
            account=place[1],
            symbol=place[2],
            strategy=place[3],
            asset=asset,
            realized=atoms_text(found.realized),
            fees=atoms_text(found.fees),
            funding=atoms_text(found.funding),
            unrealized="" if found.unpriced else atoms_text(found.unrealized),
            unpriced_symbols=sorted(found.unpriced),
        )
        for (place, asset), found in sorted(sums.items(), key=lambda item: item[0])
    ]


def equities(
    totals: Sequence[Totals], positions: Sequence[OpenPosition], prices: Prices
) -> list[ledger_pb2.Equity]:
    """What each account has of each asset, in order. Spot positions are in the cash already."""
    cash: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    open_profit: defaultdict[tuple[str, str, str], int | None] = defaultdict(int)
    derivatives = [one for one in positions if not one.contract.is_spot]
    clearing = {
        AccountKey(AccountCode.POSITION, *one.holding[:2], one.contract.settle, one.holding.symbol)
        for one in derivatives
    }
    for row in totals:
        place, balance = (row.key.venue, row.key.account, row.key.asset), row.debits - row.credits
        if row.key.code in (AccountCode.CASH, AccountCode.MARGIN):
            # What is reserved is still owned.
            cash[place] += balance
        elif row.key in clearing:
            # What the strategies have realised is, for the account, a part of its open position.
            open_profit[place] = (open_profit[place] or 0) + balance
    for position in _netted(derivatives):
        place = (position.holding.venue, position.holding.account, position.contract.settle)
        profit = position.unrealized(prices.get(position.holding.instrument))
        before = open_profit[place]
        open_profit[place] = None if profit is None or before is None else before + profit
    return [
        _equity(place, cash[place], open_profit[place])
        for place in sorted(cash.keys() | open_profit.keys())
    ]


def _netted(positions: Iterable[OpenPosition]) -> Iterable[OpenPosition]:
    """The positions of all strategies of an account together."""
    found: dict[HoldingKey, OpenPosition] = {}
    for one in positions:
        before = found.get(one.holding)
        if before is not None:
            one = one._replace(size=before.size + one.size, cost=before.cost + one.cost)
        found[one.holding] = one
    return found.values()


def _equity(place: tuple[str, str, str], cash: int, open_profit: int | None) -> ledger_pb2.Equity:
    venue, account, asset = place
    return ledger_pb2.Equity(
        venue=venue,
        account=account,
        asset=asset,
        cash=atoms_text(cash),
        unrealized="" if open_profit is None else atoms_text(open_profit),
        equity="" if open_profit is None else atoms_text(cash + open_profit),
    )


def profit_amounts(profit: ledger_pb2.Profit) -> Iterable[Amount]:
    """The net profit of a group in one asset; where a part is not known, the rest, and that."""
    place = (profit.venue, profit.account, profit.symbol, profit.strategy)
    parts = (profit.realized, profit.fees, profit.funding, profit.unrealized)
    yield Amount(place, profit.asset, sum(parse_atoms(part) for part in parts if part))
    if not profit.unrealized:
        yield Amount(place, profit.asset, None)


def equity_amounts(found: Iterable[ledger_pb2.Equity], place: Place) -> list[Amount]:
    """What accounts own, for one total; where open profit is not known, the cash, and that."""
    amounts = []
    for one in found:
        amounts.append(Amount(place, one.asset, parse_atoms(one.equity or one.cash)))
        if not one.equity:
            amounts.append(Amount(place, one.asset, None))
    return amounts
