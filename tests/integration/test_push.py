"""The websocket of the gateway: what it sends is what the mesh records, also across kill -9."""

import asyncio
import re
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest

from gateway.push.tests.conftest import next_of
from gateway.push.tests.test_examples import example
from kit.base.access.local_tokens import command_token
from kit.base.access.roles import Role
from tests.integration import recorded
from tests.integration.mesh import NO_TRADING, SYMBOL, VENUE, new_folder, running
from tests.integration.web import StudioAddress, open_page

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

TRADES = {"channel": "trades", "venue": VENUE, "symbol": SYMBOL, "delivery": "lossless"}
QUOTES = {"channel": "quotes", "venue": VENUE, "symbol": SYMBOL, "delivery": "conflated"}
TRADES_WANTED = 10
RECEIVE_SECONDS_MAX = 60.0
RETRY_SECONDS = 0.1
KILLED = "bars"


@pytest.fixture(scope="module")
def mesh():
    options = ("--world", "simulate", "--seed", "7", "--venues", VENUE, *NO_TRADING)
    with new_folder() as data, running(data, *options) as started:
        started.wait_until_running()
        started.wait_until_registered()
        yield started


def authorization(mesh, role):
    token = command_token(mesh.data, mesh.state()["mesh_id"], [role])
    return {"authorization": f"Bearer {token}"}


class Reader:
    """A client that remembers where it is."""

    def __init__(self, mesh):
        self.trade_ids = []
        self.quotes = []
        self.cursor = ""
        self.gaps = []
        self._url = f"http://{mesh.gateway}/ws"
        self._headers = authorization(mesh, Role.VIEWER)

    async def read(self, enough):
        """Read until there is enough, over as many connections as it takes."""
        async with (
            asyncio.timeout(RECEIVE_SECONDS_MAX),
            aiohttp.ClientSession(headers=self._headers) as client,
        ):
            while not enough():
                with suppress(aiohttp.ClientError):
                    await self._read(client, enough)
                await asyncio.sleep(RETRY_SECONDS)

    async def _read(self, client, enough):
        async with client.ws_connect(self._url) as socket:
            wanted = [{**TRADES, "cursor": self.cursor}, QUOTES]
            await socket.send_json({"type": "subscribe", "subscriptions": wanted})
            async for message in socket:
                self._take(message.json())
                if enough():
                    return

    def _take(self, message):
        assert message["type"] not in ("error", "ended"), message
        rows = message.get("rows", [])
        if message.get("topic", "").startswith("trades"):
            self.trade_ids += [int(row["trade_id"]) for row in rows]
            self.gaps += message.get("gaps", [])
            self.cursor = message["cursor"] or ""
        elif rows:
            self.quotes += rows


def test_trades_and_quotes_of_one_venue_come_through_the_gateway(mesh):
    reader = Reader(mesh)
    asyncio.run(
        reader.read(lambda: len(reader.trade_ids) >= TRADES_WANTED and len(reader.quotes) > 1)
    )
    assert_recorded(mesh, reader.trade_ids)
    assert {row["symbol"] for row in reader.quotes} == {SYMBOL}


def test_a_client_resumes_without_loss_after_kill_9(mesh):
    reader = Reader(mesh)
    asyncio.run(reader.read(lambda: len(reader.trade_ids) >= TRADES_WANTED))
    before = len(reader.trade_ids)
    mesh.kill("push")
    newest = recorded.last_trade(mesh).trade_id
    mesh.wait_until(lambda: recorded.last_trade(mesh).trade_id > newest, "trades go on")
    asyncio.run(reader.read(lambda: len(reader.trade_ids) >= before + TRADES_WANTED))
    assert reader.gaps == []
    assert_recorded(mesh, reader.trade_ids)


def test_logs_of_all_processes_go_on_when_one_is_killed(mesh):
    async def read():
        started = set()
        async with logs(mesh, Role.OPERATOR) as socket:
            while not started >= {KILLED, "push", VENUE}:
                rows = (await next_of(socket, "data"))["rows"]
                started |= {row["service_id"] for row in rows if row["event"] == "serving"}
            mesh.kill(KILLED)
            while True:
                for gap in (await next_of(socket, "data")).get("gaps", ()):
                    # Others may log more than is kept.
                    if gap["service_id"] == KILLED:
                        return gap["reason"]

    assert asyncio.run(read()) == "GAP_REASON_RESTART"
    mesh.wait_until_running()


def test_logs_are_for_operators(mesh):
    async def read():
        async with logs(mesh, Role.VIEWER) as socket:
            return (await next_of(socket, "error"))["error"]

    error = asyncio.run(read())
    assert error["details"][0]["reason"] == "ROLE_MISSING"
    assert "operator" in error["message"]


def test_the_example_for_a_page_prints_trades(mesh, browser):
    studio = StudioAddress(f"http://{mesh.gateway}/", mesh.token)
    with open_page(browser, studio) as page:
        printed = re.compile(r"[0-9.]+ [0-9.]+")
        with page.expect_console_message(lambda line: printed.fullmatch(line.text)):
            page.evaluate(f"() => {{ {example('js')} }}")


def test_without_a_token_the_gateway_refuses(mesh):
    status, answer = mesh.get("/ws", headers={"Authorization": ""})
    assert (status, answer["details"][0]["reason"]) == (401, "TOKEN_MISSING")


@asynccontextmanager
async def logs(mesh, role):
    """A websocket that has asked for the logs of all processes."""
    async with (
        asyncio.timeout(RECEIVE_SECONDS_MAX),
        aiohttp.ClientSession(headers=authorization(mesh, role)) as client,
        client.ws_connect(f"http://{mesh.gateway}/ws") as socket,
    ):
        await socket.send_json({"type": "subscribe", "subscriptions": [{"channel": "logs"}]})
        yield socket


def assert_recorded(mesh, trade_ids):
    """They are the trades that the mesh has recorded, each once and in order."""
    mesh.wait_until(lambda: recorded.last_trade(mesh).trade_id >= trade_ids[-1], "the last trade")
    trades = [trade.trade_id for trade in recorded.trades(mesh)]
    begin = trades.index(trade_ids[0])
    assert trade_ids == trades[begin : begin + len(trade_ids)]
