"""Submits and cancels the orders of one account.

An order is written to the journal together with the mark that it is being sent, in one sync; then
it is sent, once. Any result but a clear verdict makes it UNKNOWN, and the resolver queries the
venue for it. The work runs in a task of its own: the caller may leave.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import structs
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import RequestIdReused, StoreUnavailable, VenueUnavailable
from kit.execution.approval.verifier import VerifiedOrder, require_verified
from kit.execution.checks.self_trades import SelfTradeGuard
from kit.execution.client_order_ids import check_request_id, client_order_id
from kit.execution.context import AccountContext
from kit.execution.contract import (
    BatchOrderEntry,
    ExecutionClient,
    RequestAccepted,
    VenueOrder,
)
from kit.execution.journal.account_journal import AccountJournal
from kit.execution.journal.records import GroupIntent, OrderIntent, OrderSent, Record
from kit.execution.orders import order_states
from kit.execution.orders.account_state import AccountState
from kit.execution.orders.order import Order
from kit.execution.orders.request_reader import digest_of, intent_of
from kit.execution.prices.reference_prices import ReferenceMarketData
from kit.execution.sending.answered_requests import AnsweredRequests
from kit.execution.sending.order_sender import OrderSender
from kit.execution.sending.outcome_resolver import OutcomeResolver
from kit.execution.sending.request_builder import RequestBuilder
from kit.execution.tasks import BackgroundTasks, await_each
from kit.execution.venue_calls import answer_of, verdict_of, verdicts_of

_log = telemetry.logger("orders.submitter")


class CheckedOrder(NamedTuple):
    """An order that has passed the checks."""

    order: VerifiedOrder
    held_here: bool
    """Whether it is held here at first."""
    is_reduction: bool = False
    """Whether it was found to reduce only what is held."""


class OrderSubmitter:
    """The way of every order of one account to the venue."""

    def __init__(
        self,
        client: ExecutionClient,
        state: AccountState,
        journal: AccountJournal,
        resolver: OutcomeResolver,
        context: AccountContext,
        market: ReferenceMarketData,
    ) -> None:
        self.client = client
        self.state = state
        self.journal = journal
        self.clock = context.clock
        self.tasks = BackgroundTasks()
        self.answered = AnsweredRequests(state.index, journal, context.clock, self.tasks)
        self._resolver = resolver
        self.hasten = resolver.hasten
        self._context = context
        self._settings = context.settings
        self.self_trades = SelfTradeGuard(state, self.cancel, self.tasks, context.settings)
        self.requests = requests = RequestBuilder(
            client, market, context.settings, self.self_trades, context.clock
        )
        self.sender = OrderSender(client, state, resolver, requests, context.settings)
        self._cancels_not_on_disk = False
        """Whether cancelled orders that were held here may be open again after a restart."""
        self._placing: dict[str, asyncio.Task[None]] = {}

    def find(self, content: orders_pb2.OrderContent, request_id: str) -> Order | None:
        """Return the order of a request that was made before. Raises BadRequest, and
        RequestIdReused for a request id that was used with another content."""
        check_request_id(request_id)
        index = self.state.index
        order = index.orders.get(self.order_key(request_id))
        if order is None and request_id not in index.by_amendment:
            return None
        if order is not None and order.external and _may_be(order, content):
            # The journal was lost: an order with this client order id was made of this request.
            return order
        if order is None or order.digest != digest_of(content, request_id):
            text = f"the request id {request_id} belongs to another order"
            raise RequestIdReused(text, request_id=request_id)
        return order

    async def submit(
        self, verified: VerifiedOrder, *, held_here: bool = False, is_reduction: bool = False
    ) -> Order:
        """Send an order that has passed the checks, or hold it here; once for each request id.
        Raises StoreUnavailable; it was not sent then."""
        require_verified(verified, signed_pb2.OPERATION_PLACE)
        order = self.find(verified.content, verified.request_id)
        if order is None:
            order = self.intend(verified, held_here=held_here, is_reduction=is_reduction)
            work = self._hold(order) if held_here else self._send(order)
            self._placing[order.key] = self.tasks.start(work)
        await self.placed(order)
        return order

    async def submit_close(
        self, flatten: VerifiedOrder, content: orders_pb2.OrderContent, request_id: str
    ) -> Order:
        """Send an order that closes a position for a verified OPERATION_FLATTEN, under a new id.
        Raises StoreUnavailable; it was not sent then."""
        require_verified(flatten, signed_pb2.OPERATION_FLATTEN)
        approved = flatten.approved
        approved.content.CopyFrom(content)
        # It was valid when the work began. The work goes on until the position is closed.
        approved.request_id, approved.expires_time_ns = request_id, 0
        order = self.state.index.add_intended(
            self._intent(approved, held_here=False, is_reduction=True)
        )
        self._placing[order.key] = self.tasks.start(self._send(order))
        await self.placed(order)
        return order

    async def submit_group(self, members: Sequence[CheckedOrder]) -> list[Order]:
        """Submit the orders of a new group: all are written in one record, then those that are not
        held here are sent. Raises StoreUnavailable; none was sent then."""
        orders = [
            self.intend(one.order, held_here=one.held_here, is_reduction=one.is_reduction)
            for one in members
        ]
        group = GroupIntent(tuple(order.intent() for order in orders))
        await self._submit_all([orders], (group,))
        return orders

    def intend(
        self, verified: VerifiedOrder, *, held_here: bool, is_reduction: bool = False
    ) -> Order:
        """Keep a new order that is to be submitted now, so that checks of the next count it."""
        require_verified(verified, signed_pb2.OPERATION_PLACE)
        intent = self._intent(verified.approved, held_here, is_reduction)
        return self.state.index.add_intended(intent)

    async def submit_intended(self, orders: Sequence[Order]) -> None:
        """Submit independent orders that ``intend`` has just returned: all are on disk, by one
        sync, before the first is sent. Raises StoreUnavailable; none was sent then."""
        await self._submit_all([[one] for one in orders], [one.intent() for one in orders])

    async def _submit_all(self, parts: Sequence[list[Order]], records: Sequence[Record]) -> None:
        """``parts``: orders that are sent together or not at all; ``records``: their intents."""
        task = self.tasks.start(self._send_all(parts, records))
        self._placing.update((order.key, task) for part in parts for order in part)
        await asyncio.shield(task)

    async def placed(self, order: Order) -> None:
        """Wait until an order that is being placed has a verdict. Raises StoreUnavailable."""
        task = self._placing.get(order.key)
        if task is not None:
            await asyncio.shield(task)

    def is_placing(self, order: Order) -> bool:
        """Whether an order is being written or sent, and has no verdict yet."""
        return order.key in self._placing

    async def release(self, order: Order) -> None:
        """Send an order that was held here; once, however often this is called. Raises
        StoreUnavailable; it is still held then."""
        if order.key not in self._placing and order.held_here and not order.is_final:
            self._placing[order.key] = self.tasks.start(self._release(order))
        await self.placed(order)

    async def cancel(self, order: Order, requested_by: str = "") -> None:
        """Cancel an order. The venue is queried for one that has ended here without the venue's
        proof. Raises VenueUnavailable when it does not answer, and StoreUnavailable for one that is
        held here: it is cancelled, but may be open again after a restart."""
        if order.is_final and not order.is_end_proven and not order.held_here:
            await self._resolver.query(order)
        if order.is_final:
            return
        self._request_cancel(order, requested_by)
        if order.is_final:
            await self.journal.commit()
            return
        await asyncio.shield(self.tasks.start(self._cancel(order)))

    async def cancel_many(self, orders: Sequence[tuple[Order, str]]) -> None:
        """Cancel orders, each with who asks for it, in the venue's calls for several orders, where
        it has them. ``cancel`` does what is left."""
        batch_max = self.client.capabilities.batch_max
        open_orders = [one for one in orders if one[0].was_at_venue and not one[0].is_final]
        client = self.client
        if len(open_orders) < 2 or batch_max < 2 or not isinstance(client, BatchOrderEntry):
            return
        for start in range(0, len(open_orders), batch_max):
            batch = [order for order, _ in open_orders[start : start + batch_max]]
            for order, requested_by in open_orders[start : start + batch_max]:
                self._request_cancel(order, requested_by)
            call = client.cancel_many([order.venue_key for order in batch])
            verdicts = await verdicts_of(call, len(batch), self._settings.ask_timeout_s)
            cancelled = [
                order
                for order, verdict in zip(batch, verdicts, strict=True)
                if isinstance(verdict, RequestAccepted) and not order.is_final
            ]
            await await_each(map(self._query, cancelled))

    async def cancel_all(self, symbol: str = "", requested_by: str = "") -> list[Order]:
        """Cancel all orders of one symbol, or of all. Returns the orders that were open. Raises
        VenueUnavailable when some may still be open, and StoreUnavailable when those held here may
        be open again after a restart; it can be called again."""
        orders = [order for order in self.state.index.open.values() if symbol in ("", order.symbol)]
        for order in orders:
            self._request_cancel(order, requested_by)
        timeout_s = self._settings.ask_timeout_s
        verdict = await verdict_of(self.client.cancel_all(symbol), timeout_s)
        try:
            left = await answer_of(self.client.open_orders(symbol), timeout_s)
        except VenueUnavailable:
            # Questions may be closed while cancels go on.
            if not isinstance(verdict, RequestAccepted):
                await await_each(self._cancel(order) for order in orders if not order.is_final)
            raise
        await await_each(self._cancel_reported(report, requested_by) for report in left)
        error = await self._commit_cancellations()
        may_be_lost = self._cancels_not_on_disk or any(order.held_here for order in orders)
        self._cancels_not_on_disk = error is not None and may_be_lost
        rest = [order for order in orders if not order.is_final]
        await await_each(self._query(order) for order in rest)
        for order in rest:
            self._resolver.watch(order)
        if not isinstance(verdict, RequestAccepted) and any(not order.is_final for order in rest):
            raise VenueUnavailable(verdict.detail, detail=verdict.detail)
        if error is not None and self._cancels_not_on_disk:
            raise error
        return orders

    async def cancel_entries(self, symbol: str = "", requested_by: str = "") -> list[Order]:
        """Cancel all orders of one symbol, or of all, that are not protective, at the venue one by
        one: its call for all orders would cancel stops too. An order of another program counts as
        protective by its type only. Returns the orders that were open. Raises VenueUnavailable when
        some may still be open; it can be called again."""
        open_orders = [one for one in self.state.index.open.values() if not one.is_protective]
        entries = [one for one in open_orders if symbol in ("", one.symbol)]
        for order in entries:
            self._request_cancel(order, requested_by)
        await await_each(self._cancel(order) for order in entries if not order.is_final)
        call = self.client.open_orders(symbol)
        for report in await answer_of(call, self._settings.ask_timeout_s):
            found = self.state.apply_order(report, is_answer=True)
            if found is not None and not found.is_final and not found.is_protective:
                self._request_cancel(found, requested_by)
                await self._cancel(found)
        return entries

    def order_key(self, request_id: str) -> str:
        """The client order id of a request."""
        return client_order_id(self._context.venue, self._context.account, request_id)

    def _intent(
        self, approved: signed_pb2.ApprovedOrder, held_here: bool, is_reduction: bool
    ) -> OrderIntent:
        intent = intent_of(approved, self.order_key(approved.request_id), self.clock.time_ns())
        return structs.replace(intent, held_here=held_here, is_reduction=is_reduction)

    async def _hold(self, order: Order) -> None:
        try:
            await self._write([order], order.intent())
            self._open_here(order)
        finally:
            self._placing.pop(order.key, None)

    def _open_here(self, order: Order) -> None:
        self.state.transition(
            order, order_states.CANCELLED if order.cancel_requested else order_states.OPEN
        )

    async def _send(self, order: Order) -> None:
        try:
            began_ns = self.clock.monotonic_ns()
            sent = self._mark_sending(order)
            await self._write([order], order.intent(), sent)
            if not self._is_late([order], began_ns):
                await self.sender.place(order)
        finally:
            self._placing.pop(order.key, None)

    async def _send_all(self, parts: Sequence[list[Order]], records: Sequence[Record]) -> None:
        placing = orders = [order for part in parts for order in part]
        try:
            began_ns = self.clock.monotonic_ns()
            sent = [order for order in orders if not order.held_here]
            await self._write(orders, *records, *map(self._mark_sending, sent))
            for part in parts:
                self._is_late(part, began_ns)
            placing = sent
            for order in orders:
                if order.held_here and not order.is_final:
                    # It may be released while another member waits for its verdict.
                    self._placing.pop(order.key, None)
                    self._open_here(order)
            await self.sender.place_all([one for one in sent if not one.is_final])
        finally:
            for order in placing:
                self._placing.pop(order.key, None)

    def _is_late(self, orders: list[Order], began_ns: int) -> bool:
        """Reject orders that took too long to write. Returns whether they did."""
        waited_s = (self.clock.monotonic_ns() - began_ns) / NANOSECONDS_PER_SECOND
        now_ns = self.clock.time_ns()
        if waited_s <= self._settings.place_timeout_s and not any(
            0 < order.approval_expires_time_ns <= now_ns for order in orders
        ):
            return False
        detail = "not sent: writing it to the journal took too long"
        for order in orders:
            self.state.transition(
                order, order_states.REJECTED, orders_pb2.REJECT_REASON_OTHER, detail
            )
        return True

    async def _release(self, order: Order) -> None:
        try:
            if not order.is_final:
                await self.journal.commit(self._mark_sending(order))
            if not order.is_final:
                order.held_here = False
                await self.sender.place(order)
        finally:
            order.is_sending = False
            self._placing.pop(order.key, None)

    def _mark_sending(self, order: Order) -> OrderSent:
        """Have a journal that is rewritten from now on say too that the order may be sent."""
        order.is_sending = True
        return OrderSent(order.key, self.clock.time_ns())

    async def _write(self, orders: list[Order], *records: Record) -> None:
        try:
            await self.journal.commit(*records)
        except StoreUnavailable:
            for order in orders:
                self.state.index.remove(order)
            raise

    def _request_cancel(self, order: Order, requested_by: str) -> None:
        order.request_cancel(requested_by)
        if order.held_here and order.state == order_states.OPEN:
            self.state.transition(order, order_states.CANCELLED)
        else:
            self.state.record_change(order)

    async def _cancel(self, order: Order) -> None:
        if order.state == order_states.INTENDED:
            # It is being written, and will not be sent.
            await self.placed(order)
            if order.is_final:
                return
        await self._resolver.cancel_at_venue(order)
        if not order.is_final:
            await self._query(order)
        if not order.is_final:
            self._resolver.watch(order)

    async def _cancel_reported(self, report: VenueOrder, requested_by: str) -> None:
        order = self.state.apply_order(report, is_answer=True)
        if order is None or order.is_final:
            return
        self._request_cancel(order, requested_by)
        await self._cancel(order)

    async def _commit_cancellations(self) -> StoreUnavailable | None:
        """Write to disk that orders held here are cancelled. Returns the error of a full disk: it
        does not stop the rest."""
        try:
            await self.journal.commit()
        except StoreUnavailable as error:
            _log.error("cancellations not on disk", extra={"detail": error.message})
            return error
        return None

    async def _query(self, order: Order) -> None:
        try:
            await self._resolver.query(order)
        except VenueUnavailable:
            self._resolver.watch(order)


def _may_be(order: Order, content: orders_pb2.OrderContent) -> bool:
    """Whether an order that was found at the venue may be of this content."""
    return (order.symbol, order.side) == (content.symbol, content.side)
