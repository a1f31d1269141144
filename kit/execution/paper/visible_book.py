"""What the venue's book displays, and what of it an order on paper can take."""

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from kit.execution.amounts import ZERO, subtract
from kit.execution.paper.consumed_liquidity import ConsumedLiquidity, LevelKey
from kit.execution.paper.market import Market
from kit.execution.paper.orders import PaperOrder

LEVELS_AT_ONCE = 32


class AvailableLevel(NamedTuple):
    """Something that an order can take."""

    price: Decimal
    size: Decimal
    displayed: Decimal


class VisibleBook:
    """Of one account: what it has taken cannot be taken again."""

    def __init__(self, market: Market, liquidity: ConsumedLiquidity) -> None:
        self._market = market
        self._liquidity = liquidity

    def is_doubted(self, symbol: str) -> bool:
        """Whether the book cannot be relied on."""
        return self._market.levels(symbol, True, 1) is None

    def crosses(self, order: PaperOrder) -> bool:
        """Whether anything is displayed that an order would meet, taken or not."""
        best = self._market.levels(order.symbol, not order.buys, 1)
        return best is not None and len(best) > 0 and order.reaches(best[0][0])

    def offers(self, order: PaperOrder) -> Iterator[AvailableLevel]:
        """What an order can take, best first, as far as its price and its size go."""
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
        """What an order can take of one level."""
        there = self._liquidity.left(LevelKey(order.symbol, not order.buys, price), displayed)
        return AvailableLevel(price, order.terms.floor(min(left, there)), displayed)

    def take(self, order: PaperOrder, offer: AvailableLevel) -> None:
        """Note it as taken."""
        place = LevelKey(order.symbol, not order.buys, offer.price)
        self._liquidity.take(place, offer.displayed, offer.size)

    def look(self, order: PaperOrder) -> None:
        """See what stands at an order's own price, if that is in view."""
        assert order.queue is not None
        for price, size in self._levels(order.symbol, order.buys):
            if price == order.price:
                order.queue.show(size)
                return
            if order.price is not None and (price < order.price) is order.buys:
                order.queue.show(ZERO)
                return

    def _levels(self, symbol: str, is_bid: bool) -> Iterator[tuple[Decimal, Decimal]]:
        few = self._market.levels(symbol, is_bid, LEVELS_AT_ONCE) or ()
        yield from few
        if len(few) == LEVELS_AT_ONCE:
            every = self._market.levels(symbol, is_bid, None) or ()
            yield from every[LEVELS_AT_ONCE:]
