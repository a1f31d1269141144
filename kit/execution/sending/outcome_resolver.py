"""Finds out the state of orders that are in doubt, by querying the venue.

A query asks for the order by its ids, then for the open orders, then for the fills. "No such order"
counts only when it was asked after everything under way must have arrived and must be findable, and
only when it was answered several times. Until then, and while the venue does not answer, an order
stays UNKNOWN.
"""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import count

from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting import amounts
from kit.base import telemetry
from kit.base.backoff import delays
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import VenuemeshError
from kit.execution.context import AccountContext
from kit.execution.contract import ExecutionClient, OrderKey, RequestAccepted, VenueFill, VenueOrder
from kit.execution.orders import order_states
from kit.execution.orders.account_state import UNMATCHED_ORDERS_MAX, AccountState
from kit.execution.orders.amendments import TermsAnswer, settle_at_venue
from kit.execution.orders.order import Order
from kit.execution.tasks import wait_for_event
from kit.execution.venue_calls import answer_of, pages_of, verdict_of

FIRST_PAUSE_S = 0.25
QUERIES_AT_ONCE = 8
FILLS_BEFORE_NS = 60 * NANOSECONDS_PER_SECOND
"""How far the venue's clock may be behind ours."""
NEVER_RECEIVED = "the venue never received it"
"""The detail of an order that was in doubt until the venue had denied it often enough."""
UNMATCHED_TRIES = 5
FILLS_TRIES = 12
"""Queries for missing fills of an order that has ended; after them only reconciling finds them."""

_log = telemetry.logger("orders.resolver")


@dataclass(slots=True)
class OrderStatusQuery:
    """An order that the venue is queried for, until it is settled."""

    ids: tuple[str, str]
    """The key of an order and "", or symbol and venue order id of one that is not known here."""
    pauses: Iterator[float]
    since_ns: int
    due_ns: int
    is_of_unknown: bool = False
    is_missing: bool = False
    """Whether the order was open and is not in the venue's list of open orders any more."""
    tries: int = 0
    not_found_count: int = 0


