"""What the venue's book displays, and what a paper order can take of it."""

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from kit.accounting.amounts import ZERO, subtract
from kit.execution.paper.consumed_liquidity import ConsumedLiquidity, LevelKey
from kit.execution.paper.market import PaperMarket
from kit.execution.paper.orders import PaperOrder

LEVELS_PER_READ = 32


class AvailableLevel(NamedTuple):
    """A level, and the size that an order can take of it."""

    price: Decimal
    size: Decimal
    displayed: Decimal


class VisibleBook:
    """The books as one account sees them: size that it has taken cannot be taken again."""

    def __init__(self, market: PaperMarket, liquidity: ConsumedLiquidity) -> None:
        self._market = market
        self._liquidity = liquidity

    def is_unproven(self, symbol: str) -> bool:
        """Whether the book is not proven at the moment."""
        return self._market.levels(symbol, True, 1) is None

    def crosses(self, order: PaperOrder) -> bool:
        """Whether an order would trade with the displayed best price, taken or not."""
        best = self._market.levels(order.symbol, not order.buys, 1)
        return best is not None and len(best) > 0 and order.reaches(best[0][0])

    def offers(self, order: PaperOrder) -> Iterator[AvailableLevel]:
        """Yield what an order can take within its price and size, best first."""
        left = order.left
        for price, displayed in self._levels(order.symbol, not order.buys):
            if left <= ZERO or not order.reaches(price):
                return
            offer = self.offer(order, price, displayed, left)
            left = subtract(left, offer.size)
            if offer.size:
                yield offer

    def offer(
        self, order: PaperOrder, price: Decimal, displayed: Decimal, left: Decimal
    ) -> AvailableLevel:
        """Return what an order can take of one level."""
        available = self._liquidity.left(LevelKey(order.symbol, not order.buys, price), displayed)
        return AvailableLevel(price, order.terms.floor(min(left, available)), displayed)

    def take(self, order: PaperOrder, offer: AvailableLevel) -> None:
        """Take the size of an offer."""
        level = LevelKey(order.symbol, not order.buys, offer.price)
        self._liquidity.take(level, offer.displayed, offer.size)

    def update_queue(self, order: PaperOrder) -> None:
        """Update an order's queue position from the displayed size, if its level is in view."""
        assert order.queue is not None
        for price, size in self._levels(order.symbol, order.buys):
            if price == order.price:
                order.queue.show(size)
                return
            if order.price is not None and (price < order.price) is order.buys:
                order.queue.show(ZERO)
                return

    def _levels(self, symbol: str, is_bid: bool) -> Iterator[tuple[Decimal, Decimal]]:
        few = self._market.levels(symbol, is_bid, LEVELS_PER_READ) or ()
        yield from few
        if len(few) == LEVELS_PER_READ:
            every = self._market.levels(symbol, is_bid, None) or ()
            yield from every[LEVELS_PER_READ:]
