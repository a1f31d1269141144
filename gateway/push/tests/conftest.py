"""The websocket on a free port, with feeds of the tests in place of other processes."""

import asyncio
from contextlib import AsyncExitStack

import aiohttp
import pytest

from gateway.push.connection import ConnectionTerms
from gateway.push.metrics import PushMetrics
from gateway.push.server import PushServer
from gateway.push.settings import PushSettings
from gateway.push.topics import Topics
from gateway.push.updates import Update
from gateway.tests.conftest import free_ports
from kit.base.access import authority, tokens
from kit.base.access.call_guard import CallGuard
from kit.base.access.roles import Role
from kit.base.access.tokens import MeshNames, TokenTerms, TokenVerifier
from kit.base.access.trust import TrustedKeys
from kit.base.clock import SystemClock
from kit.base.telemetry import Meter
from tests.support.waiting import WAIT_SECONDS_MAX

LOOPBACK = "127.0.0.1"
NAMES = MeshNames("local")


def quote(number: int, symbol: str = "BTCUSDT", text: str = "") -> Update:
    """One quote at a position."""
    return Update([{"symbol": symbol, "bid_price": f"{number}", "text": text}], symbol, (1, number))


class FakeFeed:
    """Yields what the test puts in, after a position if one is asked for."""

    def __init__(self, key, past):
        self.key = key
        self.asked_after = []
        self.snapshot_update = None
        self._past = past
        self._waiting = asyncio.Queue()

    async def updates(self, after):
        self.asked_after.append(after)
        if after is not None:
            yield [update for update in self._past if update.position > after]
        while True:
            update = await self._waiting.get()
            if isinstance(update, Exception):
                raise update
            yield [update]

    async def snapshot(self):
        return self.snapshot_update

    def put(self, update):
        self._waiting.put_nowait(update)


class Feeds:
    """The feeds that the process has opened, by topic."""

    def __init__(self):
        self.opened = []
        self.past = []

    def open(self, key):
        feed = FakeFeed(key, self.past)
        self.opened.append(feed)
        return feed


class Websockets:
    """One server, and what it needs."""

    def __init__(self, folder, settings):
        self.clock = SystemClock()
        self.settings = settings
        self._authority = authority.Authority(folder, self.clock)
        verifier = TokenVerifier(NAMES, self.clock)
        self.guard = CallGuard(verifier, self.clock, required=True, streams_max=4)
        self.trust()
        self.feeds = Feeds()
        self.topics = Topics(self.feeds.open, settings, self.clock)
        terms = ConnectionTerms(self.topics, settings, PushMetrics(Meter("push")))
        self.server = PushServer(self.guard, terms, self.clock)
        self.url = f"http://{LOOPBACK}:{settings.http_port}/ws"

    def trust(self, revoked=()):
        keys = TrustedKeys(jwks=self._authority.jwks(), revoked_token_ids=frozenset(revoked))
        self.guard.trust(keys)

    def token(self, *roles, kind=""):
        """A token and its id."""
        terms = TokenTerms("tests", frozenset(roles), 3_600, kind=kind)
        return tokens.issue(terms, self._authority.signing, NAMES, self.clock)


@pytest.fixture
def settings():
    return {}


@pytest.fixture
async def websockets(tmp_path, settings):
    """The running server."""
    made = Websockets(tmp_path, PushSettings(http_port=free_ports(1)[0], **settings))
    running = [
        asyncio.create_task(made.server.run(LOOPBACK)),
        asyncio.create_task(made.guard.run()),
    ]
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not await listens(made.settings.http_port):
            assert not running[0].done()
    yield made
    for task in running:
        task.cancel()
    await made.topics.close()


@pytest.fixture
async def connect(websockets):
    """Opens websockets, which are closed at the end."""
    async with AsyncExitStack() as opened:

        async def connected(token=None, url=None, **options):
            shown = websockets.token(Role.VIEWER)[0] if token is None else token
            headers = {"authorization": f"Bearer {shown}"} if shown else {}
            headers |= options.pop("headers", {})
            client = await opened.enter_async_context(aiohttp.ClientSession())
            socket = await client.ws_connect(url or websockets.url, headers=headers, **options)
            opened.push_async_callback(socket.close)
            return socket

        yield connected


async def listens(port):
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        await asyncio.sleep(0.01)
        return False
    writer.close()
    return True


async def subscribe(socket, *subscriptions, request_id="1"):
    """Returns the topics."""
    message = {"type": "subscribe", "request_id": request_id, "subscriptions": list(subscriptions)}
    await socket.send_json(message)
    answer = await next_of(socket, "subscribed", "error")
    assert answer["type"] == "subscribed", answer
    assert answer["request_id"] == request_id
    return answer["topics"]


async def next_of(socket, *types):
    """The next message of one of these types."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            message = await socket.receive_json()
            if message["type"] in types:
                return message
