"""The wallet of a paper account: ``kit.accounting`` with decimal amounts at its border."""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from msgspec import structs
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import cash_flows_pb2, orders_pb2

from kit.accounting.amounts import ZERO, add
from kit.accounting.contract import Contract
from kit.accounting.fees import FeeAsset, FeeCalculator, FeeTier
from kit.accounting.funding import FundingMark, FundingSchedule
from kit.accounting.margin import MarginCalculator
from kit.accounting.money import Ratio, amount_of, atoms_of
from kit.accounting.position import Position
from kit.accounting.spot import SpotCalculator
from kit.accounting.wallet import InsufficientFunds, Wallet
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.execution.cash_flows import CashFlowKind
from kit.execution.contract import VenueBalance, VenuePosition
from kit.execution.paper.instrument_terms import PaperInstrumentTerms, terms_of
from kit.execution.paper.market import MarkPriceReported
from kit.execution.paper.orders import PaperOrder, PaperOrderRejected
from kit.execution.paper.records import PaperPositionRecord
from kit.execution.paper.rules import PaperRules

CONTINUOUS_PAYMENT_NS = 60 * NANOSECONDS_PER_SECOND
"""How often funding that is charged all the time is paid out of the balance."""
NO_MAINTENANCE = Ratio(0, 1)
"""Paper accounts are not liquidated."""


class PaperCashFlow(NamedTuple):
    """A change of a balance that is no fill."""

    kind: CashFlowKind
    symbol: str
    asset: str
    amount: Decimal


