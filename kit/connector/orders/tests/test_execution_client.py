"""The priority of each call of an execution client, and what it does with several requests."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.base.clock import SystemClock
from kit.base.errors import RateLimited, VenueUnavailable
from kit.base.request_budget import Priority, RequestBudget, Scope
from kit.connector.orders.errors import ErrorTable
from kit.connector.orders.execution_client import CcxtExecutionClient
from kit.connector.orders.rest_session import OrderApiRequest, RestQuerySession
from kit.connector.orders.venue_api import VenueApi
from kit.execution.contract import (
    FillsPage,
    OrderCapabilities,
    OrderKey,
    OrderRequest,
    RequestAccepted,
    RequestRejected,
    VenueOrder,
    VenuePosition,
    Verdict,
)

KEY = OrderKey("BTCUSDT", "0" * 32, "")
REQUEST = OrderRequest(
    "0" * 32, "BTCUSDT", types_pb2.SIDE_BUY, pb.ORDER_TYPE_LIMIT, Decimal(1), Decimal(1)
)
ORDER = VenueOrder(
    symbol="BTCUSDT",
    venue_order_id="7",
    client_order_id=KEY.client_order_id,
    side=REQUEST.side,
    type=REQUEST.type,
    size=Decimal(2),
    price=Decimal(1),
    state=pb.ORDER_STATE_OPEN,
    filled_size=Decimal(0),
)


class RecordingSession:
    """In place of a RestSession: accepts every request, and records it with its priority."""

    venue_id = "somewhere"
    errors = ErrorTable(lambda answer: None, not_found=frozenset({"gone"}))

    def __init__(self) -> None:
        self.calls: list[tuple[str, Priority]] = []
        self.verdicts: list[Verdict] = []
        self.send_by_s: list[float] = []

    async def send(self, request: OrderApiRequest, priority: Priority, read: Any) -> Verdict:
        self.calls.append((request.method, priority))
        self.send_by_s.append(request.send_by_s)
        return self.verdicts.pop(0) if self.verdicts else RequestAccepted("7")

    async def ask(
        self, method: str, params: Any, priority: Priority, scope: Scope = Scope.ACCOUNT
    ) -> Any:
        self.calls.append((method, priority))


class Orders:
    """Requests that are named like the calls. Orders can only be cancelled one by one."""

    capabilities = OrderCapabilities(frozenset(), frozenset(), amends_to_smaller_only=True)

    def place(self, order: OrderRequest) -> OrderApiRequest:
        return OrderApiRequest("place")

    def amend(self, key: OrderKey, order: OrderRequest) -> OrderApiRequest:
        return OrderApiRequest("amend")

    def cancel(self, key: OrderKey) -> Sequence[OrderApiRequest]:
        return [OrderApiRequest("cancel"), OrderApiRequest("cancel stop")]

    def cancel_all(self, symbol: str) -> Sequence[OrderApiRequest]:
        return ()

    def countdown(self, seconds: float) -> Sequence[OrderApiRequest]:
        return [OrderApiRequest("countdown")]

    def verdict(self, answer: Any) -> Verdict:
        return RequestAccepted("7")


class Account:
    """Questions that are named like the calls."""

    async def find(self, queries: RestQuerySession, key: OrderKey) -> VenueOrder:
        await queries.ask("find")
        return ORDER

    async def open_orders(self, queries: RestQuerySession, symbol: str) -> list[VenueOrder]:
        await queries.ask("open_orders")
        return [ORDER]

    async def fills(self, queries: RestQuerySession, *_: Any) -> AsyncIterator[FillsPage]:
        await queries.ask("fills")
        yield FillsPage((), 0, 0)

    async def balances(self, queries: RestQuerySession) -> list[Any]:
        await queries.ask("balances")
        return []

    async def positions(self, queries: RestQuerySession) -> list[VenuePosition]:
        long, short = VenuePosition("BTCUSDT", Decimal(2)), VenuePosition("BTCUSDT", Decimal(-1))
        return [long, VenuePosition("ETHUSDT", Decimal(1)), short]


def client(session: RecordingSession, **named: Any) -> CcxtExecutionClient:
    api: Any = VenueApi(Orders(), Account(), None, None, **named)  # type: ignore[arg-type]
    given: Any = session
    return CcxtExecutionClient(given, api)


async def test_cancelling_comes_before_protecting_before_the_rest() -> None:
    session = RecordingSession()
    at = client(session)
    await at.cancel(KEY)
    await at.cancel_all()
    await at.countdown(5)
    await at.place(REQUEST, Priority.PROTECT)
    await at.place(REQUEST)
    await at.amend(KEY, REQUEST)
    await at.amend(KEY, REQUEST, Priority.PROTECT)
    await at.find(KEY)
    await at.open_orders()
    await anext(at.fills("", 0))
    await at.balances()
    assert session.calls == [
        ("cancel", Priority.CANCEL),
        ("open_orders", Priority.CANCEL),
        ("cancel", Priority.CANCEL),
        ("countdown", Priority.CANCEL),
        ("place", Priority.PROTECT),
        ("place", Priority.NEW),
        ("find", Priority.NEW),
        ("amend", Priority.NEW),
        ("find", Priority.PROTECT),
        ("amend", Priority.PROTECT),
        ("find", Priority.PROTECT),
        ("open_orders", Priority.PROTECT),
        ("fills", Priority.QUESTION),
        ("balances", Priority.QUESTION),
    ]


async def test_order_and_amendment_are_sent_while_their_approval_is_valid() -> None:
    session, loop = RecordingSession(), asyncio.get_running_loop()
    at = client(session)
    until_s = loop.time() + 60
    for request in (REQUEST, structs.replace(REQUEST, send_within_s=60)):
        await at.place(request)
        await at.amend(KEY, request)
    assert session.send_by_s[:2] == [0, 0]
    assert all(until_s <= one <= loop.time() + 60 for one in session.send_by_s[2:])


async def test_missing_venue_id_is_asked_for_as_urgently_as_the_call() -> None:
    session = RecordingSession()
    await client(session, needs_venue_order_id=True).cancel(KEY)
    assert session.calls == [("find", Priority.CANCEL), ("cancel", Priority.CANCEL)]


async def test_next_request_is_sent_only_when_the_order_was_not_found() -> None:
    session = RecordingSession()
    session.verdicts = [RequestRejected(pb.REJECT_REASON_OTHER, "gone no such order")]
    assert await client(session).cancel(KEY) == RequestAccepted("7")
    assert [name for name, _ in session.calls] == ["cancel", "cancel stop"]
    session.verdicts = [RequestRejected(pb.REJECT_REASON_PERMISSION, "not allowed")]
    assert await client(session).cancel(KEY) == RequestRejected(
        pb.REJECT_REASON_PERMISSION, "not allowed"
    )


async def test_two_positions_in_one_symbol_are_not_taken_for_one() -> None:
    class Derivatives(Orders):
        capabilities = OrderCapabilities(frozenset(), frozenset(), has_positions=True)

    at = client(RecordingSession())
    at._orders = Derivatives()
    with pytest.raises(VenueUnavailable, match="2 positions in BTCUSDT"):
        await at.positions()


async def test_suspended_budget_lets_no_call_out() -> None:
    budget = RequestBudget("binance", 100, SystemClock())
    budget.suspend(60)
    with pytest.raises(RateLimited):
        async with budget.turn(Priority.CANCEL):
            pytest.fail("the call went out")
