"""Orders: placed, followed and cancelled."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import approvals_pb2, orders_pb2, signed_pb2, trade_flow_pb2
from venuemesh_client.client import Client
from venuemesh_client.stream import follow


async def approve(
    client: Client, content: orders_pb2.OrderContent, request_id: str
) -> signed_pb2.ApprovedOrder:
    """Sign an order with the development key, where no real money is involved. Elsewhere an order
    authority makes the ApprovedOrder."""
    request = approvals_pb2.ApproveRequest(content=content, request_id=request_id)
    return (await client.approvals.Approve(request)).approved


async def place(client: Client, approved: signed_pb2.ApprovedOrder) -> orders_pb2.Order:
    """Place an order, and return it when the venue has answered. It may be repeated after an error:
    the same request id makes one order."""
    venue = approved.content.venue
    request = trade_flow_pb2.PlaceOrderRequest(venue=venue, approved=approved)
    return (await client.trade_flow.PlaceOrder(request)).order


async def cancel(client: Client, order: orders_pb2.Order) -> orders_pb2.Order:
    """Cancel an order that protects no position; others need an approval. May be repeated."""
    request = trade_flow_pb2.CancelOrderRequest(
        venue=order.content.venue,
        account=order.content.account,
        client_order_id=order.client_order_id,
    )
    return (await client.trade_flow.CancelOrder(request)).order


async def executions(
    client: Client, venue: str, account: str
) -> AsyncGenerator[trade_flow_pb2.StreamExecutionsResponse, None]:
    """Yield the events of an account, first a snapshot. A stream that is lost is opened again after
    the last event; a snapshot follows if events were lost meanwhile. Raises AioRpcError if the
    request is rejected."""
    last: types_pb2.Cursor | None = None

    def open_stream() -> grpc.aio.UnaryStreamCall[
        trade_flow_pb2.StreamExecutionsRequest, trade_flow_pb2.StreamExecutionsResponse
    ]:
        return client.trade_flow.StreamExecutions(
            trade_flow_pb2.StreamExecutionsRequest(venue=venue, account=account, resume_after=last)
        )

    events = follow(open_stream)
    async with aclosing(events):
        async for event in events:
            if not isinstance(event, grpc.aio.AioRpcError):
                last = event.cursor
                yield event
