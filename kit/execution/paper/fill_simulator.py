"""What market events do to resting orders.

An order is filled by trades at its price when no size is ahead of it any more, by trades beyond its
price, and by size newly displayed on the other side at its price or better: always at its own
price, and never by more than was traded or displayed.

While a book is not proven nothing is filled.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting.amounts import ZERO, subtract
from kit.execution.paper.consumed_liquidity import ConsumedLiquidity, LevelKey
from kit.execution.paper.market import (
    BookInvalidated,
    BookLevelsChanged,
    MarketEvent,
    MarketEventsLost,
    MarketRestarted,
    MarkPriceReported,
    PaperMarket,
    TradeReported,
)
from kit.execution.paper.order_entry import PaperOrderEntry
from kit.execution.paper.orders import PaperOrder
from kit.execution.paper.visible_book import VisibleBook
from kit.execution.paper.wallet import PaperWallet

OTHER_MARKET = "another past is played now"
Sizes = dict[tuple[bool, Decimal], Decimal]
"""Sizes of levels, by side and price."""


class FillSimulator:
    """Fills the resting orders of one account."""

    def __init__(
        self,
        market: PaperMarket,
        order_entry: PaperOrderEntry,
        wallet: PaperWallet,
        liquidity: ConsumedLiquidity,
        display: VisibleBook,
    ) -> None:
        self._market = market
        self._order_entry = order_entry
        self._wallet = wallet
        self._liquidity = liquidity
        self._display = display
        self._unproven: set[str] = set()
        self._book_time_ns: dict[str, int] = {}
        """The venue's time of the last known change of each book."""

    def on_events(self, events: Sequence[MarketEvent]) -> None:
        for event in events:
            match event:
                case BookLevelsChanged():
                    self._on_book(event)
                case TradeReported():
                    self._on_trade(event)
                case MarkPriceReported():
                    self._wallet.mark(event)
                case BookInvalidated():
                    self._mark_unproven(event.symbol)
                case MarketEventsLost():
                    for symbol in self._order_entry.symbols():
                        self._mark_unproven(symbol)
                case MarketRestarted():
                    self._restart()
        for symbol in [one for one in self._unproven if not self._display.is_unproven(one)]:
            self._unproven.discard(symbol)
        self._order_entry.enter_waiting()

    def _mark_unproven(self, symbol: str) -> None:
        self._unproven.add(symbol)
        if symbol in self._order_entry.symbols():
            self._order_entry.waiting.add(symbol)

    def _restart(self) -> None:
        for order in self._order_entry.orders():
            self._order_entry.end(order, orders_pb2.ORDER_STATE_CANCELLED, detail=OTHER_MARKET)

    def _on_trade(self, trade: TradeReported) -> None:
        if trade.symbol in self._unproven:
            return
        left = trade.size
        for order in self._by_rank(trade.symbol):
            if order.is_final or 0 < trade.venue_time_ns <= order.joined_time_ns:
                continue
            reaching = self._reaching_size(order, trade, left)
            size = order.terms.floor(min(reaching, order.left))
            if size and order.price is not None:
                left = subtract(left, size)
                self._order_entry.fill(order, order.price, size, is_maker=True)

    def _reaching_size(self, order: PaperOrder, trade: TradeReported, left: Decimal) -> Decimal:
        """Return the size of a trade that reaches an order."""
        queue, price = order.queue, order.price
        if queue is None or price is None:
            return ZERO
        if trade.price != price:
            if (trade.price < price) is not order.buys:
                return ZERO
            queue.pass_through()
            return left
        if trade.taker_buys is order.buys:
            return ZERO
        if queue.ahead is None:
            # The size ahead is known from now on; this trade went to it.
            self._display.update_queue(order)
            return ZERO
        # The book may be reported before the trade that it shows.
        book_ns = max(self._book_time_ns.get(trade.symbol, 0), order.joined_time_ns)
        return queue.trade(left, is_shown=not book_ns or trade.venue_time_ns <= book_ns)

    def _on_book(self, event: BookLevelsChanged) -> None:
        symbol = event.symbol
        known_ns = self._book_time_ns.get(symbol, 0)
        self._book_time_ns[symbol] = event.venue_time_ns or known_ns
        if event.is_whole:
            self._unproven.discard(symbol)
        sizes = {(level.is_bid, level.price): level.size for level in event.levels}
        if event.is_whole:
            self._liquidity.show_all(symbol, sizes)
        else:
            for (is_bid, price), size in sizes.items():
                self._liquidity.show(LevelKey(symbol, is_bid, price), size)
        if symbol in self._unproven:
            return
        for order in self._by_rank(symbol):
            if order.queue is not None and not order.is_final:
                self._show(order, event, sizes)
                self._cross(order, sizes)

    def _show(self, order: PaperOrder, event: BookLevelsChanged, sizes: Sizes) -> None:
        """Update an order's queue position from the new size of its level."""
        assert order.queue is not None
        assert order.price is not None
        size = sizes.get((order.buys, order.price), ZERO if event.is_whole else None)
        if size == ZERO:
            # A level that leaves the view is reported as gone, with an unknown size.
            self._display.update_queue(order)
        elif size is not None:
            order.queue.show(size)

    def _cross(self, order: PaperOrder, sizes: Sizes) -> None:
        """Fill an order with size displayed on the other side at its price or better."""
        for price, displayed in _crossing(order, sizes):
            offer = self._display.offer(order, price, displayed, order.left)
            if offer.size and order.price is not None:
                self._display.take(order, offer)
                self._order_entry.fill(order, order.price, offer.size, is_maker=True)
            if order.is_final:
                return

    def _by_rank(self, symbol: str) -> list[PaperOrder]:
        return sorted(self._order_entry.orders(symbol), key=lambda order: order.rank)


def _crossing(order: PaperOrder, sizes: Sizes) -> Iterable[tuple[Decimal, Decimal]]:
    """Levels of the other side at the order's price or better, best first."""
    found = [
        (price, size)
        for (is_bid, price), size in sizes.items()
        if is_bid is not order.buys and size and order.reaches(price)
    ]
    return sorted(found, reverse=not order.buys)
