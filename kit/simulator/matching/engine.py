"""What becomes of orders: they are admitted, meet others, wait, and end. Numbers only, no views."""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from kit.simulator.events import Instrument, MarketEvent, Trade
from kit.simulator.listing import Listing
from kit.simulator.matching.accounts import Account, Ledger
from kit.simulator.matching.book import Book
from kit.simulator.matching.checks import check_fills
from kit.simulator.matching.clearing import Clearing
from kit.simulator.matching.contract import (
    START_BASE,
    START_QUOTE,
    BalanceChanged,
    BalanceView,
    Cause,
    MatchingRules,
    OrderChanged,
    OrderKind,
    OrderRejected,
    OrderTicket,
    PositionChanged,
    RejectCode,
    Status,
)
from kit.simulator.matching.fees import FeeTable
from kit.simulator.matching.instrument_book import InstrumentBook
from kit.simulator.matching.margin import Margin, Marks
from kit.simulator.matching.money import amount, atoms_of
from kit.simulator.matching.order import FILL_OR_KILL, OPEN, Fill, Order
from kit.simulator.matching.spot import Spot
from kit.simulator.matching.stops import is_reached

PARTLY_FILLED, FILLED = Status.PARTLY_FILLED, Status.FILLED
UNTRIGGERED = Status.UNTRIGGERED


