"""What an account has and has done."""

from collections import defaultdict, deque
from collections.abc import Iterator

from kit.simulator.matching.contract import AccountEvent, Listener
from kit.simulator.matching.fees import Volume
from kit.simulator.matching.order import Fill, Order
from kit.simulator.matching.positions import Position

REMEMBERED_MAX = 100_000
"""Orders, and fills, of one account."""


class Account:
    """One account of the house. Money counts atoms."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.total: dict[str, int] = {}
        self.locked: dict[str, int] = {}
        self.open: dict[int, Order] = {}
        """By number, oldest first."""
        self.reducing: dict[int, Order] = {}
        """Of those, the ones that must only reduce a position."""
        self.by_number: dict[int, Order] = {}
        self.by_client_id: dict[str, Order] = {}
        """The newest of each."""
        self.orders: deque[Order] = deque()
        self.fills: deque[Fill] = deque(maxlen=REMEMBERED_MAX)
        self.positions: dict[str, Position] = {}
        """By symbol; those that are zero too."""
        self.margin: dict[str, int] = {}
        """Of what is locked, what positions and orders of derivatives hold."""
        self.cancel_at_ns = 0
        """When all orders are cancelled, by the exchange's clock; 0: they are not."""
        self.volume = Volume()
        self.listeners: list[Listener] = []

    def position(self, symbol: str) -> Position:
        """What it holds of a derivative."""
        found = self.positions.get(symbol)
        if found is None:
            found = self.positions[symbol] = Position()
        return found

    def add(self, asset: str, atoms: int) -> None:
        """More of an asset, or less."""
        self.total[asset] = self.total.get(asset, 0) + atoms

    def lock(self, asset: str, atoms: int) -> None:
        """More of an asset is held by orders, or less."""
        self.locked[asset] = self.locked.get(asset, 0) + atoms

    def begin(self, order: Order) -> None:
        """A new order. The oldest is forgotten when there are too many, unless it is open."""
        number, ticket = order.number, order.ticket
        self.open[number] = self.by_number[number] = order
        self.orders.append(order)
        if ticket.client_id:
            self.by_client_id[ticket.client_id] = order
        if ticket.reduce_only:
            self.reducing[number] = order
        if len(self.orders) > REMEMBERED_MAX:
            self._forget(self.orders.popleft())

    def end(self, order: Order) -> None:
        """It is not open any more."""
        del self.open[order.number]
        if self.reducing:
            self.reducing.pop(order.number, None)

    def open_of(self, symbol: str) -> Iterator[Order]:
        """Open orders, of one symbol or of all."""
        for order in list(self.open.values()):
            if symbol in ("", order.ticket.symbol):
                yield order

    def tell(self, event: AccountEvent) -> None:
        """Let all who listen hear it."""
        for listener in list(self.listeners):
            listener(event)

    def _forget(self, order: Order) -> None:
        if order.number in self.open:
            self.orders.append(order)
            return
        del self.by_number[order.number]
        if self.by_client_id.get(order.ticket.client_id) is order:
            del self.by_client_id[order.ticket.client_id]


class Ledger:
    """What is no account's: fees, and the crowd's side of each trade. With the accounts it sums up
    to what there was at the beginning."""

    def __init__(self) -> None:
        self.fees: defaultdict[str, int] = defaultdict(int)
        """Negative: accounts have received more than they have paid."""
        self.crowd: defaultdict[str, int] = defaultdict(int)
