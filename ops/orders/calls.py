"""The calls of ``./venuemesh order``."""

import argparse
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import grpc
from google.protobuf.message import Message
from venuemesh.inspector.v1 import inspector_pb2, inspector_pb2_grpc
from venuemesh.tradeflow.v1 import (
    accounts_pb2,
    batches_pb2,
    flatten_pb2,
    orders_pb2,
    signed_pb2,
    trade_flow_pb2,
    trade_flow_pb2_grpc,
)

from kit.base import errors
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import ApprovalRejected, UnknownService
from kit.base.paging import whole_list
from kit.execution.approval.signing import ApprovalSigner
from kit.execution.contract import Operation
from ops.errors import OperationsError
from ops.orders import arguments, groups, outcomes

CALL_SECONDS_MAX = 30
APPROVED_NS = 30 * NANOSECONDS_PER_SECOND
"""How long an approval with the key of an operator is valid."""


class OrderCalls:
    """The calls of one command, as responses of the contract."""

    def __init__(
        self, channel: grpc.aio.Channel, signer: ApprovalSigner | None, chosen: argparse.Namespace
    ) -> None:
        """``signer``: the key of the operator. None: the inspector approves."""
        self._stub: trade_flow_pb2_grpc.TradeFlowAsyncStub = trade_flow_pb2_grpc.TradeFlowStub(
            channel
        )
        self._inspector: inspector_pb2_grpc.InspectorAsyncStub = inspector_pb2_grpc.InspectorStub(
            channel
        )
        self._signer = signer
        self._has_asked_inspector = False
        """Whether it has not answered yet."""
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

    def is_without_inspector(self, error: grpc.aio.AioRpcError) -> bool:
        """Whether a call has failed because no inspector has answered."""
        is_absent = error.code() is grpc.StatusCode.UNAVAILABLE
        is_absent |= errors.reason_of(error) == UnknownService.reason
        return is_absent and self._has_asked_inspector

    async def place(self) -> Message:
        content = arguments.content(self._chosen)
        if self._signer is None:
            return await self._submit(signed_pb2.OPERATION_PLACE, content)
        approved = self._approve(self._signer, content, arguments.request_id(self._chosen))
        request = trade_flow_pb2.PlaceOrderRequest(venue=self._chosen.venue, approved=approved)
        return await self._stub.PlaceOrder(request, **self._options)

    async def place_group(self) -> Message:
        contents = groups.contents(self._chosen)
        if self._signer is None:
            first, *others = contents.values()
            return await self._submit(signed_pb2.OPERATION_PLACE, first, others=others)
        approved = [self._approve(self._signer, one, name) for name, one in contents.items()]
        request = batches_pb2.PlaceOrderGroupRequest(venue=self._chosen.venue, approved=approved)
        return await self._stub.PlaceOrderGroup(request, **self._options)

    async def amend(self) -> Message:
        name, operation = self._chosen.client_order_id, signed_pb2.OPERATION_AMEND
        content = arguments.amended((await self.get()).order, self._chosen)
        if self._signer is None:
            return await self._submit(operation, content, name)
        approved = self._approve(
            self._signer, content, arguments.request_id(self._chosen), operation, name
        )
        request = trade_flow_pb2.AmendOrderRequest(
            client_order_id=name, approved=approved, **self._whose
        )
        return await self._stub.AmendOrder(request, **self._options)

    async def cancel(self) -> Message:
        name = self._chosen.client_order_id
        approved = self._approved_cancel(signed_pb2.OPERATION_CANCEL, target=name)
        request = trade_flow_pb2.CancelOrderRequest(
            client_order_id=name, approved=approved, **self._whose
        )
        try:
            return await self._stub.CancelOrder(request, **self._options)
        except grpc.aio.AioRpcError as error:
            if approved is not None or errors.reason_of(error) != ApprovalRejected.reason:
                raise
        # It protects a position, and the caller is no operator.
        symbol = (await self.get()).order.content.symbol
        content = orders_pb2.OrderContent(symbol=symbol, **self._whose)
        return await self._submit(signed_pb2.OPERATION_CANCEL, content, name)

    async def cancel_all(self) -> Message:
        symbol = self._chosen.symbol
        approved = self._approved_cancel(signed_pb2.OPERATION_CANCEL_ALL, symbol=symbol)
        request = trade_flow_pb2.CancelAllOrdersRequest(
            symbol=symbol,
            approved=approved,
            include_protective=self._chosen.include_protective,
            **self._whose,
        )
        return await self._stub.CancelAllOrders(request, **self._options)

    async def heartbeat(self) -> Message:
        if self._signer is None:
            raise OperationsError("an order authority signs its heartbeats: name its key, --key")
        beat = self._signer.heartbeat(**self._whose, time_ns=time.time_ns())
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
        operation, under_way = signed_pb2.OPERATION_FLATTEN, True
        while under_way:
            if self._signer is not None:
                approved = self._approve(self._signer, content, request_id, operation)
            else:
                approved = (await self._submit(operation, content)).approved
            request = flatten_pb2.FlattenRequest(symbol=symbol, approved=approved, **self._whose)
            answer = await self._stub.Flatten(request, **self._options)
            yield answer
            under_way = answer.under_way
        if answer.left_open:
            text = f"left open: {left_open(answer.left_open)}"
            raise OperationsError(text, reason="LEFT_OPEN", exit_code=outcomes.EXIT_LEFT_OPEN)

    async def _submit(
        self,
        operation: Operation,
        content: orders_pb2.OrderContent,
        target: str = "",
        others: Sequence[orders_pb2.OrderContent] = (),
    ) -> inspector_pb2.SubmitManualResponse:
        """Have the inspector check, approve and send it."""
        request = inspector_pb2.SubmitManualRequest(
            request_id=getattr(self._chosen, "id", "") or secrets.token_hex(arguments.ID_BYTES),
            reason=self._chosen.reason,
            operation=operation,
            target_client_order_id=target,
            content=content,
            others=others,
        )
        self._has_asked_inspector = True
        response = await self._inspector.SubmitManual(request, timeout=CALL_SECONDS_MAX)
        self._has_asked_inspector = False
        return response

    def _approved_cancel(
        self, operation: Operation, symbol: str = "", target: str = ""
    ) -> signed_pb2.ApprovedOrder | None:
        """The approval of a cancel; None without a key."""
        if self._signer is None:
            return None
        content = orders_pb2.OrderContent(symbol=symbol, **self._whose)
        name = secrets.token_hex(arguments.ID_BYTES)
        return self._approve(self._signer, content, name, operation, target)

    @staticmethod
    def _approve(
        signer: ApprovalSigner,
        content: orders_pb2.OrderContent,
        request_id: str,
        operation: Operation = signed_pb2.OPERATION_PLACE,
        target: str = "",
    ) -> signed_pb2.ApprovedOrder:
        expires_ns = time.time_ns() + APPROVED_NS
        return signer.approve(content, request_id, expires_ns, operation, target)


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
