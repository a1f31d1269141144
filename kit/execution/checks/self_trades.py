"""Keeps orders of an account from trading with each other.

An order is sent with its self-trade prevention where the venue has it for each order. Where it has
not, and for amendments, which carry none at any venue, this process compares the order with its own
orders at the venue: the order is rejected, or with CANCEL_MAKER the others are cancelled first.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting.amounts import plain
from kit.base import telemetry
from kit.execution.contract import (
    OrderCapabilities,
    OrderRequest,
    RequestRejected,
    SelfTradePrevention,
)
from kit.execution.orders import order_states
from kit.execution.orders.account_state import AccountState
from kit.execution.orders.order import Order
from kit.execution.settings import OrdersSettings, SelfTradeSetting
from kit.execution.tasks import BackgroundTasks

UNSPECIFIED = orders_pb2.SELF_TRADE_PREVENTION_UNSPECIFIED
CANCEL_MAKER = orders_pb2.SELF_TRADE_PREVENTION_CANCEL_MAKER
ALLOW = orders_pb2.SELF_TRADE_PREVENTION_ALLOW
MODES: Mapping[SelfTradeSetting, SelfTradePrevention] = {
    "cancel_taker": orders_pb2.SELF_TRADE_PREVENTION_CANCEL_TAKER,
    "cancel_maker": CANCEL_MAKER,
    "cancel_both": orders_pb2.SELF_TRADE_PREVENTION_CANCEL_BOTH,
    "allow": ALLOW,
}
CANCEL_S = 2.0
"""How long an order waits until the orders that it would meet are cancelled."""

_log = telemetry.logger("orders.self_trades")


def mode_of(order: Order, setting: SelfTradeSetting) -> SelfTradePrevention:
    """Return what an order wants. If it does not say, an order that limits a loss has the orders
    in its way cancelled; ``setting`` is for entries."""
    if order.content.self_trade_prevention != UNSPECIFIED:
        return order.content.self_trade_prevention
    return CANCEL_MAKER if order.is_protective else MODES[setting]


class SelfTradeGuard:
    """The self-trade prevention of the orders of one account."""

    def __init__(
        self,
        state: AccountState,
        cancel: Callable[[Order], Coroutine[Any, Any, None]],
        tasks: BackgroundTasks,
        settings: OrdersSettings,
    ) -> None:
        self._state = state
        self._cancel = cancel
        self._tasks = tasks
        self._setting = settings.self_trade_prevention

    def venue_mode(
        self, order: Order, request: OrderRequest, capabilities: OrderCapabilities
    ) -> SelfTradePrevention:
        """What the venue is to be asked to do for this order; UNSPECIFIED where it cannot."""
        mode = mode_of(order, self._setting)
        does = (
            mode in capabilities.self_trade_prevention
            and request.time_in_force not in capabilities.self_trade_prevention_not_in
        )
        return mode if does else UNSPECIFIED

    async def clear(self, order: Order, request: OrderRequest) -> RequestRejected | None:
        """Make way for an order that the venue is not asked to prevent. Returns why it must not be
        sent. An order that limits a loss is sent even if the others may still be open."""
        mode = mode_of(order, self._setting)
        if mode == ALLOW:
            return None
        met = self._met_by(order, request)
        if met and mode == CANCEL_MAKER:
            await self._cancel_all(order, met)
            met = self._met_by(order, request)
            if order.is_protective:
                return None
        if not met:
            return None
        names = ", ".join(map(_described, met))
        text = f"it could trade with the account's own {names}; cancel that first"
        return RequestRejected(orders_pb2.REJECT_REASON_SELF_TRADE, text)

    def _met_by(self, order: Order, request: OrderRequest) -> list[Order]:
        """The own orders in the book that an order reaches with its price."""
        if request.post_only or request.stop_price is not None or request.trailing_offset:
            return []
        limit = request.worst_price if request.price is None else request.price
        found = []
        for other in self._state.index.open.values():
            if other.symbol != order.symbol or other.buys is order.buys or not _rests(other):
                continue
            # An amendment on its way may be done or not.
            prices = [other.price, *(one.price for one in other.pending_amendments)]
            best = min if order.buys else max
            price = best((one for one in prices if one is not None), default=None)
            if price is None:
                continue
            if limit is None or (limit >= price if order.buys else limit <= price):
                found.append(other)
        return found

    async def _cancel_all(self, order: Order, met: Iterable[Order]) -> None:
        for one in met:
            extra = {"cancelled": one.key, "client_order_id": order.key}
            _log.warning("cancelled to make way for an own order", extra=extra)
        await asyncio.wait([self._tasks.start(self._cancel(one)) for one in met], timeout=CANCEL_S)


def _rests(order: Order) -> bool:
    """Whether an order may be in the venue's book. A stop that waits there is not."""
    is_limit = order.venue_request().type == orders_pb2.ORDER_TYPE_LIMIT
    is_sent = order.is_passed_on or order.state != order_states.INTENDED
    return is_limit and is_sent and not order.held_here


def _described(order: Order) -> str:
    side = "buy" if order.buys else "sell"
    price = plain(order.price) if order.price is not None else ""
    return f"order {order.client_order_id or order.venue_order_id} ({side} at {price})"
