"""Orders enter the book: checks, immediate fills, resting."""

from collections.abc import Callable
from decimal import Decimal

from msgspec import structs
from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting.amounts import ZERO, add, subtract, total
from kit.execution.contract import OrderState, RejectReason
from kit.execution.paper.market import PaperMarket
from kit.execution.paper.orders import PaperOrder, PaperOrderRejected
from kit.execution.paper.queue_position import QueuePosition
from kit.execution.paper.visible_book import VisibleBook
from kit.execution.paper.wallet import PaperWallet

NO_REASON: RejectReason = orders_pb2.REJECT_REASON_UNSPECIFIED
OnFill = Callable[[PaperOrder, Decimal, Decimal, tuple[str, Decimal], bool], None]
"""Order, price, size, the fee's asset with the fee, and whether the order was the maker."""


class PaperOrderEntry:
    """The open orders of one account."""

    def __init__(
        self,
        market: PaperMarket,
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
        """Symbols whose orders have no queue position because the book is not proven."""

    def symbols(self) -> set[str]:
        """Return the symbols with open orders."""
        return set(self._open)

    def orders(self, symbol: str = "") -> list[PaperOrder]:
        """Return open orders, of one symbol or of all."""
        if symbol:
            return list(self._open.get(symbol, ()))
        return [order for orders in self._open.values() for order in orders]

    def enter(self, order: PaperOrder) -> None:
        """Take a new order. Raises PaperOrderRejected without any effect."""
        if self._display.is_unproven(order.symbol):
            self._wallet.admit(order, 0)
            self._add(order)
            self.waiting.add(order.symbol)
            self._changed(order)
        else:
            self._check(order)
            self._add(order)
            self._meet(order)

    def load(self, order: PaperOrder) -> None:
        """Take back an order that was open before a restart."""
        self._add(order)
        self._wallet.release(order)
        self.waiting.add(order.symbol)

    def amend(self, order: PaperOrder, size: Decimal, price: Decimal) -> None:
        """It keeps its place when only the size gets smaller. Raises PaperOrderRejected without
        any effect."""
        if size <= order.filled:
            raise PaperOrderRejected(
                orders_pb2.REJECT_REASON_SIZE, "the new size must be above the filled size"
            )
        before = order.request
        keeps = price == before.price and size <= before.size
        is_unproven = self._display.is_unproven(order.symbol)
        order.request = structs.replace(before, size=size, price=price)
        try:
            if keeps or is_unproven:
                self._wallet.admit(order, 0)
            else:
                self._check(order)
        except PaperOrderRejected:
            order.request = before
            raise
        order.updated_time_ns = self._now_ns()
        if not keeps and not is_unproven:
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
        order.state, order.reason, order.detail = state, reason, detail
        order.updated_time_ns = self._now_ns()
        self._remove(order)
        self._wallet.release(order)
        self._changed(order)

    def enter_waiting(self) -> None:
        """Enter the waiting orders of symbols whose book is proven now."""
        for symbol in sorted(self.waiting):
            if self._display.is_unproven(symbol):
                continue
            self.waiting.discard(symbol)
            for order in self.orders(symbol):
                if order.is_final:
                    continue
                if order.is_new:
                    self._enter_waiting(order)
                else:
                    self._rejoin(order)

    def fill(self, order: PaperOrder, price: Decimal, size: Decimal, *, is_maker: bool) -> None:
        """Fill a part of an order."""
        order.add_fill(price, size, self._now_ns())
        if order.is_final:
            self._remove(order)
        fee = self._wallet.settle(order, price, size, is_maker=is_maker)
        self._filled(order, price, size, fee, is_maker)
        if not order.terms.is_spot:
            self._reduce(order.symbol)

    def _check(self, order: PaperOrder) -> None:
        """Reserve what an order needs. Raises PaperOrderRejected, and reserves no more than
        before."""
        if order.request.post_only and self._display.crosses(order):
            raise PaperOrderRejected(
                orders_pb2.REJECT_REASON_WOULD_TAKE, "a post-only order would be filled at once"
            )
        if self._meets_own(order):
            words = "it would trade with an order of the same account"
            raise PaperOrderRejected(orders_pb2.REJECT_REASON_SELF_TRADE, words)
        offers = list(self._display.offers(order))
        if order.request.time_in_force == orders_pb2.TIME_IN_FORCE_FILL_OR_KILL:
            there = total(offer.size for offer in offers)
            if there < order.left:
                words = f"only {there.normalize():f} can be filled at once"
                raise PaperOrderRejected(orders_pb2.REJECT_REASON_WOULD_NOT_FILL, words)
        cost = sum(order.terms.value(offer.price, offer.size) for offer in offers)
        self._wallet.admit(order, cost)

    def _meets_own(self, order: PaperOrder) -> bool:
        """Whether an order would trade with an order of its own account before it is filled."""
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

    def _enter_waiting(self, order: PaperOrder) -> None:
        """Enter an order that has waited for the book. It is rejected now if its checks fail."""
        try:
            self._check(order)
        except PaperOrderRejected as error:
            self.end(order, orders_pb2.ORDER_STATE_REJECTED, error.reason, error.words)
        else:
            self._meet(order)

    def _meet(self, order: PaperOrder) -> None:
        """Take displayed size, then rest in the book or expire."""
        order.is_new, order.queue = False, None
        self._take(order, is_maker=False)
        if order.is_final:
            return
        if order.rests:
            self._join(order)
            self._changed(order)
        else:
            words = "the rest could not be filled at once"
            self.end(order, orders_pb2.ORDER_STATE_EXPIRED, detail=words)

    def _rejoin(self, order: PaperOrder) -> None:
        """Put an order back into a book that is proven again. Size that crosses it now fills it at
        its own price; events that were missed are not made up."""
        self._take(order, is_maker=True)
        if not order.is_final:
            self._join(order)

    def _take(self, order: PaperOrder, *, is_maker: bool) -> None:
        for offer in list(self._display.offers(order)):
            # A fill that closes a position can shrink a reduce-only order.
            if order.is_final or offer.size > order.left:
                return
            self._display.take(order, offer)
            price = order.price if is_maker and order.price is not None else offer.price
            self.fill(order, price, offer.size, is_maker=is_maker)

    def _join(self, order: PaperOrder) -> None:
        """Join the end of the level; a known queue position never gets worse."""
        order.queue = order.queue or QueuePosition(None)
        self._display.update_queue(order)
        order.joined_time_ns = self._market.book_time_ns(order.symbol)

    def _reduce(self, symbol: str) -> None:
        """Shrink or cancel reduce-only orders that exceed the position."""
        for order in self.orders(symbol):
            there = self._wallet.reducible(order)
            if not order.request.reduce_only or order.left <= there:
                continue
            if there:
                order.request = structs.replace(order.request, size=add(order.filled, there))
                self._wallet.release(order)
                self._changed(order)
            else:
                reason = orders_pb2.REJECT_REASON_REDUCE_ONLY
                words = "the position is closed"
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
