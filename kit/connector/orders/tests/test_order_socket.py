"""Orders over a venue's websocket: sent once, unknown outcomes, and when REST is used."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.base.clock import SystemClock
from kit.base.request_budget import Priority, RequestBudget, Scope
from kit.connector.orders import order_socket
from kit.connector.orders.errors import ErrorTable, VenueError
from kit.connector.orders.order_socket import LoginAccepted, OrderSocket, OrderSocketReply
from kit.connector.orders.rest_session import (
    CcxtPrivateApi,
    OrderApiRequest,
    RestQuerySession,
    RestSession,
)
from kit.connector.orders.user_stream import LoginRejected, StreamClosed
from kit.execution.contract import (
    Credentials,
    OutcomeUnknown,
    RequestAccepted,
    RequestRejected,
    Verdict,
)
from kit.execution.tests.scripted_venue import ScriptedVenue, scripted_venue

REQUEST = OrderApiRequest("privatePostOrder", {"symbol": "BTCUSDT"}, operation="place")
ERRORS = ErrorTable(
    lambda answer: VenueError(str(answer["code"]), answer["msg"]) if "code" in answer else None,
    {"-1": pb.REJECT_REASON_SIZE, "-3": pb.REJECT_REASON_RATE_LIMIT},
)


class Codec:
    """{"n":1,"op":"place","params":{}} and {"n":1,"answer":{}}, or {"say":"entered"}."""

    ping = ""

    def __init__(self, base: str, signs_in: bool) -> None:
        self._url = base.replace("http", "ws") + "/orders"
        self._signs_in = signs_in

    def url(self, exchange: Any) -> str:
        return self._url

    async def login(self, queries: RestQuerySession) -> list[str]:
        return ['{"op":"sign in"}'] if self._signs_in else []

    def encode(self, exchange: Any, number: int, operation: str, params: Any) -> str:
        return json.dumps({"n": number, "op": operation, "params": params})

    def decode(self, message: Any) -> Any:
        match message.get("say"):
            case "entered":
                return LoginAccepted()
            case "denied":
                return LoginRejected("a wrong key")
            case "ended":
                return StreamClosed("maintenance")
        status, wait_s = message.get("status", 200), message.get("wait", 0)
        return OrderSocketReply(message["n"], message["answer"], status, wait_s)


@dataclass
class SocketFixture:
    """A venue, and one account's way to it."""

    venue: ScriptedVenue
    session: RestSession
    socket: OrderSocket
    written: asyncio.Queue[dict[str, Any]]
    """Requests that came over the websocket."""

    async def send(
        self, request: OrderApiRequest = REQUEST, priority: Priority = Priority.NEW
    ) -> Verdict:
        return await self.socket.send(request, priority, read)

    def start(
        self, request: OrderApiRequest = REQUEST, priority: Priority = Priority.NEW
    ) -> "asyncio.Task[Verdict]":
        return asyncio.create_task(self.send(request, priority))

    async def until_shut(self) -> None:
        """Until the cut is noticed here."""
        while self.socket.ready.is_set():
            await asyncio.sleep(0)


def read(answer: Any) -> Verdict:
    return RequestAccepted(str(answer["id"]))


@asynccontextmanager
async def place(
    signs_in: bool = False,
    codec: Any = Codec,
    clock: Any = None,
    is_begun: bool = True,
    budget: RequestBudget | None = None,
    in_sequence: bool = False,
) -> AsyncIterator[SocketFixture]:
    async with scripted_venue() as venue:
        config = {"urls": {"api": {"private": venue.base}}}
        credentials = Credentials("main", {"apiKey": "k", "secret": "very-secret"})
        api = CcxtPrivateApi("binance", ERRORS, config, in_sequence)
        session = RestSession("binance", api, credentials, budget)
        written: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        def note(message: dict[str, Any]) -> list[Any]:
            written.put_nowait(message)
            return []

        venue.reply = note
        venue.answer("/order", {"id": "by rest"})
        made = OrderSocket(session, codec(venue.base, signs_in), clock)
        try:
            if is_begun:
                made.start()
            if is_begun and not signs_in:
                await made.ready.wait()
            yield SocketFixture(venue, session, made, written)
        finally:
            await made.close()
            await session.close()


async def test_answers_match_their_requests_in_any_order():
    async with place() as at:
        first, second = at.start(), at.start()
        numbers = [(await at.written.get())["n"] for _ in range(2)]
        assert numbers == [1, 2]
        await at.venue.send({"n": 2, "answer": {"id": "b"}}, {"n": 1, "answer": {"id": "a"}})
        assert await asyncio.gather(first, second) == [RequestAccepted("a"), RequestAccepted("b")]
        assert not at.venue.sent


async def test_request_without_answer_is_unknown_and_sent_once(monkeypatch):
    monkeypatch.setattr(order_socket, "TIMEOUT_S", 0.05)
    async with place() as at:
        assert await at.send() == OutcomeUnknown("no answer in 0.05 s")
        assert (await at.written.get())["n"] == 1
        monkeypatch.setattr(order_socket, "TIMEOUT_S", 10.0)
        again = at.start()
        await at.written.get()
        await at.venue.send({"n": 1, "answer": {"id": "late"}}, {"n": 2, "answer": {"id": "b"}})
        assert await again == RequestAccepted("b")
        assert at.written.empty()
        assert not at.venue.sent


