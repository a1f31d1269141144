"""Compares the journal with the venue. The venue is right, and each difference is published.

It lists the venue's open orders, the fills since the last known one, balances and positions; then
it queries for each order that is open here and not there. An order that the venue does not find
either is left to the resolver: absence alone proves nothing.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from venuemesh.tradeflow.v1 import differences_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import NotSupported
from kit.execution.approval import plain
from kit.execution.context import AccountContext
from kit.execution.contract import ExecutionClient, VenueFill, VenueOrder
from kit.execution.orders import order_states
from kit.execution.orders.account_state import AccountState, FillUpdateResult
from kit.execution.orders.balances_and_positions import BalancesAndPositions
from kit.execution.orders.order import Order
from kit.execution.orders.order_messages import difference_message
from kit.execution.outcome_resolver import QUERIES_AT_ONCE, OutcomeResolver
from kit.execution.venue_calls import answer_of

OVERLAP_NS = 60 * NANOSECONDS_PER_SECOND
"""Fills are listed from this long before the last known one: venues list them late."""
FILLS_AGE_MAX_NS = 72 * 3600 * NANOSECONDS_PER_SECOND
"""Venues do not list fills of any age."""

Difference = differences_pb2.Difference


class Reconciler:
    """Compares one account."""

    def __init__(
        self,
        client: ExecutionClient,
        state: AccountState,
        balances_and_positions: BalancesAndPositions,
        resolver: OutcomeResolver,
        context: AccountContext,
        publish: Callable[[Difference], None],
    ) -> None:
        self._client = client
        self._state = state
        self._balances_and_positions = balances_and_positions
        self._resolver = resolver
        self._clock = context.clock
        self._timeout_s = context.settings.ask_timeout_s
        self._publish = publish
        self._since_ns = 0

    async def run(self, *, is_first: bool) -> list[Difference]:
        """Compare once, and return the differences. ``is_first``: nothing was known before, so the
        account's balances are no difference. Raises VenueUnavailable, CredentialsRejected; it can
        be called again."""
        found: list[Difference] = []
        began_ns = self._clock.time_ns()
        known = self._orders_at_venue()
        open_orders = await answer_of(self._client.open_orders(), self._timeout_s)
        found += self._published(self._apply_open_orders(open_orders))
        fills = await self._list_fills(self._fills_since(began_ns))
        found += self._published(self._apply_fills(fills))
        open_ids = {(order.symbol, order.venue_order_id) for order in open_orders}
        gone = [order for order in known if (order.symbol, order.venue_order_id) not in open_ids]
        found += self._published(await self._query_all(gone))
        compare = not is_first
        holdings = self._balances_and_positions
        balances = await answer_of(self._client.balances(), self._timeout_s)
        found += self._published(holdings.replace_balances(balances, compare=compare))
        if self._client.capabilities.has_positions:
            positions = await answer_of(self._client.positions(), self._timeout_s)
            found += self._published(holdings.replace_positions(positions, compare=compare))
        self._since_ns = began_ns
        return found

    def _published(self, differences: Iterable[Difference]) -> Iterator[Difference]:
        for difference in differences:
            self._publish(difference)
            yield difference

    def _orders_at_venue(self) -> list[Order]:
        """The open orders, without those held here or being sent right now."""
        return [
            order
            for order in self._state.index.open.values()
            if not order.held_here and order.state not in (order_states.INTENDED, order_states.SENT)
        ]

    def _apply_open_orders(self, reports: Iterable[VenueOrder]) -> Iterator[Difference]:
        for report in reports:
            order = self._state.index.find(
                report.symbol, report.client_order_id, report.venue_order_id
            )
            if order is None:
                # The difference is published before the order that it is about.
                if report.client_order_id or not self._may_be_ours(report):
                    yield Difference(
                        kind=differences_pb2.DIFFERENCE_KIND_EXTERNAL_ORDER,
                        symbol=report.symbol,
                        client_order_id=report.client_order_id,
                        found=report.venue_order_id,
                        detail="placed by another program",
                    )
            elif order.state == order_states.UNKNOWN:
                kind = differences_pb2.DIFFERENCE_KIND_RESOLVED
                yield difference_message(kind, order, "UNKNOWN", "OPEN")
            self._state.apply_order(report, is_answer=True)

    def _may_be_ours(self, report: VenueOrder) -> bool:
        return any(
            order.state in order_states.IN_DOUBT
            and not order.venue_order_id
            and order.symbol == report.symbol
            for order in self._state.index.open.values()
        )

    def _fills_since(self, now_ns: int) -> int:
        """The time from which on fills may be missing."""
        opened = (order.created_time_ns for order in self._state.index.open.values())
        known_ns = self._since_ns or min(
            self._state.index.last_fill_time_ns or now_ns, min(opened, default=now_ns)
        )
        return max(known_ns - OVERLAP_NS, now_ns - FILLS_AGE_MAX_NS, 0)

    async def _list_fills(self, since_ns: int) -> list[VenueFill]:
        try:
            return await answer_of(self._client.fills("", since_ns), self._timeout_s)
        except NotSupported:
            symbols = sorted({order.symbol for order in self._state.index.orders.values()})
        found: list[VenueFill] = []
        for symbol in symbols:
            found += await answer_of(self._client.fills(symbol, since_ns), self._timeout_s)
        return found

    def _apply_fills(self, fills: Iterable[VenueFill]) -> Iterator[Difference]:
        index = self._state.index
        for fill in fills:
            order = index.find(fill.symbol, fill.client_order_id, fill.venue_order_id)
            if order is None:
                self._state.apply_fill(fill)
                continue
            if index.find_fill(order, fill.fill_id) is None:
                kind = differences_pb2.DIFFERENCE_KIND_MISSED_FILL
                found = f"{plain(fill.size)} at {plain(fill.price)}"
                yield difference_message(kind, order, "", found, fill.fill_id)
            fees_before = self._fees(order, fill.fill_id)
            if self._state.apply_fill(fill) is FillUpdateResult.FEE_CHANGED:
                kind = differences_pb2.DIFFERENCE_KIND_FEE
                fees_after = self._fees(order, fill.fill_id)
                yield difference_message(kind, order, fees_before, fees_after, fill.fill_id)

    def _fees(self, order: Order, fill_id: str) -> str:
        number = self._state.index.find_fill(order, fill_id)
        if number is None:
            return ""
        fees = self._state.index.fills[number].fees
        return ", ".join(f"{plain(amount)} {asset}" for asset, amount in fees)

    async def _query_all(self, orders: list[Order]) -> list[Difference]:
        slots = asyncio.Semaphore(QUERIES_AT_ONCE)
        found: list[Difference] = []

        async def one(order: Order) -> None:
            async with slots:
                found.extend(await self._query(order))

        errors = await asyncio.gather(*map(one, orders), return_exceptions=True)
        for error in errors:
            if error is not None:
                raise error
        return found

    async def _query(self, order: Order) -> list[Difference]:
        if order.is_final:
            return []
        before = order.state
        report = await answer_of(self._client.find(order.venue_key), self._timeout_s)
        if report is None:
            self._resolver.watch(order, is_missing=True)
            return []
        if order.is_final:
            return []
        report = replace(report, client_order_id=order.client_order_id)
        self._state.apply_order(report, is_answer=True)
        if before == order_states.UNKNOWN and order.state != before:
            kind = differences_pb2.DIFFERENCE_KIND_RESOLVED
        elif order.state in (order_states.CANCELLED, order_states.EXPIRED, order_states.REJECTED):
            kind = differences_pb2.DIFFERENCE_KIND_LOST_CANCEL
        else:
            return []
        expected, found = order_states.name_of(before), order_states.name_of(order.state)
        return [difference_message(kind, order, expected, found)]