class PaperWallet:
    """Balances and positions of one paper account. ``assets``, ``symbols`` and ``flows`` collect
    what has changed since they were cleared."""

    def __init__(self, rules: PaperRules) -> None:
        schedule = rules.fee_schedule
        fees = FeeCalculator([FeeTier(schedule.maker, schedule.taker)])
        self.terms: dict[str, PaperInstrumentTerms] = {}
        self.assets: set[str] = set()
        self.symbols: set[str] = set()
        self.flows: list[PaperCashFlow] = []
        self.traded: set[str] = set()
        """Symbols in which there is or was a position."""
        self._rules = rules
        self._wallet = Wallet()
        fee_asset = FeeAsset.QUOTE if schedule.fees_in_quote else FeeAsset.RECEIVED
        self._spot = SpotCalculator(fees, fee_asset)
        initial = Ratio(1, rules.leverage)
        self._margin = MarginCalculator(fees, initial, NO_MAINTENANCE, self._unit_value)
        self._funding = FundingSchedule(schedule.continuous_funding_period_ns)
        self._paid_ns: dict[str, int] = {}
        """When continuous funding was last paid, by symbol."""
        self._last: dict[str, Decimal] = {}
        """The price of the last fill, by symbol."""
        self._unit_values: dict[Contract, tuple[Decimal, Ratio]] = {}
        """What one size unit is worth, with the price that it was computed at."""

    def begin(self) -> None:
        """Credit the initial balances of a new account."""
        self.load_totals(self._rules.balances.items())
        self.assets.update(self._rules.balances)
        for asset, amount in self._rules.balances.items():
            kind = cash_flows_pb2.CASH_FLOW_KIND_TRANSFER
            self.flows.append(PaperCashFlow(kind, "", asset, amount))

    def load_totals(self, totals: Iterable[tuple[str, Decimal]]) -> None:
        """Set balances that were written before."""
        for asset, amount in totals:
            self._wallet.totals[asset] = atoms_of(amount)

    def load_position(self, record: PaperPositionRecord) -> None:
        """Set a position that was written before, of an instrument that is listed already."""
        contract = self.terms[record.symbol].contract
        numbers = map(atoms_of, (record.size, record.cost, record.realized))
        self._wallet.positions[record.symbol] = Position(contract, *numbers)
        self.traded.add(record.symbol)

    def enter(self, instrument: types_pb2.Instrument) -> PaperInstrumentTerms | None:
        """Return an instrument's terms of now, or None if it cannot be traded on paper."""
        found = terms_of(instrument)
        if found is None:
            return None
        if self.terms.get(found.symbol) != found:
            self.terms[found.symbol] = found
            self.symbols.add(found.symbol)
            if found.symbol in self._wallet.positions:
                self._wallet.positions[found.symbol].contract = found.contract
        return self.terms[found.symbol]

    def admit(self, order: PaperOrder, market_cost: int) -> None:
        """Reserve what an order needs as it is now. ``market_cost``: the atoms that it would pay at
        once, if it is a spot market order that buys. Raises PaperOrderRejected, and reserves no
        more than before."""
        contract, wallet = order.terms.contract, self._wallet
        if order.request.reduce_only:
            self._cut_to_position(order)
        elif contract.is_spot:
            self._reserve_spot(order, market_cost)
        else:
            required = self._required(order)
            try:
                self._margin.admit(wallet, contract, order.buys, required, order.reserved)
            except InsufficientFunds as error:
                raise _rejection(error) from None
            order.reserved = required
        self._touch(order.terms)

    def release(self, order: PaperOrder) -> None:
        """Reserve only what an order still needs; nothing if it is final."""
        contract = order.terms.contract
        required = 0 if order.is_final else self._required(order)
        calculator = self._spot if contract.is_spot else self._margin
        calculator.resize(self._wallet, contract, order.buys, required, order.reserved)
        order.reserved = required
        self._touch(order.terms)

    def settle(
        self, order: PaperOrder, price: Decimal, size: Decimal, *, is_maker: bool
    ) -> tuple[str, Decimal]:
        """Pay a fill that is counted in the order. Return the fee's asset and the fee."""
        terms, contract = order.terms, order.terms.contract
        if not contract.is_spot:
            self._pay_funding(terms.symbol)
            self._last[terms.symbol] = price
            self.traded.add(terms.symbol)
        fill = is_maker, atoms_of(size), terms.value(price, size)
        calculator = self._spot if contract.is_spot else self._margin
        fee, asset = calculator.settle(self._wallet, contract, order.buys, fill)
        self.assets.add(asset)
        self.release(order)
        return asset, amount_of(fee)

    def reducible(self, order: PaperOrder) -> Decimal:
        """Return by how much an order could reduce the position."""
        position = self._wallet.positions.get(order.symbol)
        size = 0 if position is None else position.size
        return max(ZERO, amount_of(-size if order.buys else size))

    def mark(self, event: MarkPriceReported) -> None:
        """Take in a mark price, and pay the funding that has become due."""
        symbol = event.symbol
        mark = FundingMark(
            event.price, event.funding_rate, event.next_funding_time_ns, event.time_ns
        )
        charge = self._funding.observe(symbol, mark)
        position, terms = self._wallet.positions.get(symbol), self.terms.get(symbol)
        if charge is None or position is None or not position.size:
            return
        if terms is None or not terms.pays_funding:
            return
        position.accrue_funding(terms.contract.unit_value(charge.price), charge.rate)
        paid_ns = self._paid_ns.setdefault(symbol, event.time_ns)
        if not self._funding.is_continuous or event.time_ns - paid_ns >= CONTINUOUS_PAYMENT_NS:
            self._paid_ns[symbol] = event.time_ns
            self._pay_funding(symbol)

    def forget_marks(self, symbols: frozenset[str]) -> None:
        """Forget the marks of all symbols but these."""
        self._funding.keep_only(symbols)

    def held_symbols(self) -> set[str]:
        """Return the symbols with an open position."""
        return {symbol for symbol, one in self._wallet.positions.items() if one.size}

    def known_assets(self) -> list[str]:
        """Return the assets of which there is or was a balance."""
        return sorted(self._wallet.totals)

    def total(self, asset: str) -> Decimal:
        return amount_of(self._wallet.totals.get(asset, 0))

    def balance(self, asset: str) -> VenueBalance:
        """Return a balance, and the part of it that is not reserved at the prices of now."""
        if asset in self._wallet.margins:
            self._margin.refresh(self._wallet, asset)
        total = self._wallet.totals.get(asset, 0)
        free = total - self._wallet.locked.get(asset, 0)
        return VenueBalance(asset, amount_of(total), amount_of(free))

    def position(self, symbol: str) -> VenuePosition:
        """Return a position with its profit at the price of now."""
        held = self._wallet.positions.get(symbol)
        if held is None or not held.size:
            return VenuePosition(symbol, ZERO)
        unit_value = self._unit_value(held.contract)
        profit = 0 if unit_value is None else held.unrealized(unit_value)
        return VenuePosition(symbol, amount_of(held.size), held.entry_price(), amount_of(profit))

    def position_record(self, symbol: str) -> PaperPositionRecord:
        """Return a position for the disk."""
        held = self._wallet.position(self.terms[symbol].contract)
        return PaperPositionRecord(symbol, *map(amount_of, (held.size, held.cost, held.realized)))

    def _reserve_spot(self, order: PaperOrder, market_cost: int) -> None:
        contract, required = order.terms.contract, self._required(order)
        try:
            if order.buys and order.price is None:
                self._spot.check_cost(self._wallet, contract, market_cost)
            self._spot.admit(self._wallet, contract, order.buys, required, order.reserved)
        except InsufficientFunds as error:
            raise _rejection(error) from None
        order.reserved = required

    def _cut_to_position(self, order: PaperOrder) -> None:
        """Make a reduce-only order no larger than the position. Raises PaperOrderRejected."""
        if order.terms.is_spot:
            raise PaperOrderRejected(orders_pb2.REJECT_REASON_REDUCE_ONLY, "spot has no positions")
        reducible = self.reducible(order)
        if not reducible:
            raise PaperOrderRejected(orders_pb2.REJECT_REASON_REDUCE_ONLY, "there is no position")
        if order.left > reducible:
            order.request = structs.replace(order.request, size=add(order.filled, reducible))

    def _required(self, order: PaperOrder) -> int:
        """Funds of a spot order, or the value of a derivative order at its price or the price of
        now."""
        contract, size = order.terms.contract, atoms_of(order.left)
        if contract.is_spot:
            return self._spot.required(contract, order.buys, atoms_of(order.price or ZERO), size)
        if order.request.reduce_only:
            return 0
        if order.price is not None:
            return contract.value(atoms_of(order.price), size)
        unit_value = self._unit_value(contract)
        return 0 if unit_value is None else unit_value.apply(size)

    def _unit_value(self, contract: Contract) -> Ratio | None:
        """At the mark price, or else at the price of the last fill."""
        price = self._funding.price(contract.symbol) or self._last.get(contract.symbol)
        if price is None:
            return None
        known = self._unit_values.get(contract)
        if known is None or known[0] != price:
            known = self._unit_values[contract] = price, contract.unit_value(price)
        return known[1]

    def _pay_funding(self, symbol: str) -> None:
        position = self._wallet.positions.get(symbol)
        if position is None or not position.has_funding:
            return
        asset, paid = position.contract.settle, position.pay_funding()
        self._wallet.totals[asset] -= paid
        kind = cash_flows_pb2.CASH_FLOW_KIND_FUNDING
        self.flows.append(PaperCashFlow(kind, symbol, asset, amount_of(-paid)))
        self._touch(self.terms[symbol])

    def _touch(self, terms: PaperInstrumentTerms) -> None:
        if terms.is_spot:
            self.assets.update((terms.base, terms.quote))
        else:
            self.assets.add(terms.settle)
            self.symbols.add(terms.symbol)


def _rejection(error: InsufficientFunds) -> PaperOrderRejected:
    return PaperOrderRejected(orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS, str(error))
