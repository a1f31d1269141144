"""The life of orders: they are admitted, match, rest, trigger, and become final."""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from msgspec import structs
from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting.money import amount_of, atoms_of
from kit.execution.order_types import side_of
from kit.simulator.listing import Listing
from kit.simulator.market_events import Instrument, MarketEvent, Trade
from kit.simulator.matching.accounts import ExchangeAccount
from kit.simulator.matching.contract import (
    START_BASE,
    START_QUOTE,
    BalanceChanged,
    BalanceView,
    BookingCause,
    MatchingRules,
    OrderChanged,
    OrderEventCause,
    OrderRejected,
    OrderStatus,
    OrderTicket,
    PositionChanged,
    RejectCode,
)
from kit.simulator.matching.instrument_book import InstrumentBook
from kit.simulator.matching.mark_prices import FindMark, MarkPriceTable
from kit.simulator.matching.order import OPEN, WEIGHT_SCALE, MatchingFill, MatchingOrder
from kit.simulator.matching.order_book import OrderBook
from kit.simulator.matching.order_validation import check_fills
from kit.simulator.matching.settlement import Settlement
from kit.simulator.matching.stops import is_reached

PARTLY_FILLED, FILLED = OrderStatus.PARTLY_FILLED, OrderStatus.FILLED
UNTRIGGERED = OrderStatus.UNTRIGGERED


