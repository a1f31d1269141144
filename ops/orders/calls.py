"""The calls of ``./venuemesh order``."""

import argparse
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import grpc
from google.protobuf.message import Message
from venuemesh.tradeflow.v1 import (
    accounts_pb2,
    batches_pb2,
    flatten_pb2,
    orders_pb2,
    signed_pb2,
    trade_flow_pb2,
    trade_flow_pb2_grpc,
)

from kit.base.paging import whole_list
from kit.execution.contract import Operation
from ops.errors import OperationsError
from ops.orders import arguments, groups, outcomes
from ops.orders.approvers import CALL_SECONDS_MAX, Approver


class OrderCalls:
    """The calls of one command, as responses of the contract."""

    def __init__(
        self, channel: grpc.aio.Channel, approver: Approver, chosen: argparse.Namespace
    ) -> None:
        self._stub: trade_flow_pb2_grpc.TradeFlowAsyncStub = trade_flow_pb2_grpc.TradeFlowStub(
            channel
        )
        self._approver = approver
        self._chosen = chosen
        self._whose = {"venue": chosen.venue, "account": chosen.account}
        self._metadata = [("venuemesh-venue", chosen.venue)]
        self._options: dict[str, Any] = {"metadata": self._metadata, "timeout": CALL_SECONDS_MAX}

    async def answers(self) -> AsyncIterator[Message]:
        """What the verb is answered: one response, or several of ``flatten`` and ``watch``. Raises
        OperationsError if ``flatten`` leaves something open."""
        match self._chosen.verb:
            case "flatten":
                async for answer in self._flatten():
                    yield answer
            case "watch":
                request = trade_flow_pb2.StreamExecutionsRequest(**self._whose)
                async for event in self._stub.StreamExecutions(request, metadata=self._metadata):
                    yield event
            case verb:
                yield await CALLS[verb](self)

    async def place(self) -> Message:
        chosen = self._chosen
        approved = await self._approver.approve(
            arguments.content(chosen), arguments.request_id(chosen)
        )
        request = trade_flow_pb2.PlaceOrderRequest(venue=chosen.venue, approved=approved)
        return await self._stub.PlaceOrder(request, **self._options)

    async def place_group(self) -> Message:
        contents = groups.contents(self._chosen)
        approved = [await self._approver.approve(one, name) for name, one in contents.items()]
        request = batches_pb2.PlaceOrderGroupRequest(venue=self._chosen.venue, approved=approved)
        return await self._stub.PlaceOrderGroup(request, **self._options)

    async def amend(self) -> Message:
        name = self._chosen.client_order_id
        content = arguments.amended((await self.get()).order, self._chosen)
        approved = await self._approver.approve(
            content, arguments.request_id(self._chosen), signed_pb2.OPERATION_AMEND, name
        )
        request = trade_flow_pb2.AmendOrderRequest(
            client_order_id=name, approved=approved, **self._whose
        )
        return await self._stub.AmendOrder(request, **self._options)

    async def cancel(self) -> Message:
        name = self._chosen.client_order_id
        approved = await self._approved_cancel(signed_pb2.OPERATION_CANCEL, target=name)
        request = trade_flow_pb2.CancelOrderRequest(
            client_order_id=name, approved=approved, **self._whose
        )
        return await self._stub.CancelOrder(request, **self._options)

    async def cancel_all(self) -> Message:
        symbol = self._chosen.symbol
        approved = await self._approved_cancel(signed_pb2.OPERATION_CANCEL_ALL, symbol=symbol)
        request = trade_flow_pb2.CancelAllOrdersRequest(
            symbol=symbol,
            approved=approved,
            include_protective=self._chosen.include_protective,
            **self._whose,
        )
        return await self._stub.CancelAllOrders(request, **self._options)

    async def heartbeat(self) -> Message:
        beat = await self._approver.heartbeat(**self._whose)
        return await self._stub.Heartbeat(beat, **self._options)

    async def get(self) -> trade_flow_pb2.GetOrderResponse:
        request = trade_flow_pb2.GetOrderRequest(
            client_order_id=self._chosen.client_order_id, **self._whose
        )
        return await self._stub.GetOrder(request, **self._options)

    async def list_open(self) -> Message:
        request = trade_flow_pb2.ListOpenOrdersRequest(symbol=self._chosen.symbol, **self._whose)
        return await whole_list(self._stub.ListOpenOrders, request, **self._options)

    async def list_fills(self) -> Message:
        request = trade_flow_pb2.ListFillsRequest(symbol=self._chosen.symbol, **self._whose)
        return await self._stub.ListFills(request, **self._options)

    async def list_balances(self) -> Message:
        request = trade_flow_pb2.ListBalancesRequest(**self._whose)
        return await whole_list(self._stub.ListBalances, request, **self._options)

    async def list_positions(self) -> Message:
        request = trade_flow_pb2.ListPositionsRequest(**self._whose)
        return await whole_list(self._stub.ListPositions, request, **self._options)

    async def list_accounts(self) -> Message:
        request = accounts_pb2.ListAccountsRequest(venue=self._chosen.venue)
        return await whole_list(self._stub.ListAccounts, request, **self._options)

    async def _flatten(self) -> AsyncIterator[flatten_pb2.FlattenResponse]:
        symbol, request_id = self._chosen.symbol, arguments.request_id(self._chosen)
        content = orders_pb2.OrderContent(symbol=symbol, **self._whose)
        under_way = True
        while under_way:
            approved = await self._approver.approve(
                content, request_id, signed_pb2.OPERATION_FLATTEN
            )
            request = flatten_pb2.FlattenRequest(symbol=symbol, approved=approved, **self._whose)
            answer = await self._stub.Flatten(request, **self._options)
            yield answer
            under_way = answer.under_way
        if answer.left_open:
            text = f"left open: {left_open(answer.left_open)}"
            raise OperationsError(text, reason="LEFT_OPEN", exit_code=outcomes.EXIT_LEFT_OPEN)

    async def _approved_cancel(
        self, operation: Operation, symbol: str = "", target: str = ""
    ) -> signed_pb2.ApprovedOrder | None:
        """The approval of a cancel; None for a real account, which knows no key of this caller."""
        if not self._approver.signs_cancels:
            return None
        content = orders_pb2.OrderContent(symbol=symbol, **self._whose)
        name = secrets.token_hex(arguments.ID_BYTES)
        return await self._approver.approve(content, name, operation, target)


CALLS: Mapping[str, Callable[[OrderCalls], Awaitable[Message]]] = {
    "place": OrderCalls.place,
    "bracket": OrderCalls.place_group,
    "oco": OrderCalls.place_group,
    "amend": OrderCalls.amend,
    "cancel": OrderCalls.cancel,
    "cancel-all": OrderCalls.cancel_all,
    "heartbeat": OrderCalls.heartbeat,
    "show": OrderCalls.get,
    "list": OrderCalls.list_open,
    "fills": OrderCalls.list_fills,
    "balances": OrderCalls.list_balances,
    "positions": OrderCalls.list_positions,
    "accounts": OrderCalls.list_accounts,
}
"""The verbs with one response."""


def left_open(found: Sequence[Any]) -> str:
    """What is left open, in one line."""
    parts = (" ".join(filter(None, (one.symbol, one.found, one.detail))) for one in found)
    return "; ".join(parts)
