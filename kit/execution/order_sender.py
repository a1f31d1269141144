"""Hands orders that are on disk to the execution client, once, and applies its verdicts."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.contract import ExecutionClient, RequestAccepted, RequestRejected, Verdict
from kit.execution.orders import order_states
from kit.execution.orders.account_state import AccountState
from kit.execution.orders.order import Order
from kit.execution.outcome_resolver import OutcomeResolver
from kit.execution.request_builder import RequestBuilder
from kit.execution.settings import OrdersSettings
from kit.execution.tasks import await_each
from kit.execution.venue_calls import verdict_of


class OrderSender:
    """The last step of every order of one account."""

    def __init__(
        self,
        client: ExecutionClient,
        state: AccountState,
        resolver: OutcomeResolver,
        requests: RequestBuilder,
        settings: OrdersSettings,
    ) -> None:
        self._client = client
        self._state = state
        self._resolver = resolver
        self._requests = requests
        self._settings = settings
        self.before_protective: Callable[[], Awaitable[None]] | None = None
        """Awaited before each protective order is sent."""

    async def place_all(self, orders: Sequence[Order]) -> None:
        """Send orders that are on disk, a few at a time, in their order."""
        await await_each(self.place(order) for order in orders)

    async def place(self, order: Order) -> None:
        """Send an order that is on disk."""
        if order.is_protective and self.before_protective is not None:
            await self.before_protective()
        request = await self._requests.build(order)
        if order.cancel_requested:
            detail = "cancelled before it was sent"
            self._state.transition(order, order_states.CANCELLED, detail=detail)
            return
        if isinstance(request, RequestRejected):
            self._state.transition(order, order_states.REJECTED, request.reason, request.detail)
            return
        order.is_passed_on = True
        # The request goes out first; its verdict cannot arrive before SENT is published.
        asyncio.get_running_loop().call_soon(self._publish_sent, order)
        try:
            call = self._client.place(request, order.priority)
            verdict = await verdict_of(call, self._settings.place_timeout_s)
        except asyncio.CancelledError:
            self._publish_sent(order)
            self._state.transition(
                order, order_states.UNKNOWN, detail="the process stopped meanwhile"
            )
            raise
        self._publish_sent(order)
        self._apply_verdict(order, verdict)

    def _publish_sent(self, order: Order) -> None:
        if order.is_sending:
            order.is_sending = False
            self._state.transition(order, order_states.SENT)

    def _apply_verdict(self, order: Order, verdict: Verdict) -> None:
        if isinstance(verdict, RequestAccepted):
            self._state.apply_accepted(order, verdict.venue_order_id)
            if verdict.order is not None:
                self._state.apply_order(verdict.order)
            is_open = order.state != order_states.ACKNOWLEDGED
            if not order.is_final and (order.cancel_requested or not is_open):
                self._resolver.watch(order)
        elif (
            isinstance(verdict, RequestRejected)
            and verdict.reason != orders_pb2.REJECT_REASON_DUPLICATE_ID
            and not order.was_at_venue
        ):
            self._state.transition(order, order_states.REJECTED, verdict.reason, verdict.detail)
        elif not self._state.transition(order, order_states.UNKNOWN, detail=verdict.detail):
            # An update of the order arrived first, or the rejection contradicts it.
            self._resolver.watch(order)