class OrderEngine:
    """All order books of a venue; ``ExecutionHandler`` of each."""

    def __init__(
        self, rules: MatchingRules, exchange_time: Callable[[int], int], find_mark: FindMark
    ) -> None:
        """``exchange_time``: the exchange's clock at a time of the market."""
        self.rules = rules
        self.books: dict[str, InstrumentBook] = {}
        self.accounts: dict[str, ExchangeAccount] = {}
        self.settlement = Settlement(rules, MarkPriceTable(self.books, find_mark))
        self.time_ns = 0
        """The time of the current event, by the exchange's clock."""
        self.exchange_time = exchange_time
        self._market_ns = 0
        self._events: list[MarketEvent] = []
        self._book_of: dict[Instrument, InstrumentBook] = {}
        self._number = 0
        self._triggered: deque[MatchingOrder] = deque()
        self._expiring: list[tuple[int, int, MatchingOrder]] = []

    def open_book(self, instrument: Instrument, listing: Listing, orders: OrderBook) -> None:
        book = InstrumentBook(instrument, listing, orders)
        self.books[book.symbol] = self._book_of[instrument] = book
        orders.handler = self
        for account in self.accounts.values():
            self._deposit_start(account)

    def account(self, name: str) -> ExchangeAccount:
        """Return an account. A new one is created with the initial balances of the rules."""
        found = self.accounts.get(name)
        if found is None:
            found = self.accounts[name] = ExchangeAccount(name, int(1 / self.rules.initial_margin))
            self._deposit_start(found)
        return found

    def begin(self, market_ns: int) -> None:
        """Start an event at this time of the market."""
        self._market_ns = market_ns
        self.time_ns = self.exchange_time(market_ns)

    def end(self) -> Sequence[MarketEvent]:
        """Return the market events since the last call."""
        events, self._events = self._events, []
        return events

    def place(self, account: ExchangeAccount, book: InstrumentBook, order: MatchingOrder) -> None:
        """Take a new order. Raises OrderRejected."""
        waits = order.stop_ticks != 0 or order.trail_ticks != 0
        try:
            if waits:
                self._check_stop(book, order)
            self._admit(account, book, order, enters=not waits)
        except OrderRejected as refused:
            outcome = self.rules.outcomes.get(refused.refusal)
            if outcome is None:
                raise
            self._begin(account, book, order, is_published=outcome is not OrderStatus.REJECTED)
            self._finish(account, book, order, outcome, refused.refusal)
            return
        if waits:
            order.status = UNTRIGGERED
        self._begin(account, book, order)
        if waits:
            self._wait(book, order)
        else:
            self._meet(account, book, order)
        if self._triggered:
            self._run_triggered()

    def force(self, account: ExchangeAccount, book: InstrumentBook) -> None:
        """Liquidate a position with a reduce-only market order."""
        lots = account.wallet.position(book.contract).size
        size = book.size(abs(lots))
        ticket = OrderTicket(
            book.symbol, side_of(lots < 0), orders_pb2.ORDER_TYPE_MARKET, size, reduce_only=True
        )
        order = MatchingOrder(0, account.name, ticket, 0, abs(lots), self.time_ns)
        self._begin(account, book, order)
        self._meet(account, book, order)
        self._run_triggered()

    def expire(self, time_ns: int) -> None:
        """Expire all orders whose time has come."""
        while self._expiring and self._expiring[0][0] <= time_ns:
            _, _, order = heapq.heappop(self._expiring)
            if not order.is_final:
                account, book = self.accounts[order.account], self.books[order.ticket.symbol]
                self._withdraw(book, order)
                self._finish(account, book, order, OrderStatus.EXPIRED, None)

    def cancel(self, order: MatchingOrder, why: RejectCode | None = None) -> None:
        """Cancel an order that is not final."""
        account, book = self.accounts[order.account], self.books[order.ticket.symbol]
        self._withdraw(book, order)
        self._finish(account, book, order, OrderStatus.CANCELLED, why)

    def amend(self, order: MatchingOrder, changed: MatchingOrder) -> None:
        """Give an order the numbers of a changed copy. It keeps its queue position if only its size
        decreases. Raises OrderRejected."""
        account, book = self.accounts[order.account], self.books[order.ticket.symbol]
        if order.status is UNTRIGGERED:
            self._check_stop(book, changed)
        self._admit(account, book, changed, enters=order.waits)
        stays = order.waits and changed.ticks == order.ticks and changed.lots <= order.lots
        if stays and changed.lots < order.lots:
            book.orders.reduce(order, order.lots - changed.lots, self._market_ns, self._events)
        elif not stays:
            self._withdraw(book, order)
        order.ticket, order.locked = changed.ticket, changed.locked
        order.ticks, order.lots, order.left = changed.ticks, changed.lots, changed.left
        order.stop_ticks, order.trail_ticks = changed.stop_ticks, changed.trail_ticks
        order.amended += 1
        order.updated_ns = self.time_ns
        self._tell(account, book, order, OrderEventCause.AMENDED)
        if order.status is UNTRIGGERED:
            self._wait(book, order)
        elif not stays:
            self._meet(account, book, order)
        self._run_triggered()

    def filled(
        self, taker: MatchingOrder | None, maker: MatchingOrder | None, trade: Trade
    ) -> Sequence[MarketEvent]:
        if trade.time_ns != self._market_ns:
            self.begin(trade.time_ns)
        book = self._book_of[trade.instrument]
        value = book.contract.value(trade.price_ticks, trade.size_lots)
        if maker is not None:
            self._fill(book, maker, trade, value, is_maker=True)
        if taker is not None:
            self._fill(book, taker, trade, value, is_maker=False)
        if maker is None or taker is None:
            buys = trade.taker_buys is (taker is not None)
            self.settlement.settle_background(book, buys, trade.size_lots, value)
        if book.orders.watched:
            self._triggered += book.stops.note(trade.price_ticks)
        return () if book.is_spot else self._reduce(book, taker, maker)

    def prevented(self, order: MatchingOrder, time_ns: int) -> None:
        self.begin(time_ns)
        account, book = self.accounts[order.account], self.books[order.ticket.symbol]
        self._finish(account, book, order, OrderStatus.CANCELLED, RejectCode.SELF_TRADE)

    def traded(
        self, instrument: Instrument, low_ticks: int, high_ticks: int, time_ns: int
    ) -> Sequence[MarketEvent]:
        self.begin(time_ns)
        book = self._book_of[instrument]
        self._triggered += book.stops.note(low_ticks)
        self._triggered += book.stops.note(high_ticks)
        self._run_triggered()
        book.orders.watched = bool(book.stops)
        return self.end()

    def _admit(
        self, account: ExchangeAccount, book: InstrumentBook, order: MatchingOrder, *, enters: bool
    ) -> None:
        ticket = order.ticket
        if enters and ticket.time_in_force == orders_pb2.TIME_IN_FORCE_FILL_OR_KILL:
            check_fills(book, order)
        if enters and ticket.post_only and book.orders.would_take(order.buys, order.ticks):
            raise OrderRejected(RejectCode.WOULD_TAKE)
        self.settlement.admit(account, book, order, enters=enters)

    def _check_stop(self, book: InstrumentBook, order: MatchingOrder) -> None:
        """Raise OrderRejected for a stop price that is reached already."""
        reached = is_reached(order, book.orders.last_ticks)
        if reached and not self.rules.stops_trigger_at_once:
            raise OrderRejected(RejectCode.STOP_WOULD_TRIGGER)

    def _wait(self, book: InstrumentBook, order: MatchingOrder) -> None:
        """Let an order wait for its stop price."""
        book.stops.add(order, book.orders.last_ticks)
        book.orders.watched = True
        if is_reached(order, book.orders.last_ticks):
            self._triggered += book.stops.note(book.orders.last_ticks)

    def _run_triggered(self) -> None:
        """Enter the triggered orders into the book. Their trades may trigger others."""
        while self._triggered:
            order = self._triggered.popleft()
            if order.status is not UNTRIGGERED:
                continue
            account, book = self.accounts[order.account], self.books[order.ticket.symbol]
            order.status, order.updated_ns = OPEN, self.time_ns
            order.triggered = True
            self._tell(account, book, order, OrderEventCause.TRIGGERED)
            try:
                self._admit(account, book, order, enters=True)
            except OrderRejected as refused:
                why = refused.refusal
                self._finish(account, book, order, OrderStatus.CANCELLED, why)
            else:
                self._meet(account, book, order)

    def _reduce(self, book: InstrumentBook, *traded: MatchingOrder | None) -> Sequence[MarketEvent]:
        """Shrink or cancel reduce-only orders that exceed the position. Returns the changes of the
        book, because this may run in the middle of a match."""
        names = {one.account for one in traded if one and self.accounts[one.account].reducing}
        if not names:
            return ()
        outer, self._events = self._events, []
        for name in sorted(names):
            account = self.accounts[name]
            lots = account.wallet.position(book.contract).size
            for order in list(account.reducing.values()):
                there = -lots if order.buys else lots
                other = order.ticket.symbol != book.symbol
                if other or not order.waits or order.left <= there:
                    continue
                if there <= 0:
                    self.cancel(order, RejectCode.REDUCE_ONLY)
                    continue
                gone = order.left - there
                book.orders.reduce(order, gone, self._market_ns, self._events)
                order.lots -= gone
                order.ticket = structs.replace(order.ticket, size=book.size(order.lots))
                self._tell(account, book, order, OrderEventCause.AMENDED)
        inner, self._events = self._events, outer
        return inner

    def _begin(
        self,
        account: ExchangeAccount,
        book: InstrumentBook,
        order: MatchingOrder,
        *,
        is_published: bool = True,
    ) -> None:
        """Number and remember an order. ``is_published``: tell the listeners that it is new."""
        self._number += 1
        order.number = self._number
        account.begin(order)
        if order.ticket.expire_time_ns:
            heapq.heappush(self._expiring, (order.ticket.expire_time_ns, order.number, order))
        if is_published and account.listeners:
            self._tell(account, book, order, OrderEventCause.NEW)

    def _meet(self, account: ExchangeAccount, book: InstrumentBook, order: MatchingOrder) -> None:
        """Match an order, then let it rest in the book or expire."""
        book.orders.enter(order, self._market_ns, self._events)
        if order.is_final:
            return
        if order.rests:
            order.waits = True
            book.orders.add(order, self._market_ns, self._events)
        else:
            self._finish(account, book, order, OrderStatus.EXPIRED, None)

    def _withdraw(self, book: InstrumentBook, order: MatchingOrder) -> None:
        if order.waits:
            order.waits = False
            book.orders.remove(order, self._market_ns, self._events)

    def _fill(
        self,
        book: InstrumentBook,
        order: MatchingOrder,
        trade: Trade,
        value: int,
        *,
        is_maker: bool,
    ) -> None:
        account, ticks, lots = self.accounts[order.account], trade.price_ticks, trade.size_lots
        time_ns = order.updated_ns = self.time_ns
        order.turnover, contract = order.turnover + ticks * lots, book.contract
        if contract.is_inverse:
            order.inverse_weight += lots * WEIGHT_SCALE // ticks
        if order.left:
            order.status = PARTLY_FILLED
        else:
            order.status, order.is_final, order.waits = FILLED, True, False
            account.end(order)
        fee, asset, profit = self.settlement.settle(account, book, order, (is_maker, lots, value))
        if book.in_dollars:
            traded = contract.notional(ticks, lots) if contract.is_inverse else value
            account.wallet.volume.add(traded, time_ns)
        fill = MatchingFill(
            trade.trade_id,
            order,
            ticks,
            lots,
            fee,
            asset,
            is_maker,
            time_ns,
            order.lots - order.left,
            order.turnover,
            order.status,
            order.inverse_weight,
            profit,
        )
        account.fills.append(fill)
        account.book(fill)
        if account.listeners:
            self._tell(account, book, order, OrderEventCause.FILLED, fill)

    def _finish(
        self,
        account: ExchangeAccount,
        book: InstrumentBook,
        order: MatchingOrder,
        status: OrderStatus,
        why: RejectCode | None,
    ) -> None:
        order.status, order.why = status, why
        order.is_final, order.waits = True, False
        order.updated_ns = self.time_ns
        account.end(order)
        self.settlement.release(account, book, order)
        if account.listeners:
            self._tell(account, book, order, OrderEventCause(status.value))

    def _tell(
        self,
        account: ExchangeAccount,
        book: InstrumentBook,
        order: MatchingOrder,
        cause: OrderEventCause,
        fill: MatchingFill | None = None,
    ) -> None:
        if not account.listeners:
            return
        fill_view = None if fill is None else book.fill_view(fill)
        account.tell(OrderChanged(book.view(order), cause, fill_view))
        why = "order" if fill is None else "fill"
        self.tell_balances(account, self.settlement.assets(book), why)
        if fill is not None and not book.is_spot:
            self.tell_position(account, book, why)

    def tell_balances(self, account: ExchangeAccount, assets: Iterable[str], why: str) -> None:
        """Tell the listeners of an account its balances."""
        for asset in assets if account.listeners else ():
            account.tell(BalanceChanged(self.balance(account, asset), why))

    def tell_position(self, account: ExchangeAccount, book: InstrumentBook, why: str) -> None:
        """Tell the listeners of an account its position."""
        if account.listeners:
            account.tell(PositionChanged(self.settlement.position_view(account, book), why))

    def balance(self, account: ExchangeAccount, asset: str) -> BalanceView:
        """Return the balance of one asset."""
        wallet = account.wallet
        total = wallet.totals.get(asset, 0)
        locked = min(wallet.locked.get(asset, 0), max(total, 0))  # Also for unrealised losses.
        unsettled = self.settlement.margin.unsettled(wallet, asset)
        return BalanceView(account.name, asset, *map(amount_of, (total, locked, unsettled)))

    def _deposit_start(self, account: ExchangeAccount) -> None:
        """Transfer the initial balance of each asset that the account does not have yet."""
        contracts = [book.contract for book in self.books.values()]
        traded = {contract.base for contract in contracts}
        paying = {contract.settle for contract in contracts}  # Not the quote asset of inverse ones.
        for asset in sorted(traded | paying):
            if asset not in account.wallet.totals:
                default = START_BASE if asset in traded else START_QUOTE
                start = atoms_of(self.rules.start.get(asset, default))
                account.credit(BookingCause.TRANSFER, asset, start, self.time_ns)
