"""Compares the journal with the venue. The venue is right, and each difference is published.

It lists the venue's open orders, the fills that may be missing, balances and positions; then
it queries for each order that is open here and not there. An order that the venue does not find
either is left to the resolver: absence alone proves nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from venuemesh.tradeflow.v1 import differences_pb2

from kit.execution.context import AccountContext
from kit.execution.contract import ExecutionClient, VenueOrder
from kit.execution.orders import order_states
from kit.execution.orders.account_state import AccountState
from kit.execution.orders.balances_and_positions import BalancesAndPositions
from kit.execution.orders.order import Order
from kit.execution.orders.order_messages import difference_message
from kit.execution.reconciliation.fill_reader import FillReader
from kit.execution.sending.outcome_resolver import OutcomeResolver
from kit.execution.tasks import await_each
from kit.execution.venue_calls import answer_of

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
        fills: FillReader,
    ) -> None:
        self._client = client
        self._state = state
        self._balances_and_positions = balances_and_positions
        self._resolver = resolver
        self._fills = fills
        self._timeout_s = context.settings.ask_timeout_s

    async def run(self, *, is_first: bool) -> list[Difference]:
        """Compare once, and return the differences. ``is_first``: nothing was known before, so the
        account's balances are no difference. Raises VenueUnavailable, CredentialsRejected; it can
        be called again."""
        found: list[Difference] = []
        known = self._orders_at_venue()
        open_orders = await answer_of(self._client.open_orders(), self._timeout_s)
        found += self._published(self._apply_open_orders(open_orders))
        found += await self._fills.read()
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
        return found

    def _published(self, differences: Iterable[Difference]) -> Iterator[Difference]:
        for difference in differences:
            self._state.report(difference)
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
                may_be_ours = self._state.index.may_be_ours(report.symbol, is_answer=True)
                if report.client_order_id or not may_be_ours:
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

    async def _query_all(self, orders: list[Order]) -> list[Difference]:
        found: list[Difference] = []

        async def one(order: Order) -> None:
            found.extend(await self._query(order))

        await await_each(map(one, orders))
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
