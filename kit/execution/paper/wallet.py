"""What an account on paper has: balances, what orders and positions hold of them, fees, funding.

All of it is exact. Spot orders hold what they would pay with. Of derivatives, for each instrument
the larger of two risks counts, that all orders that buy are filled, or all that sell; its value by
the leverage is held of what settles it, and what is lost at the mark price.
"""

from dataclasses import replace
from decimal import ROUND_UP, Context, Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.amounts import ZERO, add, product, subtract, total
from kit.execution.contract import VenueBalance, VenuePosition
from kit.execution.paper.market import Marked
from kit.execution.paper.orders import NotTaken, PaperOrder
from kit.execution.paper.positions import Position
from kit.execution.paper.rules import PaperRules
from kit.execution.paper.terms import ATOM, Terms, cut, terms_of

FEE_UNIT = Decimal("1e-8")
"""What of a fee is smaller is cut off."""
_UP = Context(prec=400, rounding=ROUND_UP)


class Wallet:
    """Of one account. ``assets`` and ``symbols`` tell what has changed since they were cleared."""

    def __init__(self, rules: PaperRules) -> None:
        self.totals: dict[str, Decimal] = {}
        self.positions: dict[str, Position] = {}
        self.terms: dict[str, Terms] = {}
        self.assets: set[str] = set()
        self.symbols: set[str] = set()
        self._rules = rules
        self._held: dict[int, tuple[str, Decimal]] = {}
        """What spot orders hold, by number: asset and amount."""
        self._moves: dict[str, dict[int, Decimal]] = {}
        """What orders of a derivative are worth, by symbol and number; negative when they sell."""
        self._marks: dict[str, Marked] = {}
        self._last: dict[str, Decimal] = {}
        """The price of the last fill."""

    def begin(self) -> None:
        """With what a new account has."""
        for asset, amount in self._rules.balances.items():
            self._add(asset, amount)

    def enter(self, instrument: types_pb2.Instrument) -> Terms | None:
        """Its terms as they are now; None where it cannot be traded on paper."""
        contracts = self._rules.house.sizes_are_contracts
        found = terms_of(instrument, sizes_are_contracts=contracts)
        if found is not None and self.terms.get(found.symbol) != found:
            self.terms[found.symbol] = found
            self.symbols.add(found.symbol)
        return found

    def admit(self, order: PaperOrder, bill: Decimal) -> None:
        """Hold what an order needs as it is now, whatever it held before. ``bill``: what it would
        pay now, if it buys spot at any price. Raises NotTaken, and it holds what it held."""
        if order.terms.is_spot:
            if order.wish.reduce_only:
                raise NotTaken(orders_pb2.REJECT_REASON_REDUCE_ONLY, "spot has no positions")
            self._admit_spot(order, bill)
        else:
            self._admit_derivative(order)
        self._touch(order.terms)

    def release(self, order: PaperOrder) -> None:
        """Hold only what is still needed."""
        terms = order.terms
        if order.is_final:
            self._held.pop(order.number, None)
            self._moves.get(terms.symbol, {}).pop(order.number, None)
        elif terms.is_spot:
            self._held[order.number] = self._need(order)
        else:
            self._moves.setdefault(terms.symbol, {})[order.number] = self._move(order)
        self._touch(terms)

    def settle(
        self, order: PaperOrder, price: Decimal, size: Decimal, *, is_maker: bool
    ) -> tuple[str, Decimal]:
        """Pay a fill that the order knows already. Returns the fee and its asset."""
        terms, buys = order.terms, order.buys
        value = terms.value(price, size)
        if terms.is_spot:
            self._add(terms.base, size if buys else size.copy_negate())
            self._add(terms.quote, value.copy_negate() if buys else value)
            is_in_quote = self._rules.house.fees_in_quote or not buys
            asset, paid_for = (terms.quote, value) if is_in_quote else (terms.base, size)
        else:
            self._last[terms.symbol] = price
            position = self.positions.setdefault(terms.symbol, Position())
            self._add(terms.settle, position.trade(terms, buys=buys, price=price, size=size))
            asset, paid_for = terms.settle, value
        house = self._rules.house
        rate = house.maker if is_maker else house.taker
        fee = cut(product(paid_for, rate), FEE_UNIT)
        self._add(asset, fee.copy_negate())
        self.release(order)
        return asset, fee

    def reducible(self, order: PaperOrder) -> Decimal:
        """How much smaller an order could make a position."""
        size = self.positions.get(order.symbol, Position()).size
        return max(ZERO, size.copy_negate() if order.buys else size)

    def mark(self, event: Marked) -> None:
        """A derivative is valued anew. Funding is paid when the time that was named before has come
        between the two, at the rate and the value of before."""
        before = self._marks.get(event.symbol)
        if before is None:
            self._marks[event.symbol] = event
            return
        next_ns = before.next_funding_time_ns
        if before.time_ns < next_ns <= event.time_ns:
            self._pay_funding(before)
        self._marks[event.symbol] = replace(
            event,
            price=event.price or before.price,
            funding_rate=before.funding_rate if event.funding_rate is None else event.funding_rate,
            next_funding_time_ns=event.next_funding_time_ns or next_ns,
        )

    def forget_marks(self, symbols: frozenset[str]) -> None:
        """Of all but these: they are not heard of any more."""
        for symbol in self._marks.keys() - symbols:
            del self._marks[symbol]

    def held_symbols(self) -> set[str]:
        """In which there is a position."""
        return {symbol for symbol, one in self.positions.items() if one.size}

    def balance(self, asset: str) -> VenueBalance:
        """Of one asset."""
        amount = self.totals.get(asset, ZERO)
        return VenueBalance(asset, amount, subtract(amount, self._locked(asset)))

    def position(self, symbol: str) -> VenuePosition:
        """Of one derivative."""
        held = self.positions.get(symbol, Position())
        if not held.size:
            return VenuePosition(symbol, ZERO)
        terms, price = self.terms[symbol], self._price(symbol)
        gain = None if price is None else held.gain(terms, price)
        return VenuePosition(symbol, held.size, held.entry_price(terms), gain)

    def _admit_spot(self, order: PaperOrder, bill: Decimal) -> None:
        asset, need = self._need(order)
        held = self._held.get(order.number, (asset, ZERO))[1]
        if order.buys and order.price is None:
            if self._rules.house.fees_in_quote:
                bill = add(bill, product(bill, self._highest_fee()))
            wanted = bill
        else:
            wanted = need
        free = add(self.balance(asset).free, held)
        if wanted > free:
            raise _too_little(asset, wanted, free)
        self._held[order.number] = asset, need

    def _admit_derivative(self, order: PaperOrder) -> None:
        asset, moves = order.terms.settle, self._moves.setdefault(order.symbol, {})
        if order.wish.reduce_only:
            there = self.reducible(order)
            if not there:
                raise NotTaken(orders_pb2.REJECT_REASON_REDUCE_ONLY, "there is nothing to reduce")
            if order.left > there:
                order.wish = replace(order.wish, size=add(order.filled, there))
            return
        before, held = self._margin(asset), moves.get(order.number, ZERO)
        move = moves[order.number] = self._move(order)
        fee = product(move.copy_abs(), self._highest_fee())
        need, there = add(self._margin(asset), fee), self.totals.get(asset, ZERO)
        if need > before and need > there:
            moves[order.number] = held
            raise _too_little(asset, need, there)

    def _need(self, order: PaperOrder) -> tuple[str, Decimal]:
        """What a spot order holds; nothing where it buys at any price."""
        if not order.buys:
            return order.terms.base, order.left
        if order.price is None:
            return order.terms.quote, ZERO
        value = order.terms.value(order.price, order.left)
        if self._rules.house.fees_in_quote:
            value = add(value, product(value, self._highest_fee()))
        return order.terms.quote, value

    def _move(self, order: PaperOrder) -> Decimal:
        """What the rest of a derivative order is worth, at its price, or at that of now."""
        price = order.price or self._price(order.symbol)
        if order.wish.reduce_only or price is None:
            return ZERO
        value = order.terms.value(price, order.left)
        return value if order.buys else value.copy_negate()

    def _locked(self, asset: str) -> Decimal:
        spot = (amount for at, amount in self._held.values() if at == asset)
        return add(total(spot), self._margin(asset))

    def _margin(self, asset: str) -> Decimal:
        """Of positions and orders, and losses."""
        need = gains = ZERO
        for symbol in self.positions.keys() | self._moves.keys():
            terms = self.terms[symbol]
            if terms.settle != asset:
                continue
            position, price = self.positions.get(symbol, Position()), self._price(symbol)
            worth = position.cost if price is None else position.worth(terms, price)
            moves = self._moves.get(symbol, {}).values()
            most = max(
                add(worth, total(move for move in moves if move > ZERO)).copy_abs(),
                add(worth, total(move for move in moves if move < ZERO)).copy_abs(),
            )
            share = _UP.divide(most, Decimal(self._rules.leverage)).quantize(ATOM, context=_UP)
            need = add(need, share)
            if price is not None:
                gains = add(gains, position.gain(terms, price))
        return add(need, max(ZERO, gains.copy_negate()))

    def _price(self, symbol: str) -> Decimal | None:
        """The mark price; else that of the last fill, or of when a position was opened."""
        mark = self._marks.get(symbol)
        if mark is not None and mark.price is not None:
            return mark.price
        opened = self.positions.get(symbol, Position()).entry_price(self.terms[symbol])
        return self._last.get(symbol, opened)

    def _highest_fee(self) -> Decimal:
        return max(ZERO, self._rules.house.maker, self._rules.house.taker)

    def _pay_funding(self, mark: Marked) -> None:
        position, terms = self.positions.get(mark.symbol), self.terms.get(mark.symbol)
        if position is None or terms is None or not position.size or not terms.pays_funding:
            return
        if mark.price is None or mark.funding_rate is None:
            return
        paid = cut(product(position.worth(terms, mark.price), mark.funding_rate), ATOM)
        self._add(terms.settle, paid.copy_negate())
        position.realized = subtract(position.realized, paid)
        self._touch(terms)

    def _add(self, asset: str, amount: Decimal) -> None:
        self.totals[asset] = add(self.totals.get(asset, ZERO), amount)
        self.assets.add(asset)

    def _touch(self, terms: Terms) -> None:
        if terms.is_spot:
            self.assets.update((terms.base, terms.quote))
        else:
            self.assets.add(terms.settle)
            self.symbols.add(terms.symbol)


def _too_little(asset: str, needed: Decimal, there: Decimal) -> NotTaken:
    words = f"{needed.normalize():f} {asset} are needed, {there.normalize():f} are there"
    return NotTaken(orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS, words)
