"""Stops that are held here, because the venue has no such order type, until their price is reached.

Every trade price goes through ``on_trade``. An order whose price was reached is sent as the market
or limit order that it became: a mark that it is being sent is synced first, so it is sent once or,
after a crash, is UNKNOWN and queried for. While it cannot be sent, the journal keeps that its price
was reached. One that is rejected for a reason that may pass, or whose market order is not filled in
full, is retried (``retries``). Orders of a group are triggered here too; the group sends them when
it is their turn.
"""

import asyncio
from collections.abc import Callable, Collection
from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting.stop_triggers import best_price, is_triggered, triggers_on_rise
from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import StoreUnavailable, VenuemeshError
from kit.execution.groups.order_groups import OrderGroups
from kit.execution.order_types import BETTER_PRICES
from kit.execution.orders import order_states
from kit.execution.orders.amendments import STOP_REACHED
from kit.execution.orders.order import Order
from kit.execution.prices.reference_prices import ReferenceMarketData, TimedPrice
from kit.execution.sending.attempts import is_pausing
from kit.execution.sending.retries import OrderRetries
from kit.execution.sending.submitter import OrderSubmitter
from kit.execution.tasks import wait_for_event

NEVER_NS = (1 << 63) - 1
LATE_NS = 5 * NANOSECONDS_PER_SECOND
"""A trade that is not older than this when it is received is as good as new: the venue's clock may
differ from ours."""
PAUSE_S = 1.0
"""How often orders expire, best prices are written to the journal, and an order that could not be
sent is tried again."""

_log = telemetry.logger("orders.local_stops")


