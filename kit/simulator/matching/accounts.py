"""The accounts of a simulated exchange: balances, orders, fills and listeners."""

from collections import defaultdict, deque
from collections.abc import Iterator

from kit.accounting.wallet import Wallet
from kit.simulator.matching.contract import AccountEvent, AccountSettings, BookingCause, Listener
from kit.simulator.matching.order import MatchingCashFlow, MatchingFill, MatchingOrder

REMEMBERED_MAX = 100_000
"""Orders, and fills, of one account."""


class ExchangeAccount:
    """One account of the exchange."""

    def __init__(self, name: str, leverage: int) -> None:
        self.name = name
        self.settings = AccountSettings(leverage=leverage)
        self.wallet = Wallet()
        self.open: dict[int, MatchingOrder] = {}
        """By number, oldest first."""
        self.reducing: dict[int, MatchingOrder] = {}
        """The open orders that are reduce-only."""
        self.by_number: dict[int, MatchingOrder] = {}
        self.by_client_id: dict[str, MatchingOrder] = {}
        """The newest order of each client id."""
        self.orders: deque[MatchingOrder] = deque()
        self.fills: deque[MatchingFill] = deque(maxlen=REMEMBERED_MAX)
        self.booked: deque[MatchingFill | MatchingCashFlow] = deque(maxlen=REMEMBERED_MAX)
        """What has changed the balances."""
        self.booked_count = 0
        """With those that are forgotten."""
        self.cancel_at_ns = 0
        """When all orders are cancelled, by the exchange's clock; 0: never."""
        self.listeners: list[Listener] = []

    def begin(self, order: MatchingOrder) -> None:
        """Remember a new order. When there are too many, forget the oldest one that is final."""
        number, ticket = order.number, order.ticket
        self.open[number] = self.by_number[number] = order
        self.orders.append(order)
        if ticket.client_order_id:
            self.by_client_id[ticket.client_order_id] = order
        if ticket.reduce_only:
            self.reducing[number] = order
        if len(self.orders) > REMEMBERED_MAX:
            self._forget(self.orders.popleft())

    def credit(
        self, cause: BookingCause, asset: str, atoms: int, time_ns: int, symbol: str = ""
    ) -> None:
        """Change a balance by another cause than a fill."""
        self.wallet.totals[asset] += atoms
        if atoms:
            self.book(MatchingCashFlow(cause, symbol, asset, atoms, time_ns))

    def book(self, entry: MatchingFill | MatchingCashFlow) -> None:
        """Remember a change of the balances."""
        self.booked.append(entry)
        self.booked_count += 1

    def end(self, order: MatchingOrder) -> None:
        """Note that an order is final."""
        del self.open[order.number]
        if self.reducing:
            self.reducing.pop(order.number, None)

    def open_of(self, symbol: str) -> Iterator[MatchingOrder]:
        """Yield the open orders of one symbol, or of all if it is empty."""
        for order in list(self.open.values()):
            if symbol in ("", order.ticket.symbol):
                yield order

    def tell(self, event: AccountEvent) -> None:
        """Give an event to all listeners."""
        for listener in list(self.listeners):
            listener(event)

    def _forget(self, order: MatchingOrder) -> None:
        if order.number in self.open:
            self.orders.append(order)
            return
        del self.by_number[order.number]
        if self.by_client_id.get(order.ticket.client_order_id) is order:
            del self.by_client_id[order.ticket.client_order_id]


class ExchangeLedger:
    """Amounts that no account holds, in atoms by asset. Together with the accounts they sum up to
    what the accounts started with."""

    def __init__(self) -> None:
        self.fees: defaultdict[str, int] = defaultdict(int)
        """Fees received; negative if rebates exceed them."""
        self.background: defaultdict[str, int] = defaultdict(int)
        """The side of each trade that the background order flow took."""
