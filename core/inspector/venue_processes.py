"""The processes of the venues: their orders, and their instruments."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

import grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.registry.v1 import registry_pb2
from venuemesh.tradeflow.v1 import (
    batches_pb2,
    orders_pb2,
    signed_pb2,
    trade_flow_pb2,
    trade_flow_pb2_grpc,
)

from kit.base import errors
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.directory import VENUE, ServiceDirectory
from kit.base.errors import UnknownOrder
from kit.base.paging import whole_list
from kit.base.service_channels import ServiceChannels
from kit.execution.client_order_ids import client_order_id

if TYPE_CHECKING:
    from venuemesh.tradeflow.v1.trade_flow_pb2_grpc import TradeFlowAsyncStub

CALL_SECONDS_MAX = 15.0
"""A venue's process answers when the venue has, or after orders.place_timeout_s."""
LIST_SECONDS_MAX = 3.0
LIST_AGAIN_NS = 30 * NANOSECONDS_PER_SECOND
"""How often a venue is asked for an instrument that it does not list."""
FIND_SECONDS_MAX = 3.0
"""How long a venue is waited for that is not registered."""
PAGE_SIZE = 1_000
GOOD_BOOKS = (market_data_pb2.BOOK_STATE_PROVEN, market_data_pb2.BOOK_STATE_UNPROVEN)


class NoAnswer(Exception):
    """A call has no clear answer: whether it had an effect is not known."""