async def test_lost_connection_makes_pending_requests_unknown():
    async with place() as at:
        calls = [at.start(), at.start()]
        for _ in calls:
            await at.written.get()
        await at.venue.send({"n": 1, "answer": {"id": "a"}})
        assert await calls[0] == RequestAccepted("a")
        await at.venue.disconnect()
        receipt = await calls[1]
        assert isinstance(receipt, OutcomeUnknown)
        assert "lost before the answer" in receipt.detail
        await at.socket.ready.wait()
        last = at.start()
        assert (await at.written.get())["n"] == 3
        await at.venue.send({"n": 2, "answer": {"id": "late"}}, {"n": 3, "answer": {"id": "c"}})
        assert await last == RequestAccepted("c")
        assert not at.venue.sent


async def test_requests_go_by_rest_while_the_socket_is_not_open():
    async with place(is_begun=False) as at:
        assert await at.send() == RequestAccepted("by rest")
        at.socket.start()
        await at.socket.ready.wait()
        called = at.start()
        await at.written.get()
        await at.venue.send({"n": 1, "answer": {"id": "a"}})
        assert await called == RequestAccepted("a")
        await at.venue.disconnect()
        await at.until_shut()
        assert await at.send() == RequestAccepted("by rest")
        assert len(at.venue.sent) == 2


async def test_request_without_operation_goes_by_rest():
    async with place() as at:
        assert await at.send(OrderApiRequest("privatePostOrder")) == RequestAccepted("by rest")
        assert at.written.empty()


async def test_socket_parameters_replace_those_of_rest():
    async with place() as at:
        called = at.start(OrderApiRequest("privatePostOrder", {"a": "1"}, "", "place", {"b": "2"}))
        assert (await at.written.get())["params"] == {"b": "2"}
        await at.venue.send({"n": 1, "answer": {"id": "a"}})
        assert await called == RequestAccepted("a")


@pytest.mark.parametrize(
    ("answer", "status", "expected"),
    [
        ({"code": -1, "msg": "small"}, 400, RequestRejected(pb.REJECT_REASON_SIZE, "-1 small")),
        ({"code": -1, "msg": "small"}, 200, RequestRejected(pb.REJECT_REASON_SIZE, "-1 small")),
        ({"code": -2, "msg": "timeout"}, 200, OutcomeUnknown("-2 timeout")),
        # Not in the table: ccxt's class of the code counts for nothing.
        ({"code": -2010, "msg": "Account has insufficient balance for requested action."}, 400,
         OutcomeUnknown("-2010 Account has insufficient balance for requested action.")),
        ({"code": -77, "msg": "what is that"}, 500, OutcomeUnknown("HTTP 500 -77 what is that")),
        ({}, 500, OutcomeUnknown("HTTP 500 {}")),
        ({"no": "id"}, 200, OutcomeUnknown("the answer cannot be read: KeyError('id')")),
    ],
)  # fmt: skip
async def test_answer_means_the_same_as_over_rest(answer, status, expected):
    async with place() as at:
        called = at.start()
        await at.written.get()
        await at.venue.send({"n": 1, "answer": answer, "status": status})
        assert await called == expected


async def test_unencodable_request_is_rejected_and_unreadable_message_ignored(monkeypatch):
    async with place() as at:
        called = at.start()
        await at.written.get()
        await at.venue.send("[1]", "pong", '{"n":', {"who": "knows"}, {"n": 1, "answer": {"id": 5}})
        assert await called == RequestAccepted("5")
        nonsense = OrderApiRequest("privatePostOrder", {"size": {1, 2}}, operation="place")
        receipt = await at.send(nonsense)
        assert isinstance(receipt, RequestRejected)
        assert receipt.detail.startswith("not sent")
        assert at.written.empty()
        assert not at.venue.sent


async def test_nothing_is_sent_before_login():
    async with place(signs_in=True) as at:
        assert (await at.written.get())["op"] == "sign in"
        assert await at.send() == RequestAccepted("by rest")
        await at.venue.send({"say": "entered"})
        await at.socket.ready.wait()
        called = at.start()
        assert (await at.written.get())["op"] == "place"
        await at.venue.send({"n": 1, "answer": {"id": "a"}})
        assert await called == RequestAccepted("a")
        await at.venue.disconnect()
        await at.until_shut()
        assert await at.send() == RequestAccepted("by rest")
        assert (await at.written.get())["op"] == "sign in"
        assert not at.socket.ready.is_set()


class StandingClock(SystemClock):
    """Sleeps for as long as the test wants, and says for how long it was to be."""

    def __init__(self) -> None:
        self.slept: asyncio.Queue[float] = asyncio.Queue()
        self.gone = asyncio.Semaphore(0)

    async def sleep(self, seconds: float) -> None:
        if seconds < 5:
            await asyncio.sleep(0)
        elif seconds == order_socket.SILENCE_S / 4:
            await asyncio.Event().wait()
        else:
            self.slept.put_nowait(seconds)
            await self.gone.acquire()


