"""Websockets of real clients: who may connect, subscriptions, and what bad ones are told."""

import asyncio

import aiohttp
import msgspec
import pytest
from aiohttp import WSMsgType

from gateway.push.channels import CHANNELS
from gateway.push.tests.conftest import next_of, quote, subscribe
from kit.base.access.roles import Role
from kit.base.errors import VenueUnavailable
from tests.support.waiting import WAIT_SECONDS_MAX, until

QUOTES = {"channel": "quotes", "venue": "binance", "symbol": "BTCUSDT", "delivery": "lossless"}
LOGS = {"channel": "logs", "service": "recorder", "level": "warning"}
NEWEST = {"channel": "quotes", "venue": "binance", "delivery": "conflated"}


def reason_of(error):
    return error["error"]["details"][0]["reason"]


async def refusal(websockets, **options):
    async with aiohttp.ClientSession() as client:
        url = options.pop("url", websockets.url)
        headers = {"connection": "upgrade", "upgrade": "websocket", **options["headers"]}
        headers |= {"sec-websocket-version": "13", "sec-websocket-key": "MDEyMzQ1Njc4OWFiY2RlZg=="}
        async with client.get(url, headers=headers) as answer:
            return answer.status, (await answer.json())["details"][0]["reason"]


async def test_who_has_no_token_or_a_wrong_one_is_refused(websockets):
    wrong = {"authorization": "Bearer nonsense"}
    process = {"authorization": f"Bearer {websockets.token(Role.PROCESS, kind='bars')[0]}"}
    assert await refusal(websockets, headers={}) == (401, "TOKEN_MISSING")
    assert await refusal(websockets, headers=wrong) == (401, "TOKEN_INVALID")
    assert await refusal(websockets, headers=process) == (401, "TOKEN_INVALID")


async def test_a_browser_shows_its_cookie_and_its_page(websockets, connect):
    cookie = {"cookie": f"venuemesh_session_8081={websockets.token(Role.VIEWER)[0]}"}
    assert await refusal(websockets, headers=cookie) == (403, "FOREIGN_PAGE")
    socket = await connect(token="", headers=cookie | {"origin": "http://127.0.0.1:8081"})
    assert (await next_of(socket, "welcome"))["channels"] == list(CHANNELS)


async def test_unknown_paths_and_parameters_are_refused(websockets):
    headers = {"authorization": f"Bearer {websockets.token(Role.VIEWER)[0]}"}
    found = [
        await refusal(websockets, headers=headers, url=f"{websockets.url}{suffix}")
        for suffix in ("x", "?encoding=xml", "?token=x")
    ]
    assert found == [(404, "UNKNOWN_SERVICE"), (400, "BAD_REQUEST"), (400, "BAD_REQUEST")]


async def test_a_snapshot_comes_first_and_then_every_message_with_its_cursor(websockets, connect):
    first, second = await connect(), await connect()
    [topic] = await subscribe(first, QUOTES)
    assert (await next_of(first, "snapshot"))["rows"] == []
    websockets.feeds.opened[0].put(quote(1))
    assert (await next_of(first, "data"))["cursor"] == "1-1"
    assert await subscribe(second, QUOTES) == [topic]
    snapshot = await next_of(second, "snapshot")
    assert (snapshot["cursor"], snapshot["rows"][0]["bid_price"]) == ("1-1", "1")
    websockets.feeds.opened[0].put(quote(2))
    for socket in (first, second):
        message = await next_of(socket, "data")
        assert message == {
            "type": "data",
            "topic": topic,
            "cursor": "1-2",
            "rows": [{"symbol": "BTCUSDT", "bid_price": "2", "text": ""}],
        }
    assert len(websockets.feeds.opened) == 1


async def test_messagepack_says_the_same(websockets, connect):
    text = await connect()
    binary = await connect(url=f"{websockets.url}?encoding=msgpack")
    [topic] = await subscribe(text, QUOTES)
    request = {"type": "subscribe", "subscriptions": [QUOTES]}
    await binary.send_bytes(msgspec.msgpack.encode(request))
    received = []
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while len(received) < 3:
            message = await binary.receive()
            assert message.type is WSMsgType.BINARY
            received.append(msgspec.msgpack.decode(message.data))
    assert [one["type"] for one in received] == ["welcome", "subscribed", "snapshot"]
    websockets.feeds.opened[0].put(quote(1))
    assert msgspec.msgpack.decode(await binary.receive_bytes()) == await next_of(text, "data")
    assert received[1]["topics"] == [topic]


async def test_nothing_follows_after_unsubscribe(websockets, connect):
    socket = await connect()
    first, second = await subscribe(socket, QUOTES, NEWEST)
    await socket.send_json({"type": "unsubscribe", "topics": [first]})
    assert (await next_of(socket, "unsubscribed"))["topics"] == [first]
    for feed in websockets.feeds.opened:
        feed.put(quote(1))
    assert (await next_of(socket, "snapshot", "data"))["topic"] == second