class LocalStopOrders:
    """The orders of one account that are held here."""

    def __init__(
        self,
        submitter: OrderSubmitter,
        groups: OrderGroups,
        retries: OrderRetries,
        market: ReferenceMarketData,
        publish: Callable[[], None],
    ) -> None:
        """``publish`` is called when ``problem`` has changed."""
        self._market = market
        self._publish = publish
        self._submitter = submitter
        self._groups = groups
        self._retries = retries
        self._state = submitter.state
        self._clock = submitter.clock
        self._by_symbol: dict[str, dict[str, Order]] = {}
        self._moved: dict[str, Order] = {}
        self._is_unwritten = False
        """Whether triggers or best prices could not be written."""
        self._wake = asyncio.Event()
        self.stale: dict[str, str] = {}
        """Symbols of orders held here whose market data is not live, and why."""
        self.substitutes: dict[str, str] = {}
        """By symbol, what triggers these orders meanwhile, for the operator."""

    @property
    def symbols(self) -> Collection[str]:
        """The symbols of orders that are held here."""
        return self._by_symbol.keys()

    @property
    def problem(self) -> str:
        """Which symbols of orders held here have no live market data; "" if all have."""
        return "; ".join(
            f"stops wait without live prices, {why}{self.substitutes.get(symbol, '')}"
            for symbol, why in self.stale.items()
        )

    def order_changed(self, order: Order) -> None:
        """Hold an order from now on, or no longer."""
        if order.held_here and order.state == order_states.OPEN:
            self._by_symbol.setdefault(order.symbol, {})[order.key] = order
        elif order.was_held_here:
            waiting = self._by_symbol.get(order.symbol, {})
            waiting.pop(order.key, None)
            if not waiting:
                self._by_symbol.pop(order.symbol, None)

    def on_trade(self, symbol: str, price: Decimal, age_ns: int = 0) -> None:
        """Trigger the orders whose price a trade has reached. One that was made long before it was
        received, as those that are read after a disconnection, triggers no order that has changed
        since."""
        is_late = age_ns >= LATE_NS
        after_ns = self._clock.time_ns() - age_ns if is_late else NEVER_NS
        self._trigger(symbol, price, after_ns)

    def on_substitute(self, symbol: str, found: TimedPrice) -> None:
        """Trigger the orders whose price was reached while their trades are not live, as far as the
        price was made after their last change: older prices trigger nothing."""
        self._trigger(symbol, found.price, after_ns=found.time_ns)

    def _trigger(self, symbol: str, price: Decimal, after_ns: int) -> None:
        """``after_ns``: orders that have changed since then are left out."""
        waits = False
        for order in list(self._by_symbol.get(symbol, {}).values()):
            if order.is_triggered or not self._groups.is_armed(order):
                continue
            if order.updated_time_ns > after_ns:
                continue
            if order.type == orders_pb2.ORDER_TYPE_TRAILING_STOP:
                self._trail(order, price)
            if _is_reached(order, price):
                order.is_triggered = True
                order.detail = STOP_REACHED
                self._state.record_change(order)
                self._wake.set()
                waits = waits or not self._is_due(order)
        if waits:
            self._submitter.tasks.start(self._commit())

    async def run(self) -> None:
        """Send what is triggered and expire what is over, for ever."""
        while True:
            self._wake.clear()
            self._send()
            self._expire()
            is_reconciled = self._groups.readiness.is_reconciled
            self._retries.continue_pending(is_reconciled=is_reconciled)
            self._check_market_data()
            if self._moved or self._is_unwritten:
                await self._write_best_prices()
            # A triggered order that could not be sent is tried again after the pause.
            await wait_for_event(self._wake, self._clock, PAUSE_S)

    def _send(self) -> None:
        """Start to send what is due. No order waits for the venue's answer to another."""
        for waiting in self._by_symbol.values():
            for order in waiting.values():
                is_due = order.is_triggered and self._is_due(order)
                if is_due and not self._submitter.is_placing(order):
                    self._submitter.tasks.start(self._release(order))

    async def _release(self, order: Order) -> None:
        try:
            await self._submitter.release(order)
        except VenuemeshError as error:
            extra = {"client_order_id": order.key, "detail": error.message}
            _log.error("triggered order not sent", extra=extra)
        else:
            # The pause of the next attempt begins now.
            self._wake.set()

    def _is_due(self, order: Order) -> bool:
        """Whether an order is sent now if it is triggered."""
        readiness = self._groups.readiness
        return (
            not order.takes_turns
            and not is_pausing(order, self._clock.time_ns())
            and readiness.is_reconciled
            and readiness.allows(order)
        )

    def _expire(self) -> None:
        now_ns = self._clock.time_ns()
        for waiting in list(self._by_symbol.values()):
            for order in list(waiting.values()):
                if 0 < order.request.expire_time_ns <= now_ns:
                    self._state.transition(
                        order, order_states.EXPIRED, detail="its time has passed"
                    )

    def _check_market_data(self) -> None:
        """Publish when the market data of a held order is not live any more, or is again."""
        problems = {symbol: self._market.data_problem(symbol) for symbol in self._by_symbol}
        stale = {symbol: problem for symbol, problem in problems.items() if problem}
        is_changed = stale.keys() != self.stale.keys()
        for symbol in stale.keys() - self.stale.keys():
            extra = {"symbol": symbol, "detail": stale[symbol]}
            _log.error("held orders have no live prices", extra=extra)
        self.stale = stale
        self.substitutes = {name: one for name, one in self.substitutes.items() if name in stale}
        if is_changed:
            self._publish()

    async def _write_best_prices(self) -> None:
        """Have the best prices of trailing stops on disk: after a crash they go on from there."""
        for order in self._moved.values():
            self._state.record(order)
        self._moved.clear()
        await self._commit()

    async def _commit(self) -> None:
        """Have triggers and best prices on disk. After a failure it is tried again."""
        try:
            await self._submitter.journal.commit()
        except StoreUnavailable as error:
            self._is_unwritten = True
            _log.error("triggers and best prices not on disk", extra={"detail": error.message})
        else:
            self._is_unwritten = False

    def _trail(self, order: Order, price: Decimal) -> None:
        best = best_price(price, order.best_price, order.buys)
        if best != order.best_price:
            order.best_price = best
            self._moved[order.key] = order


def _is_reached(order: Order, price: Decimal) -> bool:
    if order.type == orders_pb2.ORDER_TYPE_TRAILING_STOP:
        stop = order.trailing_price if order.trailing_price is not None else price
    elif order.type == orders_pb2.ORDER_TYPE_LIMIT:
        # A limit order that waits for its turn in a group: it would be filled at its price.
        stop = order.price if order.price is not None else price
    else:
        stop = order.stop_price if order.stop_price is not None else price
    on_rise = triggers_on_rise(order.buys, order.type in BETTER_PRICES)
    return is_triggered(price, stop, on_rise)
