"""Calls the venues' processes: orders, prices, balances and instruments."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

import grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import (
    accounts_pb2,
    batches_pb2,
    fences_pb2,
    orders_pb2,
    signed_pb2,
    trade_flow_pb2,
    trade_flow_pb2_grpc,
)

from core.inspector.price_cache import PriceCache
from kit.base import errors
from kit.base.clock import Clock
from kit.base.errors import UnknownOrder, UnknownService
from kit.base.paging import whole_list
from kit.base.service_channels import ServiceChannels
from kit.execution.client_order_ids import client_order_id
from kit.marketdata.clients.best_prices import BestPriceClient
from kit.marketdata.clients.listed_instruments import ListedInstruments

if TYPE_CHECKING:
    from venuemesh.tradeflow.v1.trade_flow_pb2_grpc import TradeFlowAsyncStub

CALL_SECONDS_MAX = 15.0
"""A venue's process answers after the venue, or after orders.place_timeout_s."""
ANSWER_SECONDS_MAX = 3.0
"""Deadline of calls that a venue's process answers without the venue."""
FIND_SECONDS_MAX = 3.0
"""How long a call waits for a venue to register."""
PAGE_SIZE = 1_000
TRADE_FLOW = trade_flow_pb2.DESCRIPTOR.services_by_name["TradeFlow"].full_name


class NoAnswer(Exception):
    """A call has no clear answer: it may have had an effect, or none."""


class CallRefused(Exception):
    """The venue's process has refused a call, with a documented reason."""

    def __init__(self, reason: str, detail: str, why: str = "") -> None:
        """``why``: of an approval or a heartbeat that is not valid, see errors.proto."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.why = why


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

    async def fence(self, approved: signed_pb2.ApprovedOrder) -> None:
        """Make the venue's process refuse earlier approvals of entries."""

    async def find(self, venue: str, account: str, client_id: str) -> orders_pb2.Order | None:
        """An order, or None if the venue's process has no such order."""

    async def fills(self, order: orders_pb2.Order) -> Sequence[orders_pb2.Fill]:
        """The fills of an order."""

    async def accounts(self, venue: str) -> Sequence[accounts_pb2.Account]:
        """The accounts of a venue."""

    async def open_orders(self, venue: str, account: str) -> Sequence[orders_pb2.Order]:
        """The orders of an account that are not final."""


class VenueProcesses:
    """VenueOrders and VenueFacts of the processes in the registry."""

    def __init__(self, channels: ServiceChannels, clock: Clock) -> None:
        self.channels = channels
        self._prices = BestPriceClient(channels, ANSWER_SECONDS_MAX, clock)
        self.price_cache = PriceCache(self._prices, clock)
        self.instruments = ListedInstruments(channels, ANSWER_SECONDS_MAX, clock)

    def trading(self) -> Sequence[str]:
        """The registered venues that have accounts."""
        return [
            name
            for name in self.channels.names()
            if any(TRADE_FLOW in one.grpc_services for one in self.channels.instances(name))
        ]

    async def accounts(self, venue: str) -> Sequence[accounts_pb2.Account]:
        """The accounts of a venue. Raises NoAnswer, CallRefused."""
        request = accounts_pb2.ListAccountsRequest(venue=venue)
        async with self._calling(venue) as stub:
            answer: accounts_pb2.ListAccountsResponse = await whole_list(
                stub.ListAccounts, request, timeout=ANSWER_SECONDS_MAX
            )
            return answer.accounts

    async def open_orders(self, venue: str, account: str) -> Sequence[orders_pb2.Order]:
        request = trade_flow_pb2.ListOpenOrdersRequest(
            venue=venue, account=account, page_size=PAGE_SIZE
        )
        async with self._calling(venue) as stub:
            answer: trade_flow_pb2.ListOpenOrdersResponse = await whole_list(
                stub.ListOpenOrders, request, timeout=ANSWER_SECONDS_MAX
            )
            return answer.orders

    async def heartbeat(self, signed: signed_pb2.HeartbeatRequest) -> None:
        """Report that the order authority is alive. Raises NoAnswer, CallRefused."""
        async with self._calling(signed.venue) as stub:
            await stub.Heartbeat(signed, timeout=ANSWER_SECONDS_MAX)

    async def instrument(self, venue: str, symbol: str) -> types_pb2.Instrument | None:
        """The terms of an instrument; None if the venue does not list it or does not answer. It
        also refreshes the price if a limit needs it."""
        found, _ = await asyncio.gather(
            self.instruments.find(venue, symbol), self.price_cache.refresh(venue, symbol)
        )
        return None if found is None else found.instrument

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

    async def fence(self, approved: signed_pb2.ApprovedOrder) -> None:
        content = approved.content
        request = fences_pb2.FenceEntriesRequest(
            venue=content.venue, account=content.account, approved=approved
        )
        async with self._calling(request.venue) as stub:
            await stub.FenceEntries(request, timeout=ANSWER_SECONDS_MAX)

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
        """The best price for a purchase or a sale; None without a good book."""
        best = (await self._prices.of([(venue, symbol)]))[venue, symbol]
        return best.ask if is_buy else best.bid

    async def free_balance(self, venue: str, account: str, asset: str) -> Decimal | None:
        """The free balance of an asset that the venue reported; None if it is unknown."""
        request = trade_flow_pb2.ListBalancesRequest(venue=venue, account=account)
        try:
            async with self._calling(venue) as stub:
                answer: trade_flow_pb2.ListBalancesResponse = await whole_list(
                    stub.ListBalances, request, timeout=ANSWER_SECONDS_MAX
                )
        except (NoAnswer, CallRefused):
            return None
        found = [Decimal(one.free) for one in answer.balances if one.asset == asset]
        return found[0] if found else None

    def _calling(self, venue: str) -> "AbstractAsyncContextManager[TradeFlowAsyncStub]":
        return calling(self.channels, venue)


@asynccontextmanager
async def calling(channels: ServiceChannels, venue: str) -> "AsyncIterator[TradeFlowAsyncStub]":
    """A stub of TradeFlow whose errors are NoAnswer and CallRefused."""
    try:
        channel = await channels.channel(venue, FIND_SECONDS_MAX)
    except UnknownService as error:
        raise NoAnswer(error.message) from None
    try:
        yield trade_flow_pb2_grpc.TradeFlowStub(channel)
    except grpc.aio.AioRpcError as error:
        info, text = errors.error_info(error), error.details() or error.code().name
        if info is not None:
            raise CallRefused(info.reason, text, info.metadata.get("why", "")) from None
        raise NoAnswer(f"{error.code().name}: {text}") from None


def order_id(approved: signed_pb2.ApprovedOrder) -> str:
    """The client order id of the order that this approval places."""
    content = approved.content
    return client_order_id(content.venue, content.account, approved.request_id)
