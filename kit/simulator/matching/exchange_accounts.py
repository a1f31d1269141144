"""The matching engine of one venue, behind the interface that the dialects use."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal

from msgspec import structs

from kit.accounting.money import atoms_of
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.listing import Listing
from kit.simulator.market_events import Instrument, MarketEvent
from kit.simulator.matching.accounts import ExchangeAccount, ExchangeLedger
from kit.simulator.matching.bookings import bookings_of
from kit.simulator.matching.contract import (
    AccountSettings,
    ApiKey,
    BalanceView,
    BookingCause,
    BookingView,
    ClientIdScope,
    FillView,
    Listener,
    MatchingRules,
    OrderRejected,
    OrderTicket,
    OrderView,
    PositionView,
    RejectCode,
)
from kit.simulator.matching.engine import OrderEngine
from kit.simulator.matching.instrument_book import InstrumentBook
from kit.simulator.matching.mark_prices import FindMark
from kit.simulator.matching.order import MatchingOrder
from kit.simulator.matching.order_book import OrderBook
from kit.simulator.matching.order_validation import check_band, check_notional, draft
from kit.simulator.matching.risk import RiskEngine


class ExchangeAccounts:
    """``MatchingEngine`` of one venue. Its books are shared with the background order flow."""

    def __init__(
        self,
        rules: MatchingRules,
        now: Callable[[], int],
        exchange_time: Callable[[int], int],
        emit: Callable[[Sequence[MarketEvent]], None],
        find_mark: FindMark,
    ) -> None:
        """``now``: the time of the market. ``exchange_time``: the exchange's clock at a time of the
        market. ``emit``: receives the market events that orders of accounts cause. ``find_mark``:
        the mark of a symbol now."""
        self.rules = rules
        self.keys: Sequence[ApiKey] = rules.keys
        self._keys = {key.key: key for key in rules.keys}
        self._now = now
        self._emit = emit
        self._engine = OrderEngine(rules, exchange_time, find_mark)
        self._risk = RiskEngine(self._engine)

    @property
    def ledger(self) -> ExchangeLedger:
        """Amounts that no account holds."""
        return self._engine.settlement.ledger

    @property
    def accounts(self) -> Sequence[str]:
        return list(self._engine.accounts)

    def enter(self, instrument: Instrument, listing: Listing, book: OrderBook) -> None:
        self._engine.open_book(instrument, listing, book)

    def relist(self, listing: Listing) -> None:
        """Take over a changed listing."""
        book = self._engine.books[listing.symbol]
        book.relist(listing)
        book.delisted = False

    def delist(self, symbol: str) -> None:
        """Delist an instrument and cancel all its orders."""
        with self._happening():
            for account in self._engine.accounts.values():
                for order in account.open_of(symbol):
                    self._engine.cancel(order, RejectCode.UNKNOWN_SYMBOL)
        self._engine.books[symbol].delisted = True

    def key(self, key: str) -> ApiKey | None:
        return self._keys.get(key)

    def place(self, account: str, ticket: OrderTicket) -> OrderView:
        engine = self._engine
        holder, book = engine.account(account), self._book(ticket.symbol)
        before = self._same_id(holder, ticket.client_order_id) if ticket.client_order_id else None
        if before is not None:
            return self._view(before)
        if len(holder.open) >= self.rules.open_orders_max:
            raise OrderRejected(RejectCode.TOO_MANY)
        engine.begin(self._now())
        order = draft(book, account, ticket, self.rules, engine.time_ns)
        engine.place(holder, book, order)
        self._emit(engine.end())
        return book.view(order)

    def amend(
        self,
        account: str,
        order_id: int,
        size: Decimal | None,
        price: Decimal | None,
        stop_price: Decimal | None = None,
    ) -> OrderView:
        order = self._open_order(account, order_id)
        book = self._book(order.ticket.symbol)
        if book.halted:
            raise OrderRejected(RejectCode.HALTED)
        changed = self._changed(book, order, size, price, stop_price)
        with self._happening():
            self._engine.amend(order, changed)
        return book.view(order)

    def cancel(self, account: str, order_id: int) -> OrderView:
        order, engine = self._open_order(account, order_id), self._engine
        engine.begin(self._now())
        engine.cancel(order)
        self._emit(engine.end())
        return engine.books[order.ticket.symbol].view(order)

    def cancel_all(self, account: str, symbol: str = "") -> list[OrderView]:
        orders = list(self._engine.account(account).open_of(symbol))
        with self._happening():
            for order in orders:
                if not order.is_final:
                    self._engine.cancel(order)
        return [self._view(order) for order in orders]

    def order(self, account: str, order_id: int) -> OrderView:
        return self._view(self._order(account, order_id))

    def by_client_id(self, account: str, client_id: str) -> OrderView | None:
        found = self._engine.account(account).by_client_id.get(client_id)
        return None if found is None else self._view(found)

    def open_orders(self, account: str, symbol: str = "") -> list[OrderView]:
        return [self._view(order) for order in self._engine.account(account).open_of(symbol)]

    def orders(self, account: str, symbol: str = "", since_ns: int = 0) -> list[OrderView]:
        return [
            self._view(order)
            for order in self._engine.account(account).orders
            if symbol in ("", order.ticket.symbol) and order.created_ns >= since_ns
        ]

    def fills(self, account: str, symbol: str = "", since_ns: int = 0) -> list[FillView]:
        return [
            self._engine.books[fill.order.ticket.symbol].fill_view(fill)
            for fill in self._engine.account(account).fills
            if symbol in ("", fill.order.ticket.symbol) and fill.time_ns >= since_ns
        ]

    def settings(self, account: str) -> AccountSettings:
        return self._engine.account(account).settings

    def balances(self, account: str) -> list[BalanceView]:
        holder = self._engine.account(account)
        return [self._engine.balance(holder, asset) for asset in holder.wallet.totals]

    def positions(self, account: str) -> list[PositionView]:
        holder, engine = self._engine.account(account), self._engine
        return [
            engine.settlement.position_view(holder, engine.books[symbol])
            for symbol, position in holder.wallet.positions.items()
            if position.size
        ]

    def bookings(self, account: str) -> list[BookingView]:
        at_settlement = self.rules.settlement_time_ns is not None
        engine = self._engine
        return bookings_of(engine.account(account), engine.books, at_settlement=at_settlement)

    def transfer(self, account: str, asset: str, amount: Decimal) -> None:
        """Move an amount into an account, or out of it if it is negative."""
        with self._happening():
            holder, engine = self._engine.account(account), self._engine
            holder.credit(BookingCause.TRANSFER, asset, atoms_of(amount), engine.time_ns)
            engine.tell_balances(holder, (asset,), "transfer")

    def listen(self, account: str, listener: Listener) -> Callable[[], None]:
        listeners = self._engine.account(account).listeners
        listeners.append(listener)

        def end() -> None:
            if listener in listeners:
                listeners.remove(listener)

        return end

    def cancel_after(self, account: str, seconds: float) -> None:
        end_ns = self._engine.exchange_time(self._now()) + round(seconds * NANOSECONDS_PER_SECOND)
        self._engine.account(account).cancel_at_ns = end_ns if seconds else 0

    def advance(self, time_ns: int) -> None:
        """Do everything that is due at this time of the market."""
        self._risk.advance(time_ns)
        self._emit(self._engine.end())

    @contextmanager
    def _happening(self) -> Iterator[None]:
        """Run the block at the current time of the market, then emit its events."""
        self._engine.begin(self._now())
        try:
            yield
        finally:
            events = self._engine.end()
            if events:
                self._emit(events)

    def _book(self, symbol: str) -> InstrumentBook:
        book = self._engine.books.get(symbol)
        if book is None or book.delisted:
            raise OrderRejected(RejectCode.UNKNOWN_SYMBOL)
        return book

    def _view(self, order: MatchingOrder) -> OrderView:
        return self._engine.books[order.ticket.symbol].view(order)

    def _order(self, account: str, order_id: int) -> MatchingOrder:
        found = self._engine.account(account).by_number.get(order_id)
        if found is None:
            raise OrderRejected(RejectCode.UNKNOWN_ORDER)
        return found

    def _open_order(self, account: str, order_id: int) -> MatchingOrder:
        found = self._order(account, order_id)
        if found.is_final:
            raise OrderRejected(RejectCode.FINISHED)
        return found

    def _same_id(self, account: ExchangeAccount, client_id: str) -> MatchingOrder | None:
        """Return the earlier order that answers a repeated client id, or None if the order is new.
        Raises OrderRejected if the id must not be used again."""
        scope = self.rules.id_scope
        before = account.by_client_id.get(client_id)
        if before is None or scope is ClientIdScope.NONE:
            return None
        if scope is ClientIdScope.RETURNS:
            return before
        if scope is ClientIdScope.OPEN and before.is_final:
            return None
        raise OrderRejected(RejectCode.DUPLICATE_ID)

    def _changed(
        self,
        book: InstrumentBook,
        order: MatchingOrder,
        size: Decimal | None,
        price: Decimal | None,
        stop_price: Decimal | None,
    ) -> MatchingOrder:
        """Return a copy of an order with changed numbers."""
        changed, ticket, filled = copy.copy(order), order.ticket, order.lots - order.left
        if size is not None:
            changed.lots = book.lots(size)
            changed.left = changed.lots - filled
            if changed.left <= 0:
                raise OrderRejected(
                    RejectCode.SIZE_MIN, "the new size must be above the filled size"
                )
            ticket = structs.replace(ticket, size=size)
        if price is not None:
            if not order.ticks:
                raise OrderRejected(RejectCode.MALFORMED, "the order has no price")
            changed.ticks = book.ticks(price)
            check_band(book, changed.ticks, self.rules)
            ticket = structs.replace(ticket, price=price)
        if stop_price is not None:
            if not order.stop_ticks or order.waits:
                raise OrderRejected(RejectCode.MALFORMED, "the order waits for no stop price")
            changed.stop_ticks = book.ticks(stop_price)
            ticket = structs.replace(ticket, stop_price=stop_price)
        changed.ticket = ticket
        check_notional(book, changed)
        return changed
