"""What the market does to the orders that wait.

An order is filled by trades at its price when nobody stands before it any more, by trades behind
its price, and by what is newly displayed on the other side at its price or a better one: always at
its own price, and never by more than was traded or displayed.

While a book is in doubt nothing is filled: orders wait until it can be relied on.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.amounts import ZERO, subtract
from kit.execution.paper.consumed_liquidity import ConsumedLiquidity, LevelKey
from kit.execution.paper.market import (
    BookUnproven,
    BookUpdated,
    EventsLost,
    Market,
    MarketEvent,
    MarketRestarted,
    MarkReported,
    TradeReported,
)
from kit.execution.paper.order_entry import OrderEntry
from kit.execution.paper.orders import PaperOrder
from kit.execution.paper.visible_book import VisibleBook
from kit.execution.paper.wallet import PaperWallet

OTHER_MARKET = "another past is played now"
Sizes = dict[tuple[bool, Decimal], Decimal]
"""Of levels, by side and price."""


class FillSimulator:
    """Of one account."""

    def __init__(
        self,
        market: Market,
        entrance: OrderEntry,
        wallet: PaperWallet,
        liquidity: ConsumedLiquidity,
        display: VisibleBook,
    ) -> None:
        self._market = market
        self._entrance = entrance
        self._wallet = wallet
        self._liquidity = liquidity
        self._display = display
        self._doubted: set[str] = set()
        self._book_time_ns: dict[str, int] = {}
        """The venue's time of the last change of each book that was heard of."""

    def hear(self, events: Sequence[MarketEvent]) -> None:
        """Something has happened."""
        for event in events:
            match event:
                case BookUpdated():
                    self._on_book(event)
                case TradeReported():
                    self._on_trade(event)
                case MarkReported():
                    self._wallet.mark(event)
                case BookUnproven():
                    self._doubt(event.symbol)
                case EventsLost():
                    for symbol in self._entrance.symbols():
                        self._doubt(symbol)
                case MarketRestarted():
                    self._begin()
        for symbol in [one for one in self._doubted if not self._display.is_doubted(one)]:
            self._doubted.discard(symbol)
        self._entrance.place_waiting()

    def _doubt(self, symbol: str) -> None:
        self._doubted.add(symbol)
        if symbol in self._entrance.symbols():
            self._entrance.waiting.add(symbol)

    def _begin(self) -> None:
        for order in self._entrance.orders():
            self._entrance.end(order, orders_pb2.ORDER_STATE_CANCELLED, detail=OTHER_MARKET)

    def _on_trade(self, trade: TradeReported) -> None:
        if trade.symbol in self._doubted:
            return
        left = trade.size
        for order in self._by_rank(trade.symbol):
            if order.is_final or 0 < trade.venue_time_ns <= order.joined_time_ns:
                continue
            come = self._come_to(order, trade, left)
            size = order.terms.floor(min(come, order.left))
            if size and order.price is not None:
                left = subtract(left, size)
                self._entrance.fill(order, order.price, size, is_maker=True)

    def _come_to(self, order: PaperOrder, trade: TradeReported, left: Decimal) -> Decimal:
        """What of a trade comes to an order."""
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
            # What stood before it shows from now on; this trade went to that.
            self._display.look(order)
            return ZERO
        # The book may be told before the trade that it shows.
        book_ns = max(self._book_time_ns.get(trade.symbol, 0), order.joined_time_ns)
        return queue.trade(left, is_shown=not book_ns or trade.venue_time_ns <= book_ns)

    def _on_book(self, event: BookUpdated) -> None:
        symbol = event.symbol
        known_ns = self._book_time_ns.get(symbol, 0)
        self._book_time_ns[symbol] = event.venue_time_ns or known_ns
        if event.is_whole:
            self._doubted.discard(symbol)
        sizes = {(level.is_bid, level.price): level.size for level in event.levels}
        if event.is_whole:
            self._liquidity.show_all(symbol, sizes)
        else:
            for (is_bid, price), size in sizes.items():
                self._liquidity.show(LevelKey(symbol, is_bid, price), size)
        if symbol in self._doubted:
            return
        for order in self._by_rank(symbol):
            if order.queue is not None and not order.is_final:
                self._show(order, event, sizes)
                self._cross(order, sizes)

    def _show(self, order: PaperOrder, event: BookUpdated, sizes: Sizes) -> None:
        """What its own level displays now."""
        assert order.queue is not None
        assert order.price is not None
        size = sizes.get((order.buys, order.price), ZERO if event.is_whole else None)
        if size == ZERO:
            # A level that falls out of view is told as gone; nobody says what stands there.
            self._display.look(order)
        elif size is not None:
            order.queue.show(size)

    def _cross(self, order: PaperOrder, sizes: Sizes) -> None:
        """What is displayed now on the other side, at its price or a better one, comes to it."""
        for price, displayed in _crossing(order, sizes):
            offer = self._display.offer(order, price, displayed, order.left)
            if offer.size and order.price is not None:
                self._display.take(order, offer)
                self._entrance.fill(order, order.price, offer.size, is_maker=True)
            if order.is_final:
                return

    def _by_rank(self, symbol: str) -> list[PaperOrder]:
        return sorted(self._entrance.orders(symbol), key=lambda order: order.rank)


def _crossing(order: PaperOrder, sizes: Sizes) -> Iterable[tuple[Decimal, Decimal]]:
    """Best first."""
    found = [
        (price, size)
        for (is_bid, price), size in sizes.items()
        if is_bid is not order.buys and size and order.reaches(price)
    ]
    return sorted(found, reverse=not order.buys)
