"""The books of one account by an independent computation, with fractions.Fraction.

It shares no code with the ledger and with kit/accounting.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import NamedTuple

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import cash_flows_pb2, orders_pb2

ATOMS = 10**18
PROFIT_CODES = ("REALIZED_PROFIT", "FUNDING_PROFIT")
FLOW_CODES = {
    "FUNDING": "FUNDING_PROFIT",
    "INTEREST": "FUNDING_PROFIT",
    "FEE": "FEES",
    "LIQUIDATION": "FEES",
    "SETTLEMENT": "REALIZED_PROFIT",
    "TRANSFER": "EXTERNAL",
    "OTHER": "EXTERNAL",
}
"""The other side of cash, of what belongs to no position."""
FLOW_PREFIX = "CASH_FLOW_KIND_"


class BookKey(NamedTuple):
    """An account of the ledger, within one account at a venue."""

    code: str
    asset: str
    symbol: str = ""
    strategy: str = ""


Balances = dict[BookKey, int]
"""Atoms. Without those that are 0."""


@dataclass(frozen=True, slots=True)
class Terms:
    """An instrument. Without ``settle``: of spot."""

    base: str
    quote: str
    settle: str
    multiplier: Fraction
    is_inverse: bool = False

    def value(self, price: Fraction, size: Fraction) -> int:
        """The value of a size in atoms, cut off."""
        units = size * self.multiplier
        return floor((units / price if self.is_inverse else units * price) * ATOMS)


def decimal_text(amount: Fraction) -> str:
    """An amount as venues write it."""
    return f"{Decimal(amount.numerator) / Decimal(amount.denominator):f}"


def instrument_of(venue: str, symbol: str, terms: Terms) -> types_pb2.Instrument:
    """An instrument as its venue lists it."""
    if not terms.settle:
        return types_pb2.Instrument(
            venue=venue,
            symbol=symbol,
            base=terms.base,
            quote=terms.quote,
            kind=types_pb2.INSTRUMENT_KIND_SPOT,
            size_unit=types_pb2.SIZE_UNIT_BASE,
        )
    kinds = {
        terms.quote: types_pb2.CONTRACT_KIND_LINEAR,
        terms.base: types_pb2.CONTRACT_KIND_INVERSE,
    }
    return types_pb2.Instrument(
        venue=venue,
        symbol=symbol,
        base=terms.base,
        quote=terms.quote,
        settlement_asset=terms.settle,
        kind=types_pb2.INSTRUMENT_KIND_PERPETUAL,
        contract_kind=kinds.get(terms.settle, types_pb2.CONTRACT_KIND_QUANTO),
        size_unit=types_pb2.SIZE_UNIT_CONTRACTS,
        contract_value=decimal_text(terms.multiplier),
    )


class AverageCostPosition:
    """A position by average cost. The cost of a short position is negative."""

    def __init__(self) -> None:
        self.size = Fraction(0)
        self.cost = 0

    def trade(self, terms: Terms, price: Fraction, size: Fraction) -> int:
        """Returns the profit in atoms. Shares are cut off to atoms."""
        value, profit = terms.value(price, abs(size)), 0
        if self.size * size < 0:
            closing = min(abs(size), abs(self.size))
            side = 1 if self.size > 0 else -1
            share = floor(side * self.cost * closing / abs(self.size))
            closed = floor(value * closing / abs(size))
            profit = side * (closed - share) * (-1 if terms.is_inverse else 1)
            self.cost -= side * share
            self.size -= side * closing
            value -= closed
            size += side * closing
        self.size += size
        if size:
            self.cost += value if size > 0 else -value
        return profit


class IndependentBooks:
    """Takes what happens in one account in the order of the venue, each once."""

    def __init__(self, venue: str, terms: dict[str, Terms]) -> None:
        """``terms``: by symbol."""
        self._venue = venue
        self._terms = terms
        self.net = {symbol: AverageCostPosition() for symbol in terms}
        """The account's positions."""
        self._balances: defaultdict[BookKey, int] = defaultdict(int)
        self.held: dict[tuple[str, str], AverageCostPosition] = {}
        """By symbol and strategy."""
        self.postings: Counter[tuple[str, str, str]] = Counter()
        """How many there are, by asset and the two codes in order. Without those of the profit of
        positions: one group may have the profit of several fills, if one came late."""

    @property
    def balances(self) -> Balances:
        return {key: amount for key, amount in self._balances.items() if amount}

    def is_profit(self, *sides: BookKey) -> bool:
        """Whether a posting between these two is of the profit of positions."""
        return any(self._has_profit(side) for side in sides)

    def _has_profit(self, side: BookKey) -> bool:
        if not side.symbol:
            return False
        is_contract = bool(self._terms[side.symbol].settle)
        clears = side.code == "POSITION" and is_contract and side.asset != self._asset(side.symbol)
        return side.code in PROFIT_CODES or clears

    def _asset(self, symbol: str) -> str:
        return f"contract/{self._venue}/{symbol}"

    def _move(self, debit: BookKey, credit: BookKey, amount: int) -> None:
        self._balances[debit] += amount
        self._balances[credit] -= amount
        if amount and not self.is_profit(debit, credit):
            first, second = sorted((debit.code, credit.code))
            self.postings[debit.asset, first, second] += 1

    def fill(self, one: orders_pb2.Fill, strategy: str) -> None:
        symbol, terms = one.symbol, self._terms[one.symbol]
        own = self.held.setdefault((symbol, strategy), AverageCostPosition())
        side = 1 if one.side == types_pb2.SIDE_BUY else -1
        price, size = Fraction(one.price), side * Fraction(one.size)
        fees: Counter[str] = Counter()
        for fee in (one.fee, *one.further_fees):
            fees[fee.asset] += floor(Fraction(fee.amount or 0) * ATOMS)
        profit = own.trade(terms, price, size)
        if terms.settle:
            contracts = BookKey("POSITION", self._asset(symbol), symbol, strategy)
            outside = BookKey("EXTERNAL", self._asset(symbol), symbol)
            self._move(contracts, outside, floor(size * ATOMS))
            clearing = BookKey("POSITION", terms.settle, symbol)
            paid = self.net[symbol].trade(terms, price, size)
            self._move(BookKey("CASH", terms.settle), clearing, paid)
            realized = BookKey("REALIZED_PROFIT", terms.settle, symbol, strategy)
            self._move(clearing, realized, profit)
        else:
            value = side * terms.value(price, abs(size))
            costs = BookKey("POSITION", terms.quote, symbol, strategy)
            base = BookKey("POSITION", terms.base, symbol, strategy)
            self._move(costs, BookKey("CASH", terms.quote), value)
            self._move(BookKey("CASH", terms.base), base, floor(size * ATOMS))
            if in_base := fees.pop(terms.base, 0):
                # As if so much had been sold at the price, and the proceeds were the fee.
                profit += own.trade(terms, price, -Fraction(in_base, ATOMS))
                sign = 1 if in_base > 0 else -1
                proceeds = sign * terms.value(price, Fraction(abs(in_base), ATOMS))
                self._move(base, BookKey("CASH", terms.base), in_base)
                self._move(BookKey("FEES", terms.quote, symbol, strategy), costs, proceeds)
            realized = BookKey("REALIZED_PROFIT", terms.quote, symbol, strategy)
            self._move(costs, realized, profit)
        for asset, paid in fees.items():
            paid_to = BookKey("FEES", asset, symbol, strategy)
            self._move(paid_to, BookKey("CASH", asset), paid)

    def flow(self, one: cash_flows_pb2.CashFlow) -> None:
        amount = floor(Fraction(one.amount) * ATOMS)
        kind = cash_flows_pb2.CashFlowKind.Name(one.kind).removeprefix(FLOW_PREFIX)
        settle = self._terms[one.symbol].settle if one.symbol else ""
        cash = BookKey("CASH", one.asset)
        if kind == "FUNDING" and settle:
            for strategy, share in self._shares(one.symbol, amount).items():
                paid = BookKey("FUNDING_PROFIT", one.asset, one.symbol, strategy)
                self._move(cash, paid, share)
        elif kind == "SETTLEMENT" and settle:
            self._move(cash, BookKey("POSITION", one.asset, one.symbol), amount)
            net = self.net[one.symbol]
            if net.size:
                net.cost += -amount if self._terms[one.symbol].is_inverse else amount
        else:
            self._move(cash, BookKey(FLOW_CODES[kind], one.asset, one.symbol), amount)

    def _shares(self, symbol: str, amount: int) -> dict[str, int]:
        """Funding, divided by the sizes that the strategies have."""
        sizes = {
            strategy: position.size
            for (held, strategy), position in self.held.items()
            if held == symbol and position.size
        }
        whole = sum(sizes.values())
        if not whole:
            return {"": amount}
        shares = {strategy: floor(amount * size / whole) for strategy, size in sizes.items()}
        largest = max(shares, key=lambda name: (abs(sizes[name]), name))
        shares[largest] += amount - sum(shares.values())
        return shares