class OutcomeResolver:
    """Queries the venue for the orders of one account."""

    def __init__(
        self, client: ExecutionClient, state: AccountState, context: AccountContext
    ) -> None:
        self._client = client
        self._state = state
        self._clock = context.clock
        self._settings = context.settings
        self._jitter = context.jitter
        self._queries: dict[tuple[str, str], OrderStatusQuery] = {}
        self._queue: list[tuple[int, int, OrderStatusQuery]] = []
        self._numbers = count()
        self._wake = asyncio.Event()

    @property
    def open_queries(self) -> int:
        """How many orders the venue is being queried for."""
        return len(self._queries)

    def watch(self, order: Order, *, is_missing: bool = False) -> None:
        """Query the venue for an order until it is settled. ``is_missing``: it was open, and is not
        in the venue's list of open orders any more."""
        status_query = self._inquiry((order.key, ""))
        is_of_unknown = order.state == order_states.UNKNOWN
        if (is_of_unknown and not status_query.is_of_unknown) or (
            is_missing and not status_query.is_missing
        ):
            # Only from now on is it certain that nothing more of the order will be sent.
            status_query.is_of_unknown = status_query.is_of_unknown or is_of_unknown
            status_query.is_missing = is_missing
            status_query.since_ns = self._clock.monotonic_ns()
            status_query.not_found_count = 0

    def hasten(self, order: Order) -> None:
        """Query the venue now for an order that is being queried for, and begin again with short
        pauses: another order waits for the outcome of this one."""
        status_query = self._queries.get((order.key, ""))
        if status_query is not None:
            status_query.pauses = delays(FIRST_PAUSE_S, self._settings.pause_max_s, self._jitter)
            self._postpone(status_query)
            self._wake.set()

    def watch_unmatched(self, symbol: str, venue_order_id: str) -> None:
        """Query the venue for an order that is not known here, until it is known whose it is."""
        self._inquiry((symbol, venue_order_id))

    async def run(self) -> None:
        """Make the queries that are due, for ever."""
        while True:
            due = self._due()
            if due:
                await asyncio.gather(*map(self._try, due))
                continue
            self._wake.clear()
            await self._wait()

    async def query(self, order: Order) -> bool:
        """Query the venue for an order once. Returns whether the venue knows it, open or ended,
        or may know it without a way to tell. Raises VenueUnavailable without an answer."""
        timeout_s = self._settings.ask_timeout_s
        asked_ns = self._clock.monotonic_ns()
        report = None
        if self._client.capabilities.finds_by_client_id or order.venue_order_id:
            report = await answer_of(self._client.find(order.venue_key), timeout_s)
        if report is None:
            open_orders = await answer_of(self._client.open_orders(order.symbol), timeout_s)
            report = next((one for one in open_orders if self._is_of(one, order)), None)
        if report is not None:
            # It was found by the order's ids, so it is this order also where it lacks ours.
            report = replace(report, client_order_id=order.client_order_id)
            self._state.apply_order(report, is_answer=True)
            answer = TermsAnswer(report, asked_ns, self._lag_ns, self._arrival_ns)
            settle_at_venue(self._state, order, answer)
        if report is None or order.lacks_fills:
            since_ns = max(0, order.created_time_ns - FILLS_BEFORE_NS)
            if report is not None:
                since_ns = max(since_ns, self._state.fill_coverage.until_ns(order.symbol))
            pages = pages_of(self._client.fills(order.symbol, since_ns), timeout_s)
            async with aclosing(pages) as answers:
                async for page in answers:
                    is_unclear = [self._apply_fill(fill, order) for fill in page.fills]
                    if any(is_unclear):
                        return True
                    if report is not None and not order.lacks_fills:
                        break
        return report is not None

    async def cancel_at_venue(self, order: Order) -> None:
        """Ask the venue to cancel an order, also when it was asked before."""
        call = self._client.cancel(order.venue_key)
        verdict = await verdict_of(call, self._settings.ask_timeout_s)
        if isinstance(verdict, RequestAccepted) and verdict.order is not None:
            self._state.apply_order(verdict.order, is_answer=True)

    def _due(self) -> list[OrderStatusQuery]:
        """Up to QUERIES_AT_ONCE inquiries whose pause is over."""
        now_ns = self._clock.monotonic_ns()
        due: list[OrderStatusQuery] = []
        while self._queue and self._queue[0][0] <= now_ns and len(due) < QUERIES_AT_ONCE:
            due_ns, _, status_query = heappop(self._queue)
            # One that was settled or postponed since is still in the queue, and is skipped.
            if (
                status_query.due_ns == due_ns
                and self._queries.get(status_query.ids) is status_query
            ):
                due.append(status_query)
        return due

    async def _wait(self) -> None:
        """Wait until the next inquiry is due, or there is a new one."""
        if not self._queue:
            await self._wake.wait()
            return
        left_ns = max(0, self._queue[0][0] - self._clock.monotonic_ns())
        await wait_for_event(self._wake, self._clock, left_ns / NANOSECONDS_PER_SECOND)

    def _inquiry(self, ids: tuple[str, str]) -> OrderStatusQuery:
        status_query = self._queries.get(ids)
        if status_query is None:
            now_ns = self._clock.monotonic_ns()
            pauses = delays(FIRST_PAUSE_S, self._settings.pause_max_s, self._jitter)
            status_query = self._queries[ids] = OrderStatusQuery(ids, pauses, now_ns, now_ns)
            self._postpone(status_query)
            self._wake.set()
        return status_query

    def _postpone(self, status_query: OrderStatusQuery) -> None:
        pause_ns = int(next(status_query.pauses) * NANOSECONDS_PER_SECOND)
        status_query.due_ns = self._clock.monotonic_ns() + pause_ns
        heappush(self._queue, (status_query.due_ns, next(self._numbers), status_query))

    async def _try(self, status_query: OrderStatusQuery) -> None:
        self._postpone(status_query)
        status_query.tries += 1
        try:
            if status_query.ids[1]:
                is_settled = await self._identify(status_query)
            else:
                is_settled = await self._resolve(status_query)
        except VenuemeshError as error:
            level = _log.warning if status_query.tries == 1 else _log.debug
            level("no answer", extra={"order": status_query.ids[0], "detail": error.message})
            return
        except Exception:
            _log.exception("query failed", extra={"order": status_query.ids[0]})
            return
        if is_settled and self._queries.get(status_query.ids) is status_query:
            del self._queries[status_query.ids]

    async def _resolve(self, status_query: OrderStatusQuery) -> bool:
        """Query for a known order. Returns whether it is settled."""
        order = self._state.index.orders.get(status_query.ids[0])
        if order is None or self._is_settled(order, status_query):
            return True
        if order.state in (order_states.INTENDED, order_states.SENT):
            return False
        is_read = self._state.fill_coverage.is_complete
        if not is_read and self._lacks_only_fills(order, status_query):
            return False
        asked_ns = self._clock.monotonic_ns()
        if await self.query(order):
            status_query.is_missing = False
        elif not order.is_final and self._is_confirmed_missing(status_query, asked_ns):
            self._end_missing(order)
        if order.cancel_requested and order.state in order_states.AT_VENUE:
            await self.cancel_at_venue(order)
        return self._is_settled(order, status_query)

    def _is_of(self, update: VenueOrder | VenueFill, order: Order) -> bool:
        index = self._state.index
        found = index.find(update.symbol, update.client_order_id, update.venue_order_id)
        return found is order

    def _apply_fill(self, fill: VenueFill, order: Order) -> bool:
        """Apply a fill if it is of an order. Returns whether it may be, without a way to tell."""
        if self._is_of(fill, order):
            self._state.apply_fill(replace(fill, client_order_id=order.client_order_id))
            return False
        return self._may_be_of(fill, order)

    def _may_be_of(self, fill: VenueFill, order: Order) -> bool:
        """Whether a fill may be of this order, at a venue that finds no order by our id and whose
        fills do not have it: nothing can tell then."""
        capabilities = self._client.capabilities
        index = self._state.index
        return (
            not capabilities.finds_by_client_id
            and not capabilities.fills_have_client_id
            and not order.was_at_venue
            and fill.side == order.side
            and index.find(fill.symbol, fill.client_order_id, fill.venue_order_id) is None
        )

    def _is_settled(self, order: Order, status_query: OrderStatusQuery) -> bool:
        if order.is_final:
            return not order.lacks_fills or status_query.tries > FILLS_TRIES
        if order.cancel_requested or order.is_amending or order.lacks_fills:
            return False
        if status_query.is_missing or order.is_full:
            return False
        return order.held_here or order.state in (order_states.OPEN, order_states.PARTLY_FILLED)

    def _lacks_only_fills(self, order: Order, status_query: OrderStatusQuery) -> bool:
        """Whether nothing else of an order is in doubt, so that the reading of all fills settles
        it."""
        is_known = order.is_final or order.state in (order_states.OPEN, order_states.PARTLY_FILLED)
        is_in_doubt = order.cancel_requested or order.is_amending or status_query.is_missing
        return order.lacks_fills and is_known and not is_in_doubt

    @property
    def _lag_ns(self) -> int:
        return int(self._client.capabilities.lag_s * NANOSECONDS_PER_SECOND)

    @property
    def _arrival_ns(self) -> int:
        """How long after the last sending an order may arrive and still not be found."""
        return int(self._settings.arrival_s * NANOSECONDS_PER_SECOND) + 2 * self._lag_ns

    def _is_confirmed_missing(self, status_query: OrderStatusQuery, asked_ns: int) -> bool:
        """Count a "no such order" if it is late enough to count. Returns whether there were
        enough."""
        wait_ns = self._arrival_ns + status_query.not_found_count * self._lag_ns
        if asked_ns >= status_query.since_ns + wait_ns:
            status_query.not_found_count += 1
        return status_query.not_found_count >= self._settings.noes

    def _end_missing(self, order: Order) -> None:
        if order.was_at_venue:
            detail = "it ended without an update: the venue does not know it any more"
            self._state.end_missing(order, detail)
        else:
            reason = order_states.NEVER_ARRIVED
            self._state.transition(order, order_states.REJECTED, reason, NEVER_RECEIVED)

    async def _identify(self, status_query: OrderStatusQuery) -> bool:
        """Query for an order that is not known here. Returns whether it is known now whose it
        is."""
        if status_query.ids not in self._state.unmatched:
            return True
        state = self._state
        is_read = state.fill_coverage.is_complete
        if not is_read and len(state.unmatched) < UNMATCHED_ORDERS_MAX // 2:
            # The reading of fills would wait for it.
            return False
        symbol, venue_order_id = status_query.ids
        key = OrderKey(symbol, "", venue_order_id)
        report = await answer_of(self._client.find(key), self._settings.ask_timeout_s)
        if report is None and status_query.tries >= UNMATCHED_TRIES:
            report = _order_of(self._state.unmatched.get(status_query.ids, []))
        if report is not None:
            self._state.apply_order(report, is_answer=True)
        return status_query.ids not in self._state.unmatched


def _order_of(updates: list[VenueOrder | VenueFill]) -> VenueOrder | None:
    """The order that updates show, where the venue does not report the order itself."""
    orders = [one for one in updates if isinstance(one, VenueOrder)]
    if orders:
        return orders[-1]
    fills = [one for one in updates if isinstance(one, VenueFill)]
    if not fills:
        return None
    size = amounts.total(fill.size for fill in fills)
    return VenueOrder(
        symbol=fills[0].symbol,
        venue_order_id=fills[0].venue_order_id,
        client_order_id=fills[0].client_order_id,
        side=fills[0].side,
        type=orders_pb2.ORDER_TYPE_UNSPECIFIED,
        size=size,
        price=None,
        state=order_states.FILLED,
        filled_size=size,
        detail="known by its fills only",
    )
