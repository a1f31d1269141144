"""Orders that the venue does not have wait here for their stop price.

Every price of a trade goes through ``hear``. An order whose price was reached becomes a normal one:
that it is being sent is synced before, so it is sent once or, after a crash, UNKNOWN and asked for.
Those of a group are woken here too, and sent by it when it is their turn.
"""

import asyncio
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import NamedTuple, Protocol

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base import telemetry
from kit.base.clock import Clock
from kit.execution import amounts
from kit.execution.amounts import ZERO
from kit.execution.calls import until
from kit.execution.orders import states
from kit.execution.orders.account_state import AccountState
from kit.execution.orders.order import Order
from kit.execution.submitter import OrderSubmitter

PAUSE_S = 1.0
"""How often ends of time are looked for, best prices are written down, and what could not be sent
is tried again."""
AT_BETTER_PRICES = (
    orders_pb2.ORDER_TYPE_TAKE_PROFIT,
    orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT,
    orders_pb2.ORDER_TYPE_LIMIT,
)

_log = telemetry.logger("orders.held")


class BestPrices(NamedTuple):
    """The best bid and ask."""

    bid: Decimal
    ask: Decimal


class Listener(Protocol):
    """Who waits for prices."""

    @property
    def symbols(self) -> Collection[str]:
        """Whose trades it wants to be told now."""

    def hear(self, symbol: str, price: Decimal) -> None:
        """A trade was made at this price."""


class Prices(Protocol):
    """Prices of one venue, as the process hears them."""

    def best(self, symbol: str) -> BestPrices | None:
        """Now; None when it is not known, or too old to be relied on."""

    def listen(self, listener: Listener) -> None:
        """Tell it every trade of its symbols from now on."""


class LocalStopOrders:
    """Those of one account."""

    def __init__(
        self,
        ledger: AccountState,
        pilot: OrderSubmitter,
        clock: Clock,
        is_ready: Callable[[], bool],
        is_armed: Callable[[Order], bool],
    ) -> None:
        """``is_armed``: whether a price may wake an order now."""
        self._ledger = ledger
        self._pilot = pilot
        self._clock = clock
        self._is_ready = is_ready
        self._is_armed = is_armed
        self._by_symbol: dict[str, dict[str, Order]] = {}
        self._moved: dict[str, Order] = {}
        self._woken = asyncio.Event()

    @property
    def symbols(self) -> Collection[str]:
        """Those with orders that wait."""
        return self._by_symbol.keys()

    def order(self, entry: Order) -> None:
        """An order is new, or has changed."""
        if entry.held and entry.state == states.OPEN:
            self._by_symbol.setdefault(entry.symbol, {})[entry.key] = entry
        elif entry.kept_here:
            waiting = self._by_symbol.get(entry.symbol, {})
            waiting.pop(entry.key, None)
            if not waiting:
                self._by_symbol.pop(entry.symbol, None)

    def hear(self, symbol: str, price: Decimal) -> None:
        """A trade was made at this price."""
        for entry in list(self._by_symbol.get(symbol, {}).values()):
            if entry.is_triggered or not self._is_armed(entry):
                continue
            if entry.content.type == orders_pb2.ORDER_TYPE_TRAILING_STOP:
                self._trail(entry, price)
            if _is_reached(entry, price):
                entry.is_triggered = True
                entry.detail = "its stop price was reached"
                self._ledger.changed(entry)
                self._woken.set()

    async def run(self) -> None:
        """Send what is due, for ever."""
        while True:
            self._woken.clear()
            if self._is_ready():
                await self._send()
            self._expire()
            for entry in self._moved.values():
                self._ledger.note(entry)
            self._moved.clear()
            # What is triggered and cannot be sent yet is tried again after the pause, not at once.
            await until(self._woken, self._clock, PAUSE_S)

    async def _send(self) -> None:
        due = [
            entry
            for waiting in self._by_symbol.values()
            for entry in waiting.values()
            if entry.is_triggered and not entry.takes_turns
        ]
        for answer in await asyncio.gather(*map(self._pilot.release, due), return_exceptions=True):
            if answer is not None:
                # It is tried again after the pause, if it was not sent.
                _log.error("held order not sent", exc_info=answer)

    def _expire(self) -> None:
        now_ns = self._clock.time_ns()
        for waiting in list(self._by_symbol.values()):
            for entry in list(waiting.values()):
                if 0 < entry.content.expire_time_ns <= now_ns:
                    self._ledger.move(entry, states.EXPIRED, detail="its time is over")

    def _trail(self, entry: Order, price: Decimal) -> None:
        best = entry.best_price
        sells = entry.content.side == types_pb2.SIDE_SELL
        if best is None or (price > best if sells else price < best):
            entry.best_price = price
            self._moved[entry.key] = entry


def _is_reached(entry: Order, price: Decimal) -> bool:
    content = entry.content
    sells = content.side == types_pb2.SIDE_SELL
    if content.type == orders_pb2.ORDER_TYPE_TRAILING_STOP:
        offset = entry.trailing_offset or ZERO
        best = entry.best_price if entry.best_price is not None else price
        stop = amounts.subtract(best, offset) if sells else amounts.add(best, offset)
    elif content.type == orders_pb2.ORDER_TYPE_LIMIT:
        # Of a group whose turn it is not: it would be filled at its price, so that wakes it.
        stop = entry.price if entry.price is not None else price
    else:
        stop = entry.stop_price if entry.stop_price is not None else price
    falls = sells != (content.type in AT_BETTER_PRICES)
    return price <= stop if falls else price >= stop
