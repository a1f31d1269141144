"""Computes what orders have cost, from the stored events and the recorded quotes.

It reads and computes part by part, so that other calls have their turn, and keeps nothing: what is
not complete would be wrong later.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from venuemesh.history.v1 import order_costs_pb2

from core.history import order_pricing
from core.history.fee_schedules import FeeSchedules
from core.history.mid_prices import MidPrices
from core.history.order_cost_summary import GROUPINGS, OrderCostSummary
from core.history.order_pricing import PricedOrder
from core.history.request_checks import INT64_MAX, bad
from core.history.stored_orders import FirstState, StoredOrders
from kit.base import paging
from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.base.database import Database
from kit.base.errors import BadPageToken

PAGE_SIZE, PAGE_SIZE_MAX = 50, 200
ORDERS_AT_ONCE = 50
"""Orders whose events are in memory."""
SCANS_MAX = 10
"""Of one page of a list."""
SUMMARY_ORDERS_MAX = 5_000

Filter = order_costs_pb2.OrderCostsFilter


class _Part(NamedTuple):
    """Orders, and the position at which the search continues."""

    orders: Sequence[PricedOrder]
    end: int
    """The events before it were not searched."""


class OrderCostStore:
    """Answers ListOrderCosts and SummarizeOrderCosts. Raises StoreUnavailable."""

    def __init__(
        self, database: Database, orders: StoredOrders, mids: MidPrices, schedules: FeeSchedules
    ) -> None:
        self._database = database
        self._orders = orders
        self._mids = mids
        self._schedules = schedules
        self._summaries = asyncio.Semaphore(1)
        """One at a time: each reads thousands of orders."""

    async def page(
        self, request: order_costs_pb2.ListOrderCostsRequest
    ) -> order_costs_pb2.ListOrderCostsResponse:
        """A page. Raises BadRequest and BadPageToken."""
        size = paging.page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)
        position = _position(request)
        _check(request.filter)
        start, end = await self._span(request.filter)
        end = end if position is None else min(end, position)
        found: list[PricedOrder] = []
        scans = 0
        while end > start and len(found) < size and scans < SCANS_MAX:
            part = await self._part(request.filter, start, end, size - len(found))
            found += part.orders
            end, scans = part.end, scans + 1
        token = paging.make_token(request, [end]) if end > start else ""
        return order_costs_pb2.ListOrderCostsResponse(
            orders=[one.message for one in found],
            next_page_token=token,
            quote_age_max_ms=self._quote_age_max_ms(),
        )

    async def summary(
        self, request: order_costs_pb2.SummarizeOrderCostsRequest
    ) -> order_costs_pb2.SummarizeOrderCostsResponse:
        """The groups. Raises BadRequest."""
        _check(request.filter)
        _check_groupings(request.groupings)
        summary, oldest_ns = OrderCostSummary(request.groupings), 0
        async with self._summaries:
            start, end = await self._span(request.filter)
            while end > start and summary.orders < SUMMARY_ORDERS_MAX:
                room = SUMMARY_ORDERS_MAX - summary.orders
                part = await self._part(request.filter, start, end, min(room, ORDERS_AT_ONCE))
                for one in part.orders:
                    summary.add(one)
                    oldest_ns = one.stored.first.stored_time_ns
                    await asyncio.sleep(0)
                end = part.end
        return order_costs_pb2.SummarizeOrderCostsResponse(
            groups=summary.groups(),
            orders=summary.orders,
            is_truncated=end > start,
            oldest_time_ns=oldest_ns,
            quote_age_max_ms=self._quote_age_max_ms(),
        )

    async def _span(self, chosen: Filter) -> tuple[int, int]:
        return await self._orders.span(chosen.start_time_ns, chosen.end_time_ns)

    async def _part(self, chosen: Filter, start: int, end: int, limit: int) -> _Part:
        """The newest orders before ``end``."""
        most = min(limit, ORDERS_AT_ONCE)
        firsts, reached = await self._orders.first_states(_prefix(chosen), start, end, most)
        return _Part([one async for one in self._priced(firsts, chosen)], reached)

    async def _priced(
        self, firsts: Sequence[FirstState], chosen: Filter
    ) -> AsyncIterator[PricedOrder]:
        """The orders that fit, with their costs."""
        if not firsts:
            return
        stored = await self._orders.load(firsts)
        if chosen.symbol:
            stored = [one for one in stored if one.order.content.symbol == chosen.symbol]
        wanted = {mid for one in stored for mid in order_pricing.wanted_mids(one)}
        mids = await self._mids.at(wanted)
        async with self._database.transaction() as connection:
            terms = await order_pricing.terms_of(connection, stored)
        for one, known in zip(stored, terms, strict=True):
            rates = await self._schedules.of(one.order.content.venue)
            found = order_pricing.priced(one, mids, known, rates)
            if chosen.strategy in ("", found.strategy):
                yield found
            # The event loop has other callers.
            await asyncio.sleep(0)

    def _quote_age_max_ms(self) -> int:
        return self._mids.age_max_ns // NANOSECONDS_PER_MILLISECOND


def _prefix(chosen: Filter) -> str:
    """How the subjects of the orders begin."""
    parts = [part for part in (chosen.venue, chosen.account) if part]
    return "order:" + "".join(f"{part}/" for part in parts)


def _check(chosen: Filter) -> None:
    """Raises BadRequest."""
    for name in ("venue", "account", "symbol", "strategy"):
        if "\0" in getattr(chosen, name):
            raise bad(f"filter.{name}", repr(getattr(chosen, name)), "no NUL character")
    if chosen.account and not chosen.venue:
        raise bad("filter.venue", '""', "a venue id, if filter.account is set")
    start_ns, end_ns = chosen.start_time_ns, chosen.end_time_ns
    if min(start_ns, end_ns) < 0 or 0 < end_ns < start_ns:
        allowed = "0 <= filter.start_time_ns <= filter.end_time_ns"
        raise bad("filter.start_time_ns", f"{start_ns} to {end_ns}", allowed)


def _check_groupings(groupings: Sequence[int]) -> None:
    """Raises BadRequest."""
    if len(set(groupings)) < len(groupings) or not GROUPINGS.keys() >= set(groupings):
        names = ", ".join(order_costs_pb2.OrderCostsGrouping.keys()[1:])
        raise bad("groupings", list(groupings), f"each at most once: {names}")


def _position(request: order_costs_pb2.ListOrderCostsRequest) -> int | None:
    """The event that the page ends before. Raises BadPageToken."""
    match paging.read_token(request):
        case None:
            return None
        case [int(position)] if 0 < position <= INT64_MAX:
            return position
    raise BadPageToken("page_token is not a page token", page_token=request.page_token)
