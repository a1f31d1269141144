"""An exchange whose engine is a list of what it was asked, for the tests of what exchanges say."""

from decimal import Decimal

from msgspec import structs

from kit.simulator.history import HistoricalTrade
from kit.simulator.listing import ExchangeBookSnapshot
from kit.simulator.matching.contract import (
    KEYS,
    AccountSettings,
    ApiKey,
    BalanceView,
    OrderChanged,
    OrderEventCause,
    OrderRejected,
    OrderStatus,
    OrderTicket,
    OrderView,
    PositionView,
    RejectCode,
)

NOW_MS = 1_790_000_000_000
ZERO = Decimal(0)


class FakeMatchingEngine:
    """Accepts every order and fills none, or rejects them on request."""

    def __init__(self) -> None:
        self.keys = KEYS
        self.refuses: RejectCode | None = None
        self.status = OrderStatus.OPEN
        self.found: dict[int, OrderView] = {}
        self.held: list[PositionView] = []
        self.countdown: tuple[str, float] | None = None
        self._listeners: list = []

    def key(self, name: str) -> ApiKey | None:
        return next((key for key in self.keys if key.key == name), None)

    def place(self, account: str, ticket: OrderTicket) -> OrderView:
        if self.refuses is not None:
            raise OrderRejected(self.refuses)
        number, now_ns = len(self.found) + 1, NOW_MS * 10**6
        order = OrderView(number, account, ticket, self.status, ZERO, ZERO, now_ns, now_ns)
        return self._keep(order, OrderEventCause.NEW)

    def amend(self, account, order_id, size, price, stop_price=None) -> OrderView:
        order = self.order(account, order_id)
        ticket = structs.replace(
            order.ticket, size=size or order.ticket.size, price=price or order.ticket.price
        )
        return self._keep(structs.replace(order, ticket=ticket), OrderEventCause.AMENDED)

    def cancel(self, account: str, order_id: int) -> OrderView:
        order = self.order(account, order_id)
        if order.is_final:
            raise OrderRejected(RejectCode.FINISHED)
        return self._keep(
            structs.replace(order, status=OrderStatus.CANCELLED), OrderEventCause.CANCELLED
        )

    def cancel_all(self, account: str, symbol: str = "") -> list[OrderView]:
        return [self.cancel(account, one.order_id) for one in self.open_orders(account, symbol)]

    def order(self, account: str, order_id: int) -> OrderView:
        if order_id not in self.found or self.found[order_id].account != account:
            raise OrderRejected(RejectCode.UNKNOWN_ORDER)
        return self.found[order_id]

    def by_client_id(self, account: str, client_id: str) -> OrderView | None:
        named = [one for one in self.orders(account) if one.ticket.client_order_id == client_id]
        return named[-1] if named else None

    def open_orders(self, account: str, symbol: str = "") -> list[OrderView]:
        return [one for one in self.orders(account, symbol) if not one.is_final]

    def orders(self, account: str, symbol: str = "", since_ns: int = 0) -> list[OrderView]:
        mine = [one for one in self.found.values() if one.account == account]
        return [one for one in mine if symbol in ("", one.ticket.symbol)]

    def fills(self, account: str, symbol: str = "", since_ns: int = 0) -> list:
        return []

    def settings(self, account: str) -> AccountSettings:
        return AccountSettings()

    def balances(self, account: str) -> list[BalanceView]:
        return [BalanceView(account, "USDT", Decimal(1_000), Decimal(10))]

    def positions(self, account: str) -> list[PositionView]:
        return self.held

    def listen(self, account: str, listener):
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def cancel_after(self, account: str, seconds: float) -> None:
        self.countdown = (account, seconds)

    def tell(self, event) -> None:
        for listener in list(self._listeners):
            listener(event)

    def _keep(self, order: OrderView, cause: OrderEventCause) -> OrderView:
        self.found[order.order_id] = order
        self.tell(OrderChanged(order, cause))
        return order


class OneTrade:
    """A history of one trade."""

    def latest(self, limit: int) -> list[HistoricalTrade]:
        return [HistoricalTrade(1, "50000", "1", NOW_MS * 10**6, True)]


class FakeMarketView:
    """Its clock stands still."""

    def __init__(self, engine: FakeMatchingEngine | None, listings) -> None:
        self.engine = engine
        self.now_ns = NOW_MS * 10**6
        self._listings = listings

    def time_ns(self) -> int:
        return self.now_ns

    def clock_ns(self) -> int:
        return self.now_ns

    def listings(self):
        return self._listings

    def history(self, symbol: str) -> OneTrade:
        return OneTrade()

    async def book(self, symbol: str) -> ExchangeBookSnapshot | None:
        return None

    def mark(self, symbol: str):
        return None

    def recorded(self, path: str) -> bytes | None:
        return None