class Engine:
    """``Keeper`` of all books of a venue."""

    def __init__(self, rules: MatchingRules, told: Callable[[int], int], marks: Marks) -> None:
        """``told``: what the market's time is by the exchange's clock; ``marks``: what derivatives
        are worth."""
        self.rules = rules
        self.ledger = Ledger()
        self.boards: dict[str, InstrumentBook] = {}
        self.accounts: dict[str, Account] = {}
        self.time_ns = 0
        """Of what is happening, by the exchange's clock."""
        self._market_ns = 0
        self.told = told
        self._events: list[MarketEvent] = []
        self._board_of: dict[Instrument, InstrumentBook] = {}
        self._number = 0
        fees = FeeTable(rules.tiers, rules.fee_places)
        self._spot = Spot(fees, rules.fee_asset, self.ledger)
        self.margin = Margin(rules, fees, self.ledger, self.boards, marks)
        self._triggered: deque[Order] = deque()
        self._expiring: list[tuple[int, int, Order]] = []

    def open_board(self, instrument: Instrument, listing: Listing, book: Book) -> None:
        """Trade one more instrument."""
        board = InstrumentBook(instrument, listing, book)
        self.boards[board.symbol] = self._board_of[instrument] = board
        book.keeper = self
        for account in self.accounts.values():
            self._endow(account)

    def account(self, name: str) -> Account:
        """An account; one that is new has what the rules say."""
        found = self.accounts.get(name)
        if found is None:
            found = self.accounts[name] = Account(name)
            self._endow(found)
        return found

    def begin(self, market_ns: int) -> None:
        """Something happens now."""
        self._market_ns = market_ns
        self.time_ns = self.told(market_ns)

    def end(self) -> Sequence[MarketEvent]:
        """What has happened in the market because of it."""
        events, self._events = self._events, []
        return events

    def place(self, account: Account, board: InstrumentBook, order: Order) -> None:
        """A new order. Raises Refused."""
        waits = order.stop_ticks != 0 or order.trail_ticks != 0
        try:
            if waits:
                self._check_stop(board, order)
            self._admit(account, board, order, enters=not waits)
        except OrderRejected as refused:
            outcome = self.rules.outcomes.get(refused.refusal)
            if outcome is None:
                raise
            self._begin(account, board, order, heard=outcome is not Status.REJECTED)
            self._finish(account, board, order, outcome, refused.refusal)
            return
        if waits:
            order.status = UNTRIGGERED
        self._begin(account, board, order)
        if waits:
            self._wait(board, order)
        else:
            self._meet(account, board, order)
        if self._triggered:
            self._run_triggered()

    def force(self, account: Account, board: InstrumentBook) -> None:
        """Close a position by a market order that the account has not asked for."""
        lots = account.positions[board.symbol].lots
        size = board.size(abs(lots))
        ticket = OrderTicket(board.symbol, lots < 0, OrderKind.MARKET, size, reduce_only=True)
        order = Order(0, account.name, ticket, 0, abs(lots), self.time_ns)
        self._begin(account, board, order)
        self._meet(account, board, order)
        self._run_triggered()

    def expire(self, time_ns: int) -> None:
        """End all orders whose time is over."""
        while self._expiring and self._expiring[0][0] <= time_ns:
            _, _, order = heapq.heappop(self._expiring)
            if not order.is_final:
                account, board = self.accounts[order.account], self.boards[order.ticket.symbol]
                self._withdraw(board, order)
                self._finish(account, board, order, Status.EXPIRED, None)

    def cancel(self, order: Order, why: RejectCode | None = None) -> None:
        """Take an order back that is not final."""
        account, board = self.accounts[order.account], self.boards[order.ticket.symbol]
        self._withdraw(board, order)
        self._finish(account, board, order, Status.CANCELLED, why)

    def amend(self, order: Order, changed: Order) -> None:
        """An order becomes like another one, which is a copy of it with other numbers. It keeps its
        place where it only gets smaller. Raises Refused."""
        account, board = self.accounts[order.account], self.boards[order.ticket.symbol]
        if order.status is UNTRIGGERED:
            self._check_stop(board, changed)
        self._admit(account, board, changed, enters=order.waits)
        stays = order.waits and changed.ticks == order.ticks and changed.lots <= order.lots
        if stays and changed.lots < order.lots:
            board.book.reduce(order, order.lots - changed.lots, self._market_ns, self._events)
        elif not stays:
            self._withdraw(board, order)
        order.ticket, order.locked = changed.ticket, changed.locked
        order.ticks, order.lots, order.left = changed.ticks, changed.lots, changed.left
        order.stop_ticks, order.trail_ticks = changed.stop_ticks, changed.trail_ticks
        order.amended += 1
        order.updated_ns = self.time_ns
        self._tell(account, board, order, Cause.AMENDED)
        if order.status is UNTRIGGERED:
            self._wait(board, order)
        elif not stays:
            self._meet(account, board, order)
        self._run_triggered()

    def filled(
        self, taker: Order | None, maker: Order | None, trade: Trade
    ) -> Sequence[MarketEvent]:
        if trade.time_ns != self._market_ns:
            self.begin(trade.time_ns)
        board = self._board_of[trade.instrument]
        value = board.value(trade.price_ticks, trade.size_lots)
        if maker is not None:
            self._fill(board, maker, trade, value, True, taker is None)
        if taker is not None:
            self._fill(board, taker, trade, value, False, maker is None)
        if board.book.watched:
            self._triggered += board.stops.note(trade.price_ticks)
        return () if board.is_spot else self._reduce(board, taker, maker)

    def prevented(self, order: Order, time_ns: int) -> None:
        self.begin(time_ns)
        account, board = self.accounts[order.account], self.boards[order.ticket.symbol]
        self._finish(account, board, order, Status.CANCELLED, RejectCode.SELF_TRADE)

    def traded(
        self, instrument: Instrument, low_ticks: int, high_ticks: int, time_ns: int
    ) -> Sequence[MarketEvent]:
        self.begin(time_ns)
        board = self._board_of[instrument]
        self._triggered += board.stops.note(low_ticks)
        self._triggered += board.stops.note(high_ticks)
        self._run_triggered()
        board.book.watched = bool(board.stops)
        return self.end()

    def _admit(
        self, account: Account, board: InstrumentBook, order: Order, *, enters: bool
    ) -> None:
        ticket = order.ticket
        if enters and ticket.lifetime is FILL_OR_KILL:
            check_fills(board, order)
        if enters and ticket.post_only and board.book.would_take(order.buys, order.ticks):
            raise OrderRejected(RejectCode.WOULD_TAKE)
        clearing = self._spot if board.is_spot else self.margin
        clearing.admit(account, board, order, enters)

    def _check_stop(self, board: InstrumentBook, order: Order) -> None:
        """Raises Refused for a stop price that is reached already."""
        reached = is_reached(order, board.book.last_ticks)
        if reached and not self.rules.stops_trigger_at_once:
            raise OrderRejected(RejectCode.STOP_WOULD_TRIGGER)

    def _wait(self, board: InstrumentBook, order: Order) -> None:
        """For its stop price."""
        board.stops.add(order, board.book.last_ticks)
        board.book.watched = True
        if is_reached(order, board.book.last_ticks):
            self._triggered += board.stops.note(board.book.last_ticks)

    def _run_triggered(self) -> None:
        """Those whose stop price was reached come to the book, and may trigger others."""
        while self._triggered:
            order = self._triggered.popleft()
            if order.status is not UNTRIGGERED:
                continue
            account, board = self.accounts[order.account], self.boards[order.ticket.symbol]
            order.status, order.updated_ns = OPEN, self.time_ns
            order.triggered = True
            self._tell(account, board, order, Cause.TRIGGERED)
            try:
                self._admit(account, board, order, enters=True)
            except OrderRejected as refused:
                why = refused.refusal
                self._finish(account, board, order, Status.CANCELLED, why)
            else:
                self._meet(account, board, order)

    def _reduce(self, board: InstrumentBook, *traded: Order | None) -> Sequence[MarketEvent]:
        """Make reduce-only orders as small as what they can still reduce. It may be done while
        others meet, so what it changes in the book is told by them."""
        names = {one.account for one in traded if one and self.accounts[one.account].reducing}
        if not names:
            return ()
        outer, self._events = self._events, []
        for name in sorted(names):
            account = self.accounts[name]
            lots = account.positions[board.symbol].lots
            for order in list(account.reducing.values()):
                there = -lots if order.buys else lots
                other = order.ticket.symbol != board.symbol
                if other or not order.waits or order.left <= there:
                    continue
                if there <= 0:
                    self.cancel(order, RejectCode.REDUCE_ONLY)
                    continue
                gone = order.left - there
                board.book.reduce(order, gone, self._market_ns, self._events)
                order.lots -= gone
                order.ticket = replace(order.ticket, size=board.size(order.lots))
                self._tell(account, board, order, Cause.AMENDED)
        inner, self._events = self._events, outer
        return inner

    def _begin(
        self, account: Account, board: InstrumentBook, order: Order, *, heard: bool = True
    ) -> None:
        """It has a number and is remembered; ``heard``: and the account hears of it."""
        self._number += 1
        order.number = self._number
        account.begin(order)
        if order.ticket.expires_ns:
            heapq.heappush(self._expiring, (order.ticket.expires_ns, order.number, order))
        if heard and account.listeners:
            self._tell(account, board, order, Cause.NEW)

    def _meet(self, account: Account, board: InstrumentBook, order: Order) -> None:
        """It meets what is in the book, and waits there if it is to."""
        board.book.enter(order, self._market_ns, self._events)
        if order.is_final:
            return
        if order.rests:
            order.waits = True
            board.book.add(order, self._market_ns, self._events)
        else:
            self._finish(account, board, order, Status.EXPIRED, None)

    def _withdraw(self, board: InstrumentBook, order: Order) -> None:
        if order.waits:
            order.waits = False
            board.book.remove(order, self._market_ns, self._events)

    def _fill(
        self,
        board: InstrumentBook,
        order: Order,
        trade: Trade,
        value: int,
        is_maker: bool,
        with_crowd: bool,
    ) -> None:
        account, ticks, lots = self.accounts[order.account], trade.price_ticks, trade.size_lots
        time_ns = order.updated_ns = self.time_ns
        order.turnover += ticks * lots
        if order.left:
            order.status = PARTLY_FILLED
        else:
            order.status, order.is_final, order.waits = FILLED, True, False
            account.end(order)
        clearing = self._spot if board.is_spot else self.margin
        fee, asset = clearing.settle(account, board, order, lots, value, is_maker, with_crowd)
        if board.in_dollars:
            traded = board.notional(ticks, lots) if board.is_inverse else value
            account.volume.add(traded, time_ns)
        fill = Fill(
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
        )
        account.fills.append(fill)
        if account.listeners:
            self._tell(account, board, order, Cause.FILLED, fill)

    def _finish(
        self,
        account: Account,
        board: InstrumentBook,
        order: Order,
        status: Status,
        why: RejectCode | None,
    ) -> None:
        order.status, order.why = status, why
        order.is_final, order.waits = True, False
        order.updated_ns = self.time_ns
        account.end(order)
        self._clearing(board).release(account, board, order)
        if account.listeners:
            self._tell(account, board, order, Cause(status.value))

    def _tell(
        self,
        account: Account,
        board: InstrumentBook,
        order: Order,
        cause: Cause,
        fill: Fill | None = None,
    ) -> None:
        if not account.listeners:
            return
        told = None if fill is None else board.fill_view(fill)
        account.tell(OrderChanged(board.view(order), cause, told))
        why = "order" if fill is None else "fill"
        self.tell_balances(account, self._clearing(board).assets(board), why)
        if fill is not None and not board.is_spot:
            self.tell_position(account, board, why)

    def tell_balances(self, account: Account, assets: Iterable[str], why: str) -> None:
        """Let those who listen know what an account has."""
        for asset in assets if account.listeners else ():
            account.tell(BalanceChanged(self.balance(account, asset), why))

    def tell_position(self, account: Account, board: InstrumentBook, why: str) -> None:
        """Likewise what it holds of a derivative."""
        if account.listeners:
            view = self.margin.view(account, board, account.positions[board.symbol])
            account.tell(PositionChanged(view, why))

    def balance(self, account: Account, asset: str) -> BalanceView:
        """What an account has of an asset."""
        total = account.total.get(asset, 0)
        # Losses can hold back more than there is.
        locked = min(account.locked.get(asset, 0), max(total, 0))
        return BalanceView(account.name, asset, amount(total), amount(locked))

    def _clearing(self, board: InstrumentBook) -> Clearing:
        return self._spot if board.is_spot else self.margin

    def _endow(self, account: Account) -> None:
        """Give it what it has at the beginning, of each asset that it does not know yet."""
        boards = self.boards.values()
        traded = {board.base for board in boards}
        paying = {board.quote for board in boards} | {board.settle for board in boards}
        for asset in sorted(traded | paying):
            if asset not in account.total:
                usual = START_BASE if asset in traded else START_QUOTE
                account.locked[asset] = 0
                account.total[asset] = atoms_of(self.rules.start.get(asset, usual))
