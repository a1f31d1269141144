"""Orders: placed, followed and cancelled."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import checks_pb2, risk_pb2
from venuemesh.inspector.v1 import inspector_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2, trade_flow_pb2
from venuemesh_client.client import Client
from venuemesh_client.stream import follow


class NotPlaced(Exception):
    """Why an order was not placed, or that this is not known: ``answer`` has the details."""

    def __init__(self, text: str, answer: inspector_pb2.SubmitManualResponse) -> None:
        super().__init__(text)
        self.answer = answer


async def place(
    client: Client,
    content: orders_pb2.OrderContent,
    request_id: str,
    others: Sequence[orders_pb2.OrderContent] = (),
    reason: str = "",
) -> Sequence[orders_pb2.Order]:
    """Have the inspector check an order, approve it and place it, and return it when the venue has
    answered. ``others``: the other orders of its group. It may be repeated after an error: the same
    request id makes one order. Raises NotPlaced, and AioRpcError."""
    request = inspector_pb2.SubmitManualRequest(
        request_id=request_id,
        reason=reason,
        operation=signed_pb2.OPERATION_PLACE,
        content=content,
        others=others,
    )
    answer = await client.inspector.SubmitManual(request)
    if answer.submitted.outcome == risk_pb2.SUBMISSION_OUTCOME_TAKEN:
        return answer.submitted.orders
    raise NotPlaced(_why_not(answer), answer)


def _why_not(answer: inspector_pb2.SubmitManualResponse) -> str:
    if answer.verdict.verdict != risk_pb2.VERDICT_ALLOW:
        blocked = [
            f"{one.name} is {one.projected or one.observed}, limit {one.limit} {one.detail}".strip()
            for one in answer.verdict.checks
            if one.result == checks_pb2.CHECK_RESULT_BLOCKED
        ]
        return f"blocked: {'; '.join(blocked)}"
    if not answer.HasField("submitted"):
        return "not known yet: ask again with the same request id"
    submitted = answer.submitted
    return f"{submitted.refusal_reason or 'the approval has ended'}: {submitted.detail}"


async def cancel(client: Client, order: orders_pb2.Order) -> orders_pb2.Order:
    """Cancel an order; one that protects a position needs the role operator, or SubmitManual. It
    works without the inspector, and may be repeated."""
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
