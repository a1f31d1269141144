"""The journal against the venue. The venue is right; each difference is said.

What is open at the venue, the fills since the last one that is known, balances and positions are
asked for; then each order that is open here and not there. From being absent alone nothing is
concluded: an order that the venue does not find either is left to the resolver.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from venuemesh.tradeflow.v1 import differences_pb2, orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import NotSupported
from kit.execution.approval import plain
from kit.execution.calls import ask
from kit.execution.contract import ExecutionClient, VenueFill, VenueOrder
from kit.execution.orders import states
from kit.execution.orders.account_state import AccountState, News
from kit.execution.orders.holdings import Holdings
from kit.execution.orders.order import Order
from kit.execution.settings import OrdersSettings
from kit.execution.submitter import FINDS_AT_ONCE, Inquiry

OVERLAP_NS = 60 * NANOSECONDS_PER_SECOND
"""Fills are asked for from so long before the last one that is known: they come late."""
SINCE_MAX_NS = 72 * 3600 * NANOSECONDS_PER_SECOND
"""Venues do not tell fills of any age."""

Difference = differences_pb2.Difference


class Reconciler:
    """Of one account."""

    def __init__(
        self,
        desk: ExecutionClient,
        ledger: AccountState,
        holdings: Holdings,
        inquiry: Inquiry,
        clock: Clock,
        settings: OrdersSettings,
        publish: Callable[[Difference], None],
    ) -> None:
        self._desk = desk
        self._ledger = ledger
        self._holdings = holdings
        self._inquiry = inquiry
        self._clock = clock
        self._timeout_s = settings.ask_timeout_s
        self._publish = publish
        self._since_ns = 0

    async def run(self, *, is_first: bool) -> list[Difference]:
        """Compare once. ``is_first``: nothing was known before, so that what an account has is no
        difference. Raises VenueUnavailable, CredentialsRefused; it may be called again."""
        found: list[Difference] = []
        began_ns = self._clock.time_ns()
        asked = self._those_to_ask_for()
        open_orders = await ask(self._desk.open_orders(), self._timeout_s)
        found += self._say(self._take_open(open_orders))
        fills = await self._fills(self._fills_since(began_ns))
        found += self._say(self._take_fills(fills))
        here = {(order.symbol, order.venue_order_id) for order in open_orders}
        gone = [entry for entry in asked if (entry.symbol, entry.venue_order_id) not in here]
        found += self._say(await self._ask_for(gone))
        compare = not is_first
        balances = await ask(self._desk.balances(), self._timeout_s)
        found += self._say(self._holdings.take_balances(balances, compare=compare))
        if self._desk.capabilities.has_positions:
            positions = await ask(self._desk.positions(), self._timeout_s)
            found += self._say(self._holdings.take_positions(positions, compare=compare))
        self._since_ns = began_ns
        return found

    def _say(self, differences: Iterable[Difference]) -> Iterator[Difference]:
        for difference in differences:
            self._publish(difference)
            yield difference

    def _those_to_ask_for(self) -> list[Order]:
        """Open orders, but those that are on their way right now."""
        return [
            entry
            for entry in self._ledger.index.open.values()
            if not entry.held and entry.state not in (states.INTENDED, states.SENT)
        ]

    def _take_open(self, orders: Iterable[VenueOrder]) -> Iterator[Difference]:
        for order in orders:
            entry = self._ledger.index.find(
                order.symbol, order.client_order_id, order.venue_order_id
            )
            if entry is None:
                # The difference is told before the order that it is about.
                if order.client_order_id or not self._waits_for(order):
                    kind = differences_pb2.DIFFERENCE_KIND_EXTERNAL_ORDER
                    words = "placed elsewhere"
                    yield Difference(
                        kind=kind,
                        symbol=order.symbol,
                        client_order_id=order.client_order_id,
                        found=order.venue_order_id,
                        detail=words,
                    )
            elif entry.state == states.UNKNOWN:
                yield _of(differences_pb2.DIFFERENCE_KIND_RESOLVED, entry, "UNKNOWN", "OPEN")
            elif entry.is_final:
                yield _of(
                    differences_pb2.DIFFERENCE_KIND_OTHER,
                    entry,
                    _name(entry.state),
                    "OPEN",
                    "the venue says that an order is open which has ended",
                )
            self._ledger.order(order, asked=True)

    def _waits_for(self, order: VenueOrder) -> bool:
        return any(
            entry.state in states.IN_DOUBT
            and not entry.venue_order_id
            and entry.symbol == order.symbol
            for entry in self._ledger.index.open.values()
        )

    def _fills_since(self, now_ns: int) -> int:
        """From when on fills may be missing."""
        opened = (entry.created_time_ns for entry in self._ledger.index.open.values())
        known_ns = self._since_ns or min(
            self._ledger.index.last_fill_time_ns or now_ns, min(opened, default=now_ns)
        )
        return max(known_ns - OVERLAP_NS, now_ns - SINCE_MAX_NS, 0)

    async def _fills(self, since_ns: int) -> list[VenueFill]:
        try:
            return await ask(self._desk.fills("", since_ns), self._timeout_s)
        except NotSupported:
            symbols = sorted({entry.symbol for entry in self._ledger.index.orders.values()})
        found: list[VenueFill] = []
        for symbol in symbols:
            found += await ask(self._desk.fills(symbol, since_ns), self._timeout_s)
        return found

    def _take_fills(self, fills: Iterable[VenueFill]) -> Iterator[Difference]:
        for fill in fills:
            known = self._ledger.index.find_fill(fill.symbol, fill.fill_id)
            entry = self._ledger.index.find(fill.symbol, fill.client_order_id, fill.venue_order_id)
            if known is None and entry is not None:
                words = f"{plain(fill.size)} at {plain(fill.price)}"
                kind = differences_pb2.DIFFERENCE_KIND_MISSED_FILL
                yield _of(kind, entry, "", words, fill.fill_id)
            fees_before = self._fees(fill)
            if self._ledger.fill(fill) is News.FEE and known is not None:
                kind = differences_pb2.DIFFERENCE_KIND_FEE
                yield _of(kind, known[0], fees_before, self._fees(fill), fill.fill_id)

    def _fees(self, fill: VenueFill) -> str:
        known = self._ledger.index.find_fill(fill.symbol, fill.fill_id)
        if known is None:
            return ""
        fees = self._ledger.index.fills[known[1]].fees
        return ", ".join(f"{plain(amount)} {asset}" for asset, amount in fees)

    async def _ask_for(self, entries: list[Order]) -> list[Difference]:
        room = asyncio.Semaphore(FINDS_AT_ONCE)
        found: list[Difference] = []

        async def one(entry: Order) -> None:
            async with room:
                found.extend(await self._ask_for_one(entry))

        errors = await asyncio.gather(*map(one, entries), return_exceptions=True)
        for error in errors:
            if error is not None:
                raise error
        return found

    async def _ask_for_one(self, entry: Order) -> list[Difference]:
        if entry.is_final:
            return []
        before = entry.state
        order = await ask(self._desk.find(entry.venue_key), self._timeout_s)
        if order is None:
            self._inquiry.watch(entry, is_missing=True)
            return []
        if entry.is_final:
            return []
        self._ledger.order(replace(order, client_order_id=entry.client_order_id), asked=True)
        if before == states.UNKNOWN and entry.state != before:
            kind = differences_pb2.DIFFERENCE_KIND_RESOLVED
        elif entry.state in (states.CANCELLED, states.EXPIRED, states.REJECTED):
            kind = differences_pb2.DIFFERENCE_KIND_LOST_CANCEL
        else:
            return []
        return [_of(kind, entry, _name(before), _name(entry.state))]


def _of(
    kind: "differences_pb2.DifferenceKind.ValueType",
    entry: Order,
    expected: str,
    found: str,
    detail: str = "",
) -> Difference:
    return Difference(
        kind=kind,
        symbol=entry.symbol,
        client_order_id=entry.client_order_id,
        expected=expected,
        found=found,
        detail=detail,
    )


def _name(state: "orders_pb2.OrderState.ValueType") -> str:
    return orders_pb2.OrderState.Name(state).removeprefix("ORDER_STATE_")
