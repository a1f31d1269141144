"""Makes of an order the request that goes out now."""

from msgspec import structs
from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting.instruments import spot_base
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.execution.checks.self_trades import SelfTradeGuard
from kit.execution.checks.worst_prices import is_unbounded_entry, with_worst_price
from kit.execution.contract import (
    ExecutionClient,
    OrderRequest,
    RequestRejected,
    SelfTradePrevention,
)
from kit.execution.orders.order import Order
from kit.execution.prices.reference_prices import ReferenceMarketData
from kit.execution.settings import OrdersSettings


class RequestBuilder:
    """The requests of one account."""

    def __init__(
        self,
        client: ExecutionClient,
        market: ReferenceMarketData,
        settings: OrdersSettings,
        self_trades: SelfTradeGuard,
        clock: Clock,
    ) -> None:
        self._client = client
        self._market = market
        self._settings = settings
        self._self_trades = self_trades
        self._clock = clock

    async def build(self, order: Order) -> OrderRequest | RequestRejected:
        """Return the request with its worst price and its self-trade prevention, or why it must
        not be sent. Own orders in its way may be cancelled first."""
        request, mode = self._bounded(order)
        if mode or order.cancel_requested:
            return self._completed(order, request, mode)
        rejected = await self._self_trades.clear(order, request)
        if rejected is not None:
            return RequestRejected(rejected.reason, f"not sent: {rejected.detail}")
        return self.current(order)

    def current(self, order: Order) -> OrderRequest | RequestRejected:
        """Return the request of an order that nothing is in the way of, with the worst price and
        the rest of its time as they are now, or why it must not be sent."""
        return self._completed(order, *self._bounded(order))

    def _bounded(self, order: Order) -> tuple[OrderRequest, SelfTradePrevention]:
        """The request with its worst price, and what the venue is to be asked to do."""
        request = with_worst_price(order.venue_request(), self._market, self._settings)
        return request, self._self_trades.venue_mode(order, request, self._client.capabilities)

    def _completed(
        self, order: Order, request: OrderRequest, mode: SelfTradePrevention
    ) -> OrderRequest | RequestRejected:
        request = structs.replace(self.labelled(order, request), self_trade_prevention=mode)
        if is_unbounded_entry(order, request, self._client.capabilities, self._settings):
            detail = "not sent: the book is in doubt"
            return RequestRejected(orders_pb2.REJECT_REASON_PRICE, detail)
        if order.was_held_here or not order.approval_expires_time_ns:
            return request
        left_ns = max(1, order.approval_expires_time_ns - self._clock.time_ns())
        return structs.replace(request, send_within_s=left_ns / NANOSECONDS_PER_SECOND)

    def labelled(self, order: Order, request: OrderRequest) -> OrderRequest:
        """Return a request for an order with its label ``reduce_only``."""
        reduce_only = request.reduce_only or self._closes_position(order)
        return structs.replace(request, reduce_only=reduce_only)

    def _closes_position(self, order: Order) -> bool:
        """Whether it is the exit of a bracket in a derivative. The position may be closed by
        something else before it is sent, and it would open another one."""
        is_exit = order.content.group.role == orders_pb2.GROUP_ROLE_EXIT
        capabilities = self._client.capabilities
        is_spot = spot_base(self._market.instrument(order.symbol)) or not capabilities.has_positions
        return is_exit and capabilities.reduce_only and not is_spot
