"""Accounts pay: open orders reserve funds or margin, and fills change balances and positions."""

from collections.abc import Sequence
from decimal import Decimal

from msgspec import structs

from kit.accounting.fees import FeeCalculator
from kit.accounting.margin import MarginCalculator
from kit.accounting.money import Ratio, amount_of
from kit.accounting.spot import SpotCalculator
from kit.accounting.wallet import InsufficientFunds
from kit.simulator.matching.accounts import ExchangeAccount, ExchangeLedger
from kit.simulator.matching.contract import MatchingRules, OrderRejected, PositionView, RejectCode
from kit.simulator.matching.instrument_book import InstrumentBook
from kit.simulator.matching.mark_prices import MarkPriceTable
from kit.simulator.matching.order import MatchingOrder


class Settlement:
    """Applies ``kit.accounting`` to the orders and fills of one venue."""

    def __init__(self, rules: MatchingRules, prices: MarkPriceTable) -> None:
        fees = FeeCalculator(rules.tiers, rules.fee_places)
        self.ledger = ExchangeLedger()
        self.prices = prices
        self.margin = MarginCalculator(
            fees,
            Ratio.of(rules.initial_margin),
            Ratio.of(rules.maintenance_margin),
            prices.lot_value,
            pays_at_settlement=rules.settlement_time_ns is not None,
        )
        self._spot = SpotCalculator(fees, rules.fee_asset)

    def admit(
        self, account: ExchangeAccount, book: InstrumentBook, order: MatchingOrder, *, enters: bool
    ) -> None:
        """Reserve what an order needs as it is now. ``enters``: it enters the book at once and does
        not wait for a stop price. Raises OrderRejected, and reserves no more than before."""
        wallet, contract, buys = account.wallet, book.contract, order.buys
        try:
            if book.is_spot:
                if enters and buys and not order.ticks:
                    self._spot.check_cost(wallet, contract, _market_cost(book, order))
                required = self._spot.required(contract, buys, order.ticks, order.left)
                self._spot.admit(wallet, contract, buys, required, order.locked)
            elif not enters:
                return
            elif order.ticket.reduce_only:
                _cut_to_position(account, book, order)
                return
            else:
                required = self._margin_value(book, order)
                self.margin.admit(wallet, contract, buys, required, order.locked)
        except InsufficientFunds:
            raise OrderRejected(RejectCode.FUNDS) from None
        order.locked = required

    def release(self, account: ExchangeAccount, book: InstrumentBook, order: MatchingOrder) -> None:
        """Release what a final order has reserved."""
        calculator = self._spot if book.is_spot else self.margin
        calculator.resize(account.wallet, book.contract, order.buys, 0, order.locked)
        order.locked = 0

    def settle(
        self,
        account: ExchangeAccount,
        book: InstrumentBook,
        order: MatchingOrder,
        fill: tuple[bool, int, int],
    ) -> tuple[int, str, int]:
        """Pay a fill, which is (is maker, lots, value in atoms) and is counted in ``order.left``.
        Return the fee in atoms, its asset, and the realised profit of a derivative."""
        wallet, contract, buys, reserved = account.wallet, book.contract, order.buys, order.locked
        required = profit = 0
        if book.is_spot:
            fee, asset = self._spot.settle(wallet, contract, buys, fill)
            if reserved:
                if order.left:
                    required = self._spot.required(contract, buys, order.ticks, order.left)
                wallet.locked[contract.quote if buys else contract.base] += required - reserved
        else:
            before = self.margin.balance(wallet, contract.settle)
            fee, asset = self.margin.settle(wallet, contract, buys, fill)
            profit = self.margin.balance(wallet, asset) - before + fee
            if reserved and order.left:
                required = self._margin_value(book, order)
            self.margin.resize(wallet, contract, buys, required, reserved)
        order.locked = required
        self.ledger.fees[asset] += fee
        return fee, asset, profit

    def settle_background(self, book: InstrumentBook, buys: bool, lots: int, value: int) -> None:
        """Count a trade of an account with the background order flow. ``buys``: the account."""
        contract, background = book.contract, self.ledger.background
        signed = value if buys else -value
        if book.is_spot:
            size = lots * contract.size_unit_atoms
            background[contract.base] += -size if buys else size
            background[contract.quote] += signed
        else:
            background[contract.settle] += contract.direction * signed

    def assets(self, book: InstrumentBook) -> Sequence[str]:
        """Return the assets that an order can change."""
        contract = book.contract
        return (contract.base, contract.quote) if book.is_spot else (contract.settle,)

    def position_view(self, account: ExchangeAccount, book: InstrumentBook) -> PositionView:
        """Return a position as it is now."""
        position, margin = account.wallet.position(book.contract), self.margin
        now = self.prices.price(book.contract)
        return PositionView(
            account.name,
            book.symbol,
            book.size(position.size),
            position.entry_price() or Decimal(0),
            now.price,
            amount_of(position.unrealized(now.lot_value)),
            margin.liquidation_price(account.wallet, position),
            amount_of(margin.initial.apply(abs(position.value(now.lot_value)))),
            amount_of(position.realized),
        )

    def _margin_value(self, book: InstrumentBook, order: MatchingOrder) -> int:
        """The value of a derivative order at its price or the mark price."""
        contract = book.contract
        if order.ticks:
            return contract.value(order.ticks, order.left)
        return self.prices.lot_value(contract).apply(order.left)


def _market_cost(book: InstrumentBook, order: MatchingOrder) -> int:
    """What a market order would pay for the orders that it meets."""
    left, cost = order.left, 0
    for ticks, lots in book.orders.offers(order):
        cost += book.contract.value(ticks, min(lots, left))
        left -= lots
        if left <= 0:
            break
    return cost


def _cut_to_position(account: ExchangeAccount, book: InstrumentBook, order: MatchingOrder) -> None:
    """Make a reduce-only order no larger than the position. Raises OrderRejected."""
    position = account.wallet.positions.get(book.symbol)
    held = 0 if position is None else position.size
    reducible = -held if order.buys else held
    if reducible <= 0:
        raise OrderRejected(RejectCode.REDUCE_ONLY)
    if order.left > reducible:
        order.lots -= order.left - reducible
        order.left = reducible
        order.ticket = structs.replace(order.ticket, size=book.size(order.lots))