@pytest.mark.parametrize(
    ("message", "field", "allowed"),
    [
        ("{", "", "JSON in text frames"),
        ('{"type": "dance"}', "type", "Invalid value 'dance'"),
        ('{"type": "subscribe", "subscriptions": []}', "subscriptions", "length >= 1"),
        ('{"type": "subscribe", "subscriptions": [{"channel": 7}]}', "channel", "`str`, got `int`"),
        (
            '{"type": "subscribe", "subscriptions": [{"channel": "quotes", "foo": 1}]}',
            "subscriptions[0]",
            "unknown field `foo`",
        ),
        (
            '{"type": "subscribe", "subscriptions": [{"channel": "quote", "venue": "binance"}]}',
            "channel",
            "one of quotes",
        ),
        ('{"type": "subscribe", "subscriptions": [{"channel": "quotes"}]}', "venue", "a text"),
        (
            '{"type": "subscribe", "subscriptions": [{"channel": "logs", "level": "loud"}]}',
            "level",
            "debug or info",
        ),
        ('{"type": "unsubscribe", "topics": ["x"]}', "topics", "a topic of this connection"),
    ],
)
async def test_a_bad_request_is_told_what_is_wrong(websockets, connect, message, field, allowed):
    socket = await connect()
    await socket.send_str(message)
    error = await next_of(socket, "error")
    metadata = error["error"]["details"][0]["metadata"]
    assert reason_of(error) == "BAD_REQUEST"
    assert metadata["field"].endswith(field)
    assert allowed in metadata["allowed"]
    assert await subscribe(socket, QUOTES)


async def test_all_subscriptions_of_a_request_begin_or_none(websockets, connect):
    socket = await connect()
    await socket.send_json({"type": "subscribe", "subscriptions": [QUOTES, {"channel": "x"}]})
    assert reason_of(await next_of(socket, "error")) == "BAD_REQUEST"
    await subscribe(socket, QUOTES)
    await socket.send_json({"type": "subscribe", "subscriptions": [NEWEST, QUOTES]})
    assert reason_of(await next_of(socket, "error")) == "BAD_REQUEST"
    await subscribe(socket, NEWEST)


async def test_a_channel_needs_the_roles_of_its_method(websockets, connect):
    viewer = await connect()
    await viewer.send_json({"type": "subscribe", "subscriptions": [LOGS]})
    assert reason_of(await next_of(viewer, "error")) == "ROLE_MISSING"
    operator = await connect(token=websockets.token(Role.OPERATOR)[0])
    assert await subscribe(operator, LOGS) == ["logs|recorder|level=warning|lossless"]


async def test_a_revoked_token_ends_its_connections_and_no_others(websockets, connect):
    token, token_id = websockets.token(Role.VIEWER)
    ended, other = await connect(token=token), await connect()
    for socket in (ended, other):
        await subscribe(socket, QUOTES)
    websockets.trust(revoked=[token_id])
    assert reason_of(await next_of(ended, "error")) == "TOKEN_REVOKED"
    assert (await ended.receive()).type is WSMsgType.CLOSE
    websockets.feeds.opened[0].put(quote(1))
    assert (await next_of(other, "data"))["cursor"] == "1-1"


async def test_a_token_has_a_number_of_connections(websockets, connect):
    token = websockets.token(Role.VIEWER)[0]
    sockets = [await connect(token=token) for _ in range(4)]
    for socket in sockets:
        await subscribe(socket, QUOTES)
    one_more = await connect(token=token)
    assert reason_of(await next_of(one_more, "error")) == "CALLER_LIMITED"


@pytest.mark.parametrize("settings", [{"message_bytes_max": 1_000}])
async def test_a_message_that_is_too_big_ends_the_connection_with_the_reason(websockets, connect):
    whole, parts = await connect(), await connect()
    await whole.send_str("x" * 2_000)
    closed = await closing(whole)
    assert closed.data == 1009
    assert "max allowed size" in closed.extra
    for first in (0x01, 0x00):
        raw(parts).write(bytes((first, 0xFE)) + (900).to_bytes(2) + bytes(4) + b" " * 900)
    assert (await closing(parts)).data == 1009


async def test_the_error_of_a_stream_ends_its_subscriptions(websockets, connect):
    socket = await connect()
    [topic] = await subscribe(socket, QUOTES)
    websockets.feeds.opened[0].put(quote(7))
    websockets.feeds.opened[0].put(VenueUnavailable("gone", venue="binance"))
    ended = await next_of(socket, "ended")
    assert (ended["topic"], ended["cursor"]) == (topic, "1-7")
    assert reason_of(ended) == "VENUE_UNAVAILABLE"
    # The next subscription begins a new stream.
    await subscribe(socket, QUOTES)
    assert len(websockets.feeds.opened) == 2


async def test_a_client_that_breaks_off_leaves_nothing(websockets, connect):
    socket, other = await connect(), await connect()
    await subscribe(socket, QUOTES)
    await subscribe(other, QUOTES)
    # In the middle of a message: its length says 100 bytes.
    raw(socket).write(b"\x81\xe4\x00\x00\x00\x00half")
    raw(socket).abort()
    await until(lambda: len(websockets.server) == 1)
    websockets.feeds.opened[0].put(quote(1))
    assert (await next_of(other, "data"))["cursor"] == "1-1"
    [running] = websockets.topics._shared.values()
    assert len(running.topic.readers) == 1


async def test_all_connections_end_when_the_process_stops(websockets, connect):
    socket = await connect()
    await subscribe(socket, QUOTES)
    websockets.server.drain()
    assert reason_of(await next_of(socket, "error")) == "DRAINING"
    assert (await closing(socket)).data == 1012


def raw(socket):
    """The connection below the websocket."""
    return socket._conn.transport


async def closing(socket):
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            message = await socket.receive()
            if message.type is WSMsgType.CLOSE:
                return message
