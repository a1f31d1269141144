"""TradeFlow for the accounts of one process.

An order's way: it is verified (``Account.verify``), checked (``order_admission``), written to the
journal and sent (``OrderSubmitter``); the venue's verdict and updates change its state
(``AccountState``), and each change is published (``ExecutionStream``).
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

import grpc
from venuemesh.tradeflow.v1 import (
    accounts_pb2,
    batches_pb2,
    cash_flows_pb2,
    fences_pb2,
    flatten_pb2,
    orders_pb2,
    signed_pb2,
    trade_flow_pb2,
    trade_flow_pb2_grpc,
)

from kit.base.access.call_guard import current_caller, require_kind
from kit.base.cursor import Cursor
from kit.base.errors import (
    BadPageToken,
    UnknownAccount,
    UnknownVenue,
)
from kit.base.paging import make_token, page_of, page_size, read_token
from kit.execution import batches, order_admission, order_cancels
from kit.execution.account import Account
from kit.execution.approval.verifier import require_symbol
from kit.execution.cash_flow_lists import list_cash_flows
from kit.execution.groups import group_rules
from kit.execution.orders.order_messages import fill_message, order_message

ORDER_AUTHORITY = "inspector"
"""The kind of the only process of the mesh that may hand over orders and cancels."""
PAGE_SIZE = 200
PAGE_SIZE_MAX = 1000

Context = grpc.aio.ServicerContext[Any, Any]


class TradeFlowServicer(trade_flow_pb2_grpc.TradeFlowServicer):
    """Serves the accounts of one venue."""

    def __init__(self, venue: str, accounts: Mapping[str, Account]) -> None:
        self._venue = venue
        self._accounts = accounts

    async def PlaceOrder(
        self, request: trade_flow_pb2.PlaceOrderRequest, context: Context
    ) -> trade_flow_pb2.PlaceOrderResponse:
        _check_process()
        approved = request.approved
        content = approved.content
        account = self._loaded(content.venue, content.account)
        order = await order_admission.place(account, approved)
        await account.submitter.placed(order)
        return trade_flow_pb2.PlaceOrderResponse(order=order_message(order))

    async def PlaceOrders(
        self, request: batches_pb2.PlaceOrdersRequest, context: Context
    ) -> batches_pb2.PlaceOrdersResponse:
        account = self._loaded(request.venue, request.account)
        return batches_pb2.PlaceOrdersResponse(
            results=await batches.place(account, request.approved)
        )

    async def CancelOrders(
        self, request: batches_pb2.CancelOrdersRequest, context: Context
    ) -> batches_pb2.CancelOrdersResponse:
        account = self._loaded(request.venue, request.account)
        return batches_pb2.CancelOrdersResponse(
            results=await batches.cancel(account, request.orders)
        )

    async def PlaceOrderGroup(
        self, request: batches_pb2.PlaceOrderGroupRequest, context: Context
    ) -> batches_pb2.PlaceOrderGroupResponse:
        _check_process()
        group_rules.check(request.approved)
        content = request.approved[0].content
        account = self._loaded(content.venue, content.account)
        orders = order_admission.find_group(account, request.approved)
        if not orders:
            verified = [account.verify(one, signed_pb2.OPERATION_PLACE) for one in request.approved]
            orders = await order_admission.place_group(account, verified)
        for order in orders:
            await account.submitter.placed(order)
        account.groups.advance(content.group.group_id)
        return batches_pb2.PlaceOrderGroupResponse(orders=map(order_message, orders))

    async def AmendOrder(
        self, request: trade_flow_pb2.AmendOrderRequest, context: Context
    ) -> trade_flow_pb2.AmendOrderResponse:
        _check_process()
        account = self._loaded(request.venue, request.account)
        order = account.order(request.client_order_id)
        approved = request.approved
        if account.amender.find(order, approved.content, approved.request_id) is None:
            verified = account.verify(approved, signed_pb2.OPERATION_AMEND, order.key)
            await order_admission.amend(account, order, verified)
        account.amender.raise_if_rejected(order, approved.request_id)
        return trade_flow_pb2.AmendOrderResponse(order=order_message(order))

    async def CancelOrder(
        self, request: trade_flow_pb2.CancelOrderRequest, context: Context
    ) -> trade_flow_pb2.CancelOrderResponse:
        _check_process()
        account = self._loaded(request.venue, request.account)
        order = await order_cancels.cancel(account, request.client_order_id, request.approved)
        return trade_flow_pb2.CancelOrderResponse(order=order_message(order))

    async def CancelAllOrders(
        self, request: trade_flow_pb2.CancelAllOrdersRequest, context: Context
    ) -> trade_flow_pb2.CancelAllOrdersResponse:
        account = self._account(request.venue, request.account)
        orders, left = await order_cancels.cancel_all(account, request)
        return trade_flow_pb2.CancelAllOrdersResponse(
            orders=map(order_message, orders), left_open=map(order_message, left)
        )

    async def Flatten(
        self, request: flatten_pb2.FlattenRequest, context: Context
    ) -> flatten_pb2.FlattenResponse:
        account = self._loaded(request.venue, request.account)
        verified = account.verify(request.approved, signed_pb2.OPERATION_FLATTEN)
        require_symbol(verified, request.symbol)
        run = await account.flattener.flatten(verified)
        return flatten_pb2.FlattenResponse(
            orders=map(order_message, account.flattener.orders_of(run)),
            left_open=run.left_open(),
            under_way=not run.finished.is_set(),
        )

    async def GetOrder(
        self, request: trade_flow_pb2.GetOrderRequest, context: Context
    ) -> trade_flow_pb2.GetOrderResponse:
        account = self._loaded(request.venue, request.account)
        order = account.order(request.client_order_id)
        return trade_flow_pb2.GetOrderResponse(order=order_message(order))

    async def ListOpenOrders(
        self, request: trade_flow_pb2.ListOpenOrdersRequest, context: Context
    ) -> trade_flow_pb2.ListOpenOrdersResponse:
        account = self._loaded(request.venue, request.account)
        size = page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)
        after = _position(request, (int, str))
        rows = sorted(
            (order.created_time_ns, order.key, order)
            for order in account.state.index.open.values()
            if request.symbol in ("", order.symbol)
        )
        rest = [row for row in rows if after is None or [row[0], row[1]] > after]
        page = [order for _, _, order in rest[:size]]
        response = trade_flow_pb2.ListOpenOrdersResponse(orders=map(order_message, page))
        if len(rest) > size:
            last = page[-1]
            response.next_page_token = make_token(request, [last.created_time_ns, last.key])
        return response

    async def ListFills(
        self, request: trade_flow_pb2.ListFillsRequest, context: Context
    ) -> trade_flow_pb2.ListFillsResponse:
        account = self._loaded(request.venue, request.account)
        size = page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)
        before = _position(request, (int,))
        found = [
            (number, fill)
            for number, fill in reversed(account.state.index.fills.items())
            if (before is None or [number] < before)
            and request.symbol in ("", fill.symbol)
            and request.client_order_id in ("", fill.client_order_id)
        ]
        own, find = account.context, account.market.instrument
        capabilities = account.client.capabilities
        response = trade_flow_pb2.ListFillsResponse(
            fills=[fill_message(own, fill, find, capabilities) for _, fill in found[:size]]
        )
        if len(found) > size:
            response.next_page_token = make_token(request, [found[size - 1][0]])
        return response

    async def ListBalances(
        self, request: trade_flow_pb2.ListBalancesRequest, context: Context
    ) -> trade_flow_pb2.ListBalancesResponse:
        known = self._account(request.venue, request.account).balances_and_positions
        rows = sorted(known.balance_messages(), key=_asset)
        page, token = page_of(request, rows, _asset)
        return trade_flow_pb2.ListBalancesResponse(
            balances=page, as_of_time_ns=known.balances_time_ns, next_page_token=token
        )

    async def ListPositions(
        self, request: trade_flow_pb2.ListPositionsRequest, context: Context
    ) -> trade_flow_pb2.ListPositionsResponse:
        known = self._account(request.venue, request.account).balances_and_positions
        rows = sorted(known.position_messages(), key=_symbol)
        page, token = page_of(request, rows, _symbol)
        return trade_flow_pb2.ListPositionsResponse(
            positions=page, as_of_time_ns=known.positions_time_ns, next_page_token=token
        )

    async def ListCashFlows(
        self, request: cash_flows_pb2.ListCashFlowsRequest, context: Context
    ) -> cash_flows_pb2.ListCashFlowsResponse:
        account = self._account(request.venue, request.account)
        return await list_cash_flows(account.client, account.context, request)

    async def ListAccounts(
        self, request: accounts_pb2.ListAccountsRequest, context: Context
    ) -> accounts_pb2.ListAccountsResponse:
        self._check_venue(request.venue)
        names, token = page_of(request, sorted(self._accounts), lambda name: [name])
        return accounts_pb2.ListAccountsResponse(
            accounts=[self._accounts[name].message() for name in names], next_page_token=token
        )

    async def StreamExecutions(
        self, request: trade_flow_pb2.StreamExecutionsRequest, context: Context
    ) -> AsyncIterator[trade_flow_pb2.StreamExecutionsResponse]:
        account = self._account(request.venue, request.account)
        after = Cursor.of(request.resume_after) if request.HasField("resume_after") else None
        async with aclosing(account.executions.read(after)) as events:
            async for event in events:
                yield event

    async def Heartbeat(
        self, request: signed_pb2.HeartbeatRequest, context: Context
    ) -> accounts_pb2.HeartbeatResponse:
        account = self._loaded(request.venue, request.account)
        await account.heartbeat(request)
        return accounts_pb2.HeartbeatResponse(account=account.message())

    async def FenceEntries(
        self, request: fences_pb2.FenceEntriesRequest, context: Context
    ) -> fences_pb2.FenceEntriesResponse:
        _check_process()
        account = self._loaded(request.venue, request.account)
        await account.fence_entries(request.approved)
        return fences_pb2.FenceEntriesResponse(account=account.message())

    def _check_venue(self, venue: str) -> None:
        if venue != self._venue:
            raise UnknownVenue(f"this process trades at {self._venue}", venue=venue)

    def _account(self, venue: str, name: str) -> Account:
        self._check_venue(venue)
        if name not in self._accounts:
            known = ", ".join(sorted(self._accounts))
            raise UnknownAccount(f"{venue} has no account {name!r}, only {known}", account=name)
        return self._accounts[name]

    def _loaded(self, venue: str, name: str) -> Account:
        """An account whose journal is read: before, no answer about its orders is right."""
        account = self._account(venue, name)
        account.check_loaded()
        return account


def _check_process() -> None:
    """Raise RoleMissing for a process that is not the order authority."""
    if current_caller().is_process:
        require_kind(ORDER_AUTHORITY, "hand over orders")


def _position(
    request: trade_flow_pb2.ListOpenOrdersRequest | trade_flow_pb2.ListFillsRequest,
    kinds: tuple[type, ...],
) -> list[Any] | None:
    position = read_token(request)
    if position is not None and tuple(map(type, position)) != kinds:
        raise BadPageToken("not a page token of this list", page_token=request.page_token)
    return position


def _asset(balance: orders_pb2.Balance) -> list[int | str]:
    return [balance.asset]


def _symbol(position: orders_pb2.Position) -> list[int | str]:
    return [position.symbol]
