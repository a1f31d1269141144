"""Hands orders that are on disk to the execution client, once, and applies its verdicts."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base import telemetry
from kit.base.request_budget import Priority
from kit.execution.contract import (
    BatchOrderEntry,
    ExecutionClient,
    OrderRequest,
    RequestAccepted,
    RequestRejected,
    Verdict,
)
from kit.execution.orders import order_states
from kit.execution.orders.account_state import AccountState
from kit.execution.orders.order import Order
from kit.execution.sending.outcome_resolver import OutcomeResolver
from kit.execution.sending.request_builder import RequestBuilder
from kit.execution.settings import OrdersSettings
from kit.execution.tasks import await_each
from kit.execution.venue_calls import verdict_of, verdicts_of

_log = telemetry.logger("orders.sender")


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
        """Send orders that are on disk, in their order: in calls for several orders where the venue
        has them, otherwise a few at a time."""
        batch_max = self._client.capabilities.batch_max
        if len(orders) > 1 and batch_max > 1 and isinstance(self._client, BatchOrderEntry):
            for priority in (Priority.PROTECT, Priority.NEW):
                chosen = [one for one in orders if one.priority is priority]
                for start in range(0, len(chosen), batch_max):
                    await self._place_batch(
                        self._client, chosen[start : start + batch_max], priority
                    )
            return
        await await_each(self.place(order) for order in orders)

    async def place(self, order: Order) -> None:
        """Send an order that is on disk."""
        request = await self._prepared(order)
        if request is None:
            return
        call = self._client.place(request, order.priority)
        timeout_s = self._settings.place_timeout_s
        with self._sending([order]):
            verdict = await verdict_of(call, timeout_s)
        self._apply_verdict(order, verdict)

    async def _place_batch(
        self, client: BatchOrderEntry, orders: Sequence[Order], priority: Priority
    ) -> None:
        prepared = [order for order in orders if await self._prepared(order) is not None]
        sent: list[tuple[Order, OrderRequest]] = []
        for order in prepared:
            # The others took their time: it may be cancelled, and prices have changed.
            request = self._passed_on(order, self._requests.current(order))
            if request is not None:
                sent.append((order, request))
        if not sent:
            return
        call = client.place_many([request for _, request in sent], priority)
        with self._sending([order for order, _ in sent]):
            verdicts = await verdicts_of(call, len(sent), self._settings.place_timeout_s)
        for (order, _), verdict in zip(sent, verdicts, strict=True):
            self._apply_verdict(order, verdict)

    async def _prepared(self, order: Order) -> OrderRequest | None:
        """The request of an order that is to be sent now; None for one that has ended instead."""
        if order.is_protective and self.before_protective is not None:
            await self.before_protective()
        try:
            request = await self._requests.build(order)
        except Exception as error:
            # Without an outcome it would keep every later reduction waiting.
            _log.exception("request not built", extra={"client_order_id": order.key})
            detail = f"not sent: {type(error).__name__}: {error}"
            request = RequestRejected(orders_pb2.REJECT_REASON_OTHER, detail)
        return self._passed_on(order, request)

    def _passed_on(
        self, order: Order, request: OrderRequest | RequestRejected
    ) -> OrderRequest | None:
        if order.cancel_requested:
            detail = "cancelled before it was sent"
            self._state.transition(order, order_states.CANCELLED, detail=detail)
            return None
        if isinstance(request, RequestRejected):
            self._state.transition(order, order_states.REJECTED, request.reason, request.detail)
            return None
        order.is_passed_on = True
        return request

    @contextmanager
    def _sending(self, orders: Sequence[Order]) -> Iterator[None]:
        """Publish that orders are SENT, and UNKNOWN if the process stops meanwhile."""
        # The request goes out first; its verdict cannot arrive before SENT is published.
        loop = asyncio.get_running_loop()
        for order in orders:
            loop.call_soon(self._publish_sent, order)
        is_stopped = True
        try:
            yield
            is_stopped = False
        finally:
            for order in orders:
                self._publish_sent(order)
                if is_stopped:
                    detail = "the process stopped meanwhile"
                    self._state.transition(order, order_states.UNKNOWN, detail=detail)

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
