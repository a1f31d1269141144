"""What goes wrong with calls that were carried out, and with the events of an account."""

import asyncio

import aiohttp
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType

from kit.simulator.dialect import (
    Channel,
    ExchangeStream,
    MarketView,
    RestRequest,
    RestResponse,
    WebsocketSession,
)
from kit.simulator.tests.fakes import FakeExchange
from kit.simulator.tests.running import Client, running, text_of
from tests.support.waiting import WAIT_SECONDS_MAX

ACCOUNT = ExchangeStream("account", Channel.OTHER, "")


class Trading(FakeExchange):
    """ "buy" is acknowledged and filled at once; both ways count."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = {500: b"inside"}
        self.bought = 0
        self.sessions: list[WebsocketSession] = []

    async def receive(
        self, session: WebsocketSession, text: str, market_view: MarketView
    ) -> list[bytes]:
        if session not in self.sessions:
            self.sessions.append(session)
        if text != "buy":
            return await super().receive(session, text, market_view)
        session.report(ACCOUNT, self._fill())
        await asyncio.sleep(0)
        return [b"ack"]

    async def answer(self, request: RestRequest, market_view: MarketView) -> RestResponse:
        if request.path == "/buy":
            filled = self._fill()
            for session in self.sessions:
                session.report(ACCOUNT, filled)
        return RestResponse(str(self.bought).encode())

    def path_of(self, text: str) -> str:
        return "order.buy" if text == "buy" else ""

    def failure_of(self, text: str) -> bytes:
        return b"failed " + text.encode()

    def _fill(self) -> bytes:
        self.bought += 1
        return b"fill %d" % self.bought


async def connected(client: Client) -> ClientWebSocketResponse:
    websocket = await client.session.ws_connect(client.base + "/fake/ws")
    await websocket.send_str("book/A")
    assert await text_of(websocket) == "BOOK/A"
    return websocket


async def texts(websocket: ClientWebSocketResponse, count: int) -> list[str]:
    return [await text_of(websocket) for _ in range(count)]


async def test_account_events_follow_the_answer_unless_a_fault_reorders_them():
    async with running(exchange=Trading) as client:
        websocket = await connected(client)
        await websocket.send_str("buy")
        assert await texts(websocket, 2) == ["ack", "fill 1"]
        assert await client.fault("fill_before_ack") == 200
        await websocket.send_str("buy")
        assert await texts(websocket, 2) == ["fill 2", "ack"]
        await websocket.send_str("buy")
        assert await texts(websocket, 2) == ["ack", "fill 3"]


@pytest.mark.parametrize(
    ("fault", "heard"),
    [
        ("drop", ["fill 2"]),
        ("duplicate", ["fill 1", "fill 1", "fill 2"]),
        ("reorder", ["fill 2", "fill 1"]),
    ],
)
async def test_faults_act_on_account_events(fault: str, heard: list[str]):
    async with running(exchange=Trading) as client:
        websocket, other = await connected(client), await client.subscribe("status/all")
        assert await client.fault(fault, channel="other") == 200
        for _ in range(2):
            await client.get("/fake/buy")
        assert await texts(websocket, len(heard)) == heard
        await websocket.send_str("book/B")
        assert await text_of(websocket) == "BOOK/B"
        assert not other.closed


@pytest.mark.parametrize(("fault", "code"), [("disconnect", 1001), ("reset", 1006)])
async def test_only_the_hit_connection_ends(fault: str, code: int):
    async with running(exchange=Trading) as client:
        other = await client.subscribe("status/all")
        websocket = await connected(client)
        assert await client.fault(fault, channel="other") == 200
        await websocket.send_str("buy")
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            async for message in websocket:
                assert message.type is WSMsgType.TEXT
        assert websocket.close_code == code
        await text_of(other)
        assert await client.get("/fake/count") == (200, b"1")


async def test_a_call_is_carried_out_and_its_answer_lost():
    async with running(exchange=Trading) as client:
        assert await client.fault("answer_lost", path="buy") == 200
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.session.post(client.base + "/fake/buy")
        assert await client.get("/fake/count") == (200, b"1")
        assert await client.get("/fake/buy") == (200, b"2")


async def test_a_call_is_carried_out_and_answered_with_an_error_or_late():
    async with running(exchange=Trading) as client:
        assert await client.fault("answer_500", path="buy") == 200
        assert await client.get("/fake/buy") == (500, b"inside")
        assert await client.fault("answer_delay", path="buy", seconds=0.2) == 200
        late = asyncio.create_task(client.get("/fake/buy"))
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while await client.get("/fake/count") != (200, b"2"):
                await asyncio.sleep(0)
        assert not late.done()
        assert await late == (200, b"2")


async def test_orders_over_a_websocket_lose_their_answers_too():
    async with running(exchange=Trading) as client:
        websocket = await connected(client)
        assert await client.fault("answer_500") == 200
        await websocket.send_str("buy")
        assert await texts(websocket, 2) == ["ack", "fill 1"]
        assert await client.get("/fake/count") == (500, b"inside")
        assert await client.fault("answer_500", path="order.") == 200
        await websocket.send_str("buy")
        assert await texts(websocket, 2) == ["failed buy", "fill 2"]
        assert await client.fault("answer_delay", path="order.", seconds=0.05) == 200
        await websocket.send_str("buy")
        assert await texts(websocket, 2) == ["fill 3", "ack"]
        assert await client.fault("answer_lost", path="order.") == 200
        await websocket.send_str("buy")
        assert (await websocket.receive()).type in (WSMsgType.CLOSED, WSMsgType.ERROR)
        assert await client.get("/fake/count") == (200, b"4")
