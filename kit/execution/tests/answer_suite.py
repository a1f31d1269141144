"""What every execution client makes of answers to an order; the test of a venue gives them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from typing import Any

from msgspec import structs
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.connector.orders.execution_client import CcxtExecutionClient
from kit.execution.contract import (
    ExecutionClient,
    OrderRequest,
    OutcomeUnknown,
    RequestAccepted,
    RequestRejected,
    VenueFill,
)
from kit.execution.tests.scripted_venue import ScriptedVenue, scripted_venue

CLIENT_ID = "0123456789abcdef0123456789abcdef"
ScriptedClient = AbstractAsyncContextManager[tuple[ScriptedVenue, CcxtExecutionClient]]


@asynccontextmanager
async def scripted_client(
    make: Callable[[str], CcxtExecutionClient],
) -> AsyncIterator[tuple[ScriptedVenue, CcxtExecutionClient]]:
    """A scripted venue, and the client that ``make`` returns for its address."""
    async with scripted_venue() as venue:
        client = make(venue.base)
        try:
            yield venue, client
        finally:
            await client.close()


def limit_order(symbol: str, **changes: Any) -> OrderRequest:
    """A buy order of a size that no float can hold."""
    fields = {
        "client_order_id": CLIENT_ID,
        "symbol": symbol,
        "side": types_pb2.SIDE_BUY,
        "type": pb.ORDER_TYPE_LIMIT,
        "size": Decimal("123456789.12345678"),
        "price": Decimal("61234.5"),
    }
    return OrderRequest(**{**fields, **changes})


async def listed_fills(client: ExecutionClient, symbol: str, since_ns: int) -> list[VenueFill]:
    """Return the fills of all pages."""
    return [fill async for page in client.fills(symbol, since_ns) for fill in page.fills]


async def check_rejection(
    client: CcxtExecutionClient, request: OrderRequest, reason: str, detail: str = ""
) -> None:
    """The order is rejected with a reason, and with the words of the venue."""
    receipt = await client.place(request)
    assert isinstance(receipt, RequestRejected), receipt
    assert receipt.reason == pb.RejectReason.Value(f"REJECT_REASON_{reason}")
    assert detail in receipt.detail


async def check_unknown_outcome(
    venue: ScriptedVenue, client: CcxtExecutionClient, request: OrderRequest, path: str
) -> None:
    """The outcome is unknown, and the order was sent once; ``path`` is the end of its address."""
    assert isinstance(await client.place(request), OutcomeUnknown)
    assert len([call for call in venue.sent if call.path.endswith(path)]) == 1


async def check_expired_orders_are_left_out(
    venue: ScriptedVenue, client: CcxtExecutionClient, request: OrderRequest, path: str
) -> None:
    """Of several orders in one call, those whose approval has expired are not sent, and each has
    its own verdict. The venue has an answer at ``path`` that accepts ``request``."""
    valid = structs.replace(request, send_within_s=3600)
    expired = [
        structs.replace(request, client_order_id=digit * 32, send_within_s=1e-9) for digit in "de"
    ]
    verdicts = list(await client.place_many([expired[0], valid, expired[1]]))
    assert isinstance(verdicts.pop(1), RequestAccepted)
    (call,) = venue.sent
    assert call.path.endswith(path)
    assert valid.client_order_id in call.body
    assert not [one for one in expired if one.client_order_id in call.body]
    verdicts += await client.place_many(expired)
    verdicts += await client.place_many(expired[:1])
    for verdict in verdicts:
        assert isinstance(verdict, RequestRejected), verdict
        assert verdict.reason == pb.REJECT_REASON_NEVER_ARRIVED
        assert "its approval expired" in verdict.detail
    assert len(venue.sent) == 1