async def test_login_is_retried_late_after_a_rejected_key():
    clock = StandingClock()
    async with place(signs_in=True, clock=clock) as at:
        assert (await at.written.get())["op"] == "sign in"
        await at.venue.send({"say": "denied"})
        while await clock.slept.get() != order_socket.LOGIN_RETRY_S:
            pass
        assert at.written.empty()
        assert await at.send() == RequestAccepted("by rest")
        while at.written.empty():
            clock.gone.release()
            await asyncio.sleep(0.001)
        await at.venue.send({"say": "entered"})
        await at.socket.ready.wait()


async def test_login_without_answer_is_repeated(monkeypatch):
    monkeypatch.setattr(order_socket, "TIMEOUT_S", 0.05)
    async with place(signs_in=True) as at:
        for _ in range(2):
            assert (await at.written.get())["op"] == "sign in"


async def test_retired_connection_takes_answers_only():
    async with place() as at:
        called = at.start()
        await at.written.get()
        await at.venue.send({"say": "ended"})
        await at.until_shut()
        assert await at.send() == RequestAccepted("by rest")
        await at.venue.send({"n": 1, "answer": {"id": "a"}})
        assert await called == RequestAccepted("a")
        await at.socket.ready.wait()
        assert at.venue.received.count("/orders") == 2


async def test_old_connection_is_replaced_before_the_venue_ends_it(monkeypatch):
    monkeypatch.setattr(order_socket, "LIFETIME_S", 2 * order_socket.PING_S)
    clock = StandingClock()
    async with place(clock=clock) as at:
        for _ in range(2):
            assert at.venue.received.count("/orders") == 1
            assert await clock.slept.get() == order_socket.PING_S
            clock.gone.release()
        await at.until_shut()
        await at.socket.ready.wait()
        assert at.venue.received.count("/orders") == 2


async def test_requests_wait_for_their_turn_and_a_rate_limit_suspends_the_budget():
    budget = RequestBudget("binance", 100, SystemClock(), concurrent_max=2)
    async with place(budget=budget) as at:
        first, second = at.start(), at.start()
        assert (await at.written.get())["n"] == 1
        cancel = OrderApiRequest("privateDeleteOrder", {}, operation="cancel")
        urgent = at.start(cancel, Priority.CANCEL)
        assert (await at.written.get())["op"] == "cancel"
        answer = {"code": -3, "msg": "slow down"}
        await at.venue.send({"n": 1, "answer": answer, "status": 429, "wait": 7})
        for rejected in (await first, await second):
            assert isinstance(rejected, RequestRejected)
            assert rejected.reason == pb.REJECT_REASON_RATE_LIMIT
        assert 6 < budget.suspended_s(Scope.ORDER_ENTRY) <= 7
        await at.venue.send({"n": 2, "answer": {"id": "a"}})
        assert await urgent == RequestAccepted("a")
        assert isinstance(await at.send(), RequestRejected)
        assert at.written.empty()
        assert not at.venue.sent


async def test_request_whose_socket_is_lost_while_it_waits_goes_by_rest():
    budget = RequestBudget("binance", 1000, SystemClock(), concurrent_max=2)
    async with place(budget=budget) as at:
        first, second = at.start(), at.start()
        await at.written.get()
        await at.venue.disconnect()
        assert isinstance(await first, OutcomeUnknown)
        assert await second == RequestAccepted("by rest")
        assert len(at.venue.sent) == 1


async def test_cancelled_caller_leaves_no_pending_request():
    async with place() as at:
        called = at.start()
        await at.written.get()
        called.cancel()
        await asyncio.gather(called, return_exceptions=True)
        again = at.start()
        await at.written.get()
        await at.venue.send({"n": 1, "answer": {"id": "late"}}, {"n": 2, "answer": {"id": "b"}})
        assert await again == RequestAccepted("b")
        assert not at.socket._pending


async def test_pending_request_is_unknown_when_the_client_closes():
    async with place() as at:
        called = at.start()
        await at.written.get()
        await at.socket.close()
        assert isinstance(await called, OutcomeUnknown)


@pytest.mark.parametrize("priority", [Priority.CANCEL, Priority.PROTECT])
async def test_pending_requests_are_limited_but_for_cancels_and_protective_orders(
    monkeypatch, priority
):
    monkeypatch.setattr(order_socket, "PENDING_MAX", 1)
    async with place() as at:
        called = at.start()
        await at.written.get()
        receipt = await at.send()
        assert isinstance(receipt, RequestRejected)
        assert receipt.reason == pb.REJECT_REASON_RATE_LIMIT
        urgent = at.start(priority=priority)
        await at.written.get()
        await at.venue.send({"n": 1, "answer": {"id": "a"}}, {"n": 2, "answer": {"id": "b"}})
        assert await called == RequestAccepted("a")
        assert await urgent == RequestAccepted("b")
