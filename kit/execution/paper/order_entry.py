"""Orders come to the venue's book: what is looked at first, what they take, where they wait."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.amounts import ZERO, add, subtract, total
from kit.execution.contract import OrderState, RejectReason
from kit.execution.paper.market import Market
from kit.execution.paper.orders import OrderRejection, PaperOrder
from kit.execution.paper.queue_position import QueuePosition
from kit.execution.paper.visible_book import VisibleBook
from kit.execution.paper.wallet import PaperWallet

NO_REASON: RejectReason = orders_pb2.REJECT_REASON_UNSPECIFIED
OnFill = Callable[[PaperOrder, Decimal, Decimal, tuple[str, Decimal], bool], None]
"""Order, price, size, the fee with its asset, and whether the order was there first."""


class OrderEntry:
    """Of one account, with the orders that are open."""

    def __init__(
        self,
        market: Market,
        wallet: PaperWallet,
        display: VisibleBook,
        now_ns: Callable[[], int],
        changed: Callable[[PaperOrder], None],
        filled: OnFill,
    ) -> None:
        self._market = market
        self._wallet = wallet
        self._display = display
        self._now_ns = now_ns
        self._changed = changed
        self._filled = filled
        self._open: dict[str, list[PaperOrder]] = {}
        """By symbol, oldest first."""
        self.waiting: set[str] = set()
        """Symbols in which orders have no place in the book, as it is in doubt."""

    def symbols(self) -> set[str]:
        """In which there are open orders."""
        return set(self._open)

    def orders(self, symbol: str = "") -> list[PaperOrder]:
        """Open ones, of one symbol or of all."""
        if symbol:
            return list(self._open.get(symbol, ()))
        return [order for orders in self._open.values() for order in orders]

    def enter(self, order: PaperOrder) -> None:
        """A new order. Raises OrderRejection, and nothing has happened."""
        if self._display.is_doubted(order.symbol):
            self._wallet.admit(order, 0)
            self._add(order)
            self.waiting.add(order.symbol)
            self._changed(order)
        else:
            self._check(order)
            self._add(order)
            self._meet(order)

    def load(self, order: PaperOrder) -> None:
        """An order that was open before."""
        self._add(order)
        self._wallet.release(order)
        self.waiting.add(order.symbol)

    def amend(self, order: PaperOrder, size: Decimal, price: Decimal) -> None:
        """It keeps its place when only the size gets smaller. Raises OrderRejection without
        any effect."""
        if size <= order.filled:
            raise OrderRejection(orders_pb2.REJECT_REASON_SIZE, "so much is filled already")
        before = order.request
        keeps = price == before.price and size <= before.size
        is_doubted = self._display.is_doubted(order.symbol)
        order.request = replace(before, size=size, price=price)
        try:
            if keeps or is_doubted:
                self._wallet.admit(order, 0)
            else:
                self._check(order)
        except OrderRejection:
            order.request = before
            raise
        order.updated_time_ns = self._now_ns()
        if not keeps and not is_doubted:
            self._meet(order)
            return
        if not keeps:
            order.queue = None
            self.waiting.add(order.symbol)
        self._changed(order)

    def end(
        self,
        order: PaperOrder,
        state: OrderState,
        reason: RejectReason = NO_REASON,
        detail: str = "",
    ) -> None:
        """An order is final."""
        order.state, order.reason, order.detail = state, reason, detail
        order.updated_time_ns = self._now_ns()
        self._remove(order)
        self._wallet.release(order)
        self._changed(order)

    def place_waiting(self) -> None:
        """Give places to those that have none, where the book can be relied on now."""
        for symbol in sorted(self.waiting):
            if self._display.is_doubted(symbol):
                continue
            self.waiting.discard(symbol)
            for order in self.orders(symbol):
                if order.is_final:
                    continue
                if order.is_new:
                    self._enter_late(order)
                else:
                    self._rejoin(order)

    def fill(self, order: PaperOrder, price: Decimal, size: Decimal, *, is_maker: bool) -> None:
        """A part of an order has met something."""
        order.add_fill(price, size, self._now_ns())
        if order.is_final:
            self._remove(order)
        fee = self._wallet.settle(order, price, size, is_maker=is_maker)
        self._filled(order, price, size, fee, is_maker)
        if not order.terms.is_spot:
            self._reduce(order.symbol)

    def _check(self, order: PaperOrder) -> None:
        """Hold what it needs. Raises OrderRejection, and it holds what it held."""
        if order.request.post_only and self._display.crosses(order):
            raise OrderRejection(orders_pb2.REJECT_REASON_WOULD_TAKE, "it would be filled at once")
        if self._meets_own(order):
            words = "it would come to an order of the same account"
            raise OrderRejection(orders_pb2.REJECT_REASON_SELF_TRADE, words)
        offers = list(self._display.offers(order))
        if order.request.time_in_force == orders_pb2.TIME_IN_FORCE_FILL_OR_KILL:
            there = total(offer.size for offer in offers)
            if there < order.left:
                words = f"only {there.normalize():f} can be had"
                raise OrderRejection(orders_pb2.REJECT_REASON_WOULD_NOT_FILL, words)
        cost = sum(order.terms.value(offer.price, offer.size) for offer in offers)
        self._wallet.admit(order, cost)

    def _meets_own(self, order: PaperOrder) -> bool:
        """Whether it would come to an order of its own account before it is filled."""
        own = [
            other.price
            for other in self.orders(order.symbol)
            if other.buys is not order.buys and other.price is not None and not other.is_new
        ]
        if not own:
            return False
        nearest = min(own) if order.buys else max(own)
        if not order.reaches(nearest):
            return False
        left = order.left
        for offer in self._display.offers(order):
            if offer.price >= nearest if order.buys else offer.price <= nearest:
                return True
            left = subtract(left, offer.size)
        return left > ZERO

    def _enter_late(self, order: PaperOrder) -> None:
        """It has waited for the book. What would have been refused is rejected now."""
        try:
            self._check(order)
        except OrderRejection as error:
            self.end(order, orders_pb2.ORDER_STATE_REJECTED, error.reason, error.words)
        else:
            self._meet(order)

    def _meet(self, order: PaperOrder) -> None:
        """Take what is displayed, then wait if it is to."""
        order.is_new, order.queue = False, None
        self._take(order, is_maker=False)
        if order.is_final:
            return
        if order.rests:
            self._join(order)
            self._changed(order)
        else:
            words = "what was left could not be filled at once"
            self.end(order, orders_pb2.ORDER_STATE_EXPIRED, detail=words)

    def _rejoin(self, order: PaperOrder) -> None:
        """The book can be relied on again. What crosses the order now fills it at its own price;
        what happened meanwhile was not seen, and is not made up."""
        self._take(order, is_maker=True)
        if not order.is_final:
            self._join(order)

    def _take(self, order: PaperOrder, *, is_maker: bool) -> None:
        for offer in list(self._display.offers(order)):
            # What closes a position can make a reduce-only order smaller than it was.
            if order.is_final or offer.size > order.left:
                return
            self._display.take(order, offer)
            price = order.price if is_maker and order.price is not None else offer.price
            self.fill(order, price, offer.size, is_maker=is_maker)

    def _join(self, order: PaperOrder) -> None:
        """At the end of its level; where it has a place already, it is not farther back."""
        order.queue = order.queue or QueuePosition(None)
        self._display.look(order)
        order.joined_time_ns = self._market.book_time_ns(order.symbol)

    def _reduce(self, symbol: str) -> None:
        """Make reduce-only orders as small as what they can still reduce."""
        for order in self.orders(symbol):
            there = self._wallet.reducible(order)
            if not order.request.reduce_only or order.left <= there:
                continue
            if there:
                order.request = replace(order.request, size=add(order.filled, there))
                self._wallet.release(order)
                self._changed(order)
            else:
                reason = orders_pb2.REJECT_REASON_REDUCE_ONLY
                words = "there is nothing to reduce any more"
                self.end(order, orders_pb2.ORDER_STATE_CANCELLED, reason, words)

    def _add(self, order: PaperOrder) -> None:
        self._open.setdefault(order.symbol, []).append(order)

    def _remove(self, order: PaperOrder) -> None:
        left = [other for other in self.orders(order.symbol) if other is not order]
        if left:
            self._open[order.symbol] = left
        else:
            self._open.pop(order.symbol, None)
            self.waiting.discard(order.symbol)
