"""The requests to cancel all orders and to flatten that were carried out.

An order has its request id, so the same approval makes it once. These two make nothing of that
kind: a second time they would end orders and positions that came later. So each is in the journal
before it is confirmed, and the same request has the same answer from then on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import ApprovalRejected, RequestIdReused, StoreUnavailable
from kit.execution.approval.verifier import VerifiedOrder
from kit.execution.client_order_ids import check_request_id
from kit.execution.journal.account_journal import AccountJournal
from kit.execution.journal.records import OrderLeft, RequestAnswered
from kit.execution.orders.order import Order
from kit.execution.orders.order_index import OrderIndex
from kit.execution.tasks import BackgroundTasks

REQUESTS_MAX = 1000
KEPT_NS = 3600 * NANOSECONDS_PER_SECOND
"""A request is known for this long after the end of its approval: clocks may be set back."""
ORDERS_MAX, LEFT_MAX = 1000, 100
"""So many orders, and so much of what is left open, is in the answer to a repeated request."""
DETAIL_CHARS_MAX = 500


class AnsweredRequests:
    """The answered requests of one account."""

    def __init__(
        self, index: OrderIndex, journal: AccountJournal, clock: Clock, tasks: BackgroundTasks
    ) -> None:
        self._index, self._journal, self._clock, self._tasks = index, journal, clock, tasks
        self._answered: dict[tuple[int, str], RequestAnswered] = {}
        """By operation and request id, in the order of their answers."""
        self._running: dict[str, tuple[str, asyncio.Task[Sequence[Order]]]] = {}
        """Symbol and work of requests to cancel all orders, by request id."""

    def find(self, verified: VerifiedOrder) -> RequestAnswered | None:
        """Return what a request was answered; None for a new one. Raises BadRequest,
        RequestIdReused, and ApprovalRejected for a new one that could not be remembered."""
        check_request_id(verified.request_id)
        found = self._answered.get((verified.operation, verified.request_id))
        if found is not None:
            _check_symbol(verified, found.symbol)
            return found
        self._forget()
        if len(self._answered) >= REQUESTS_MAX:
            text = f"{REQUESTS_MAX} approvals to cancel all orders or to flatten were used and are "
            text += "still valid: approve for a shorter time"
            raise ApprovalRejected(text, why="too_many")
        return None

    async def cancel_all(
        self,
        verified: VerifiedOrder,
        cancel: Callable[[], Awaitable[Sequence[Order]]],
        *,
        must_be_written: bool,
    ) -> Sequence[Order]:
        """Cancel all orders with a verified OPERATION_CANCEL_ALL, once. Returns the orders that
        were open. Raises what ``cancel`` does, and the request may be repeated then; as ``find``;
        and with ``must_be_written`` StoreUnavailable: the orders are cancelled."""
        answered, request_id = self.find(verified), verified.request_id
        if answered is not None:
            orders: Sequence[Order] = self.orders_of(answered)
        else:
            symbol, task = self._running.get(request_id, (verified.content.symbol, None))
            _check_symbol(verified, symbol)
            if task is None:
                task = self._tasks.start(self._cancel_all(verified, cancel))
                self._running[request_id] = symbol, task
            orders = await asyncio.shield(task)
        if must_be_written:
            await self.written()
        return orders

    def answered(
        self, verified: VerifiedOrder, orders: Iterable[Order], left: Sequence[OrderLeft] = ()
    ) -> None:
        """Note the answer to a request: the orders that it names, and what is left open."""
        record = RequestAnswered(
            request_id=verified.request_id,
            operation=int(verified.operation),
            symbol=verified.content.symbol,
            answered_time_ns=self._clock.time_ns(),
            approval_expires_time_ns=verified.expires_time_ns,
            order_keys=tuple(order.key for order in orders)[:ORDERS_MAX],
            left=tuple(
                one._replace(detail=one.detail[:DETAIL_CHARS_MAX]) for one in left[:LEFT_MAX]
            ),
        )
        self.replay(record)
        self._journal.append(record)

    async def written(self) -> None:
        """Wait until the answers are on disk. Raises StoreUnavailable."""
        try:
            await self._journal.commit()
        except StoreUnavailable as error:
            text = f"it is done, but not on disk, and would be done again after a restart: {error}"
            raise StoreUnavailable(f"{text}; repeat the request", store="journal") from None

    def orders_of(self, answered: RequestAnswered) -> list[Order]:
        """The orders of an answer that are still known."""
        orders = self._index.orders
        return [orders[key] for key in answered.order_keys if key in orders]

    def records(self) -> Iterator[RequestAnswered]:
        """Yield the records from which ``replay`` restores the requests."""
        self._forget()
        yield from list(self._answered.values())

    def replay(self, record: RequestAnswered) -> None:
        """Apply a record of the journal."""
        self._answered[record.operation, record.request_id] = record

    async def _cancel_all(
        self, verified: VerifiedOrder, cancel: Callable[[], Awaitable[Sequence[Order]]]
    ) -> Sequence[Order]:
        try:
            orders = await cancel()
            self.answered(verified, orders)
        finally:
            self._running.pop(verified.request_id, None)
        return orders

    def _forget(self) -> None:
        before_ns = self._clock.time_ns() - KEPT_NS
        for key, one in list(self._answered.items()):
            if max(one.approval_expires_time_ns, one.answered_time_ns) < before_ns:
                del self._answered[key]


def _check_symbol(verified: VerifiedOrder, symbol: str) -> None:
    if verified.content.symbol != symbol:
        request_id = verified.request_id
        text = f"the request id {request_id} belongs to another symbol: {symbol!r}"
        raise RequestIdReused(text, request_id=request_id)