class CallRefused(Exception):
    """The process of the venue has refused a call, with a documented reason."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class VenueOrders(Protocol):
    """The orders at the venues. Every method raises NoAnswer, and CallRefused."""

    async def place(
        self, approved: Sequence[signed_pb2.ApprovedOrder]
    ) -> Sequence[orders_pb2.Order]:
        """Place an order, or the orders of a group."""

    async def amend(self, approved: signed_pb2.ApprovedOrder) -> orders_pb2.Order:
        """Amend the target of an approval."""

    async def cancel(self, approved: signed_pb2.ApprovedOrder) -> orders_pb2.Order:
        """Cancel the target of an approval."""

    async def find(self, venue: str, account: str, client_id: str) -> orders_pb2.Order | None:
        """An order, or None if the process of the venue knows no such order."""

    async def fills(self, order: orders_pb2.Order) -> Sequence[orders_pb2.Fill]:
        """The fills of an order."""


class VenueProcesses:
    """VenueOrders of the processes in the registry, and their instruments."""

    def __init__(self, directory: ServiceDirectory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._instances: dict[str, registry_pb2.ServiceInstance] = {}
        self._changed = asyncio.Event()
        self._channels = ServiceChannels()
        self._instruments: dict[str, dict[str, bytes]] = {}
        """The encoded instruments by venue and symbol: there are thousands."""
        self._listed_ns: dict[str, int] = {}

    async def run(self) -> None:
        """Follow the registry. Runs forever."""
        async for services in self._directory.watch(VENUE):
            self._instances = {service.instance.name: service.instance for service in services}
            self._changed.set()
            self._changed = asyncio.Event()

    async def close(self) -> None:
        await self._channels.close()

    async def instrument(self, venue: str, symbol: str) -> types_pb2.Instrument | None:
        """The terms of an instrument; None if the venue does not list it or does not answer."""
        known = self._instruments.get(venue, {})
        now_ns = self._clock.monotonic_ns()
        due_ns = self._listed_ns.get(venue, now_ns - LIST_AGAIN_NS) + LIST_AGAIN_NS
        if symbol not in known and now_ns >= due_ns:
            try:
                known = await self._list(venue)
            except (NoAnswer, grpc.aio.AioRpcError):
                return None
        found = known.get(symbol)
        return None if found is None else types_pb2.Instrument.FromString(found)

    async def place(
        self, approved: Sequence[signed_pb2.ApprovedOrder]
    ) -> Sequence[orders_pb2.Order]:
        venue = approved[0].content.venue
        async with self._calling(venue) as stub:
            if len(approved) > 1:
                group = batches_pb2.PlaceOrderGroupRequest(venue=venue, approved=approved)
                placed = await stub.PlaceOrderGroup(group, timeout=CALL_SECONDS_MAX)
                return placed.orders
            request = trade_flow_pb2.PlaceOrderRequest(venue=venue, approved=approved[0])
            answer = await stub.PlaceOrder(request, timeout=CALL_SECONDS_MAX)
            return [answer.order]

    async def amend(self, approved: signed_pb2.ApprovedOrder) -> orders_pb2.Order:
        request = trade_flow_pb2.AmendOrderRequest(
            venue=approved.content.venue,
            account=approved.content.account,
            client_order_id=approved.target_client_order_id,
            approved=approved,
        )
        async with self._calling(request.venue) as stub:
            return (await stub.AmendOrder(request, timeout=CALL_SECONDS_MAX)).order

    async def cancel(self, approved: signed_pb2.ApprovedOrder) -> orders_pb2.Order:
        request = trade_flow_pb2.CancelOrderRequest(
            venue=approved.content.venue,
            account=approved.content.account,
            client_order_id=approved.target_client_order_id,
            approved=approved,
        )
        async with self._calling(request.venue) as stub:
            return (await stub.CancelOrder(request, timeout=CALL_SECONDS_MAX)).order

    async def find(self, venue: str, account: str, client_id: str) -> orders_pb2.Order | None:
        request = trade_flow_pb2.GetOrderRequest(
            venue=venue, account=account, client_order_id=client_id
        )
        try:
            async with self._calling(venue) as stub:
                return (await stub.GetOrder(request, timeout=CALL_SECONDS_MAX)).order
        except CallRefused as refused:
            if refused.reason == UnknownOrder.reason:
                return None
            raise

    async def fills(self, order: orders_pb2.Order) -> Sequence[orders_pb2.Fill]:
        content = order.content
        request = trade_flow_pb2.ListFillsRequest(
            venue=content.venue,
            account=content.account,
            client_order_id=order.client_order_id,
            page_size=PAGE_SIZE,
        )
        async with self._calling(content.venue) as stub:
            answer: trade_flow_pb2.ListFillsResponse = await whole_list(
                stub.ListFills, request, timeout=CALL_SECONDS_MAX
            )
            return answer.fills

    async def best_price(self, venue: str, symbol: str, *, is_buy: bool) -> Decimal | None:
        """The best price for a purchase or a sale; None if no good book is there."""
        request = market_data_pb2.GetOrderBookRequest(venue=venue, symbol=symbol, depth=1)
        try:
            stub = market_data_pb2_grpc.MarketDataStub(await self._channel(venue))
            book = await stub.GetOrderBook(request, timeout=LIST_SECONDS_MAX)
        except (NoAnswer, grpc.aio.AioRpcError):
            return None
        levels = book.asks if is_buy else book.bids
        return Decimal(levels[0].price) if levels and book.state in GOOD_BOOKS else None

    async def free_balance(self, venue: str, account: str, asset: str) -> Decimal | None:
        """What is free of an asset, as the venue has reported; None if that is not known."""
        request = trade_flow_pb2.ListBalancesRequest(venue=venue, account=account)
        try:
            async with self._calling(venue) as stub:
                answer: trade_flow_pb2.ListBalancesResponse = await whole_list(
                    stub.ListBalances, request, timeout=LIST_SECONDS_MAX
                )
        except (NoAnswer, CallRefused):
            return None
        found = [Decimal(one.free) for one in answer.balances if one.asset == asset]
        return found[0] if found else None

    async def _list(self, venue: str) -> dict[str, bytes]:
        channel = await self._channel(venue)
        stub = market_data_pb2_grpc.MarketDataStub(channel)
        request = market_data_pb2.ListInstrumentsRequest(venue=venue, page_size=PAGE_SIZE)
        answer = await whole_list(stub.ListInstruments, request, timeout=LIST_SECONDS_MAX)
        found = {one.symbol: one.SerializeToString() for one in answer.instruments}
        if found:
            self._listed_ns[venue] = self._clock.monotonic_ns()
        self._instruments[venue] = found
        return found

    @asynccontextmanager
    async def _calling(self, venue: str) -> "AsyncIterator[TradeFlowAsyncStub]":
        channel = await self._channel(venue)
        try:
            yield trade_flow_pb2_grpc.TradeFlowStub(channel)
        except grpc.aio.AioRpcError as error:
            reason, text = errors.reason_of(error), error.details() or error.code().name
            if reason:
                raise CallRefused(reason, text) from None
            raise NoAnswer(f"{error.code().name}: {text}") from None

    async def _channel(self, venue: str) -> grpc.aio.Channel:
        try:
            async with asyncio.timeout(FIND_SECONDS_MAX):
                while venue not in self._instances:
                    await self._changed.wait()
        except TimeoutError:
            raise NoAnswer(f"no process of the venue {venue} is registered") from None
        return await self._channels.to(venue, self._instances[venue])


def order_id(approved: signed_pb2.ApprovedOrder) -> str:
    """The client order id of an order that is placed by this approval."""
    content = approved.content
    return client_order_id(content.venue, content.account, approved.request_id)
