"""One core: orders matched per second, in processor time.

``order book`` is only price-time priority: orders match, rest and are cancelled, without accounts.
``matching engine`` is the whole path of an account's order: checks, reserved balances, the book,
fills with fees and balances. ``derivatives`` is the same with positions and margin. ``simulated
participants`` make a market without accounts: quotes, trades and cancels.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from benchmarks.options import Options
from benchmarks.report import Figure, Report
from kit.execution.order_types import side_of
from kit.simulator.listing import DerivativeMark, InstrumentKind, Listing
from kit.simulator.market_events import Instrument, MarketEvent, Trade
from kit.simulator.matching.contract import MatchingRules, OrderRejected, OrderTicket, SelfTradeMode
from kit.simulator.matching.exchange_accounts import ExchangeAccounts
from kit.simulator.matching.order import MatchingOrder
from kit.simulator.matching.order_book import OrderBook
from kit.simulator.order_flow import OrderFlow
from kit.simulator.price import PriceProcess

ORDERS = 100_000
DERIVATIVE_ORDERS = 20_000
ACCOUNTS = 20
OPEN_MAX = 40
"""Open orders of one account; for each new order, the oldest one is cancelled."""
COIN = Instrument("COIN", "USDT", 2, 3, 1, 100.0, 1.0, 0.03, 1.0)
SPOT = Listing("COINUSDT", "COIN", "USDT", "0.01", "0.001", "0")
SWAP = Listing(
    "COIN-SWAP", "COIN", "USDT", "0.01", "0.001", "0", kind=InstrumentKind.PERPETUAL, settle="USDT"
)
RICH = MatchingRules(
    start={"COIN": Decimal(10**9), "USDT": Decimal(10**9)}, self_trade=SelfTradeMode.ALLOW
)


def run(options: Options) -> Report:
    """Orders per second of one core."""
    figures = [
        _figure("order book", options, _book, "at least 100,000"),
        _figure("matching engine", options, lambda: _matching_engine(SPOT, ORDERS)),
        _figure("derivatives", options, lambda: _matching_engine(SWAP, DERIVATIVE_ORDERS)),
        _figure("simulated participants", options, _participants),
    ]
    return Report("matching: orders, one core", figures)


def _figure(
    name: str, options: Options, prepare: Callable[[], Callable[[], int]], target: str = ""
) -> Figure:
    rates = []
    for _ in range(options.runs):
        work = prepare()
        started = time.process_time()
        count = work()
        rates.append(count / (time.process_time() - started))
    return Figure(name, "orders/s", rates, target)


class _Nobody:
    """``Keeper`` of no accounts."""

    def filled(
        self, taker: MatchingOrder | None, maker: MatchingOrder | None, trade: Trade
    ) -> Sequence[MarketEvent]:
        return ()

    def prevented(self, order: MatchingOrder, time_ns: int) -> None:
        """Nobody's orders meet their own."""

    def traded(
        self, instrument: Instrument, low_ticks: int, high_ticks: int, time_ns: int
    ) -> Sequence[MarketEvent]:
        return ()


def _book() -> Callable[[], int]:
    book = OrderBook(COIN, 1)
    book.handler = _Nobody()
    source = random.Random(7)
    orders = []
    for number in range(1, ORDERS + 1):
        ticket = _ticket(source, SPOT.symbol)
        assert ticket.price is not None
        ticks, lots = int(ticket.price * 100), int(ticket.size * 1000)
        account = f"account {source.randrange(ACCOUNTS)}"
        orders.append(MatchingOrder(number, account, ticket, ticks, lots, number))

    def work() -> int:
        waiting: deque[MatchingOrder] = deque()
        events: list[MarketEvent] = []
        for order in orders:
            book.enter(order, order.created_ns, events)
            if order.left:
                book.add(order, order.created_ns, events)
                waiting.append(order)
            if len(waiting) > ACCOUNTS * OPEN_MAX:
                oldest = waiting.popleft()
                if oldest.left:
                    book.remove(oldest, order.created_ns, events)
        return ORDERS

    return work


def _matching_engine(listing: Listing, count: int) -> Callable[[], int]:
    """Orders of twenty accounts around a price, the same each time; half of them trade at once."""
    events: list[MarketEvent] = []
    exchange = ExchangeAccounts(
        RICH,
        lambda: 1,
        lambda time_ns: time_ns,
        events.extend,
        lambda symbol: DerivativeMark("100", "100", "0", 0),
    )
    exchange.enter(COIN, listing, OrderBook(COIN, 1))
    source = random.Random(7)
    orders = [
        (f"account {source.randrange(ACCOUNTS)}", _ticket(source, listing.symbol))
        for _ in range(count)
    ]

    def work() -> int:
        waiting: dict[str, list[int]] = {}
        for account, ticket in orders:
            order = exchange.place(account, ticket)
            if not order.is_final:
                mine = waiting.setdefault(account, [])
                mine.append(order.order_id)
                if len(mine) > OPEN_MAX:
                    _cancel(exchange, account, mine.pop(0))
        events.clear()
        return count

    return work


def _cancel(exchange: ExchangeAccounts, account: str, order_id: int) -> None:
    try:
        exchange.cancel(account, order_id)
    except OrderRejected:
        return  # filled by now


def _ticket(source: random.Random, symbol: str) -> OrderTicket:
    buys = source.random() < 0.5
    ticks = 10_000 + round(source.gauss(0, 20))
    size = Decimal(source.randint(1, 4_000)) / 1000
    return OrderTicket(
        symbol, side_of(buys), orders_pb2.ORDER_TYPE_LIMIT, size, Decimal(ticks) / 100
    )


def _participants() -> Callable[[], int]:
    book = OrderBook(COIN, 1)
    flow = OrderFlow(COIN, book, PriceProcess(COIN, "7", 0), "7", 1.0)
    flow.open(0)

    def work() -> int:
        for number in range(ORDERS):
            flow.act(number * 1_000_000)
        return ORDERS

    return work
