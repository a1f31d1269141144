"""The bridge, with a server that answers as a test says."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from kit.base.access import tokens
from kit.base.access.authority import FOLDER, Authority
from kit.base.access.local_tokens import command_token
from kit.base.access.roles import CALLER_ROLES
from kit.base.access.trust import TrustedKeys
from kit.base.clock import SystemClock
from ops.commands.mcp import token_source
from ops.gateway import Gateway
from ops.mcp.bridge import INTERNAL_ERROR, PARSE_ERROR, VERSION, Bridge
from tests.support.waiting import until

META = {"_meta": {VERSION: "2026-07-28"}}


class Server:
    """Records requests, and answers each with what ``answer`` returns."""

    def __init__(self, answer=None) -> None:
        self.requests = []
        self.arrived = asyncio.Event()
        self._answer = answer or (lambda message: {"jsonrpc": "2.0", "id": None, "result": {}})

    async def post(self, request):
        message = await request.json()
        self.requests.append(
            (message, {name.lower(): value for name, value in request.headers.items()})
        )
        self.arrived.set()
        answer = self._answer(message)
        if asyncio.iscoroutine(answer):
            answer = await answer
        if isinstance(answer, web.Response):
            return answer
        return web.json_response(answer)


@asynccontextmanager
async def served(server):
    application = web.Application()
    application.router.add_post("/mcp", server.post)
    async with TestServer(application) as running:
        yield str(running.make_url("")).rstrip("/")


async def bridged(server, *lines, token="secret", held=None):
    """The lines that the bridge writes for these."""
    written = []

    async def read():
        for line in lines:
            yield line if isinstance(line, bytes) else json.dumps(line).encode()
        if held is not None:
            await held(written)

    async with served(server) as url:
        await Bridge(url, lambda: token, lambda line: written.append(json.loads(line))).run(read())
    return written


def answered(count):
    async def wait(written):
        await until(lambda: len(written) >= count)

    return wait


def request(number, method, **params):
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


async def test_a_request_is_a_post_with_the_token_and_its_answer_a_line():
    server = Server()
    call = request(7, "tools/call", name="mesh_why", **META)
    written = await bridged(server, call, held=answered(1))
    assert written == [{"jsonrpc": "2.0", "id": 7, "result": {}}]
    ((message, headers),) = server.requests
    assert message == call
    assert headers["authorization"] == "Bearer secret"
    shown = [headers[name] for name in ("mcp-protocol-version", "mcp-method", "mcp-name")]
    assert shown == ["2026-07-28", "tools/call", "mesh_why"]


async def test_after_a_handshake_each_request_names_the_version_that_it_has_agreed():
    server = Server(
        lambda message: {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25"}}
    )
    await bridged(server, request(1, "initialize"), request(2, "tools/list"), held=answered(2))
    versions = [headers.get("mcp-protocol-version") for _, headers in server.requests]
    assert versions == [None, "2025-11-25"]


async def test_a_notification_has_no_answer():
    server = Server(lambda message: web.Response(status=202))

    async def arrived(written):
        await server.arrived.wait()

    notification = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert await bridged(server, notification, held=arrived) == []


async def test_a_line_that_is_no_message_is_an_error_and_the_next_is_served():
    server = Server()
    written = await bridged(server, b"{", b"[]", request(3, "ping"), held=answered(3))
    assert [line.get("error", {}).get("code") for line in written] == [
        PARSE_ERROR,
        PARSE_ERROR,
        None,
    ]


@pytest.mark.parametrize(
    ("response", "text"),
    [
        (
            web.json_response({"code": 16, "message": "the token has expired"}, status=401),
            "expired",
        ),
        (web.Response(status=502, text="<html>"), "HTTP status 502"),
    ],
)
async def test_an_answer_that_is_not_of_the_protocol_becomes_its_error(response, text):
    written = await bridged(Server(lambda message: response), request(1, "ping"), held=answered(1))
    assert written[0]["id"] == 1
    assert written[0]["error"]["code"] == INTERNAL_ERROR
    assert text in written[0]["error"]["message"]


async def test_a_gateway_that_is_away_becomes_an_error():
    written = []
    bridge = Bridge("http://127.0.0.1:1", str, lambda line: written.append(json.loads(line)))

    async def read():
        yield json.dumps(request(1, "ping")).encode()
        await until(lambda: written)

    await bridge.run(read())
    assert "does not answer" in written[0]["error"]["message"]


async def test_a_cancelled_request_is_dropped():
    ended = asyncio.Event()

    async def never(message):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    server = Server(lambda message: never(message) if message["id"] == 1 else {"jsonrpc": "2.0"})
    cancel = {"method": "notifications/cancelled", "params": {"requestId": 1}}
    written = []

    async def read():
        yield json.dumps(request(1, "ping")).encode()
        await server.arrived.wait()
        yield json.dumps(cancel).encode()
        yield json.dumps(request(2, "ping")).encode()
        await until(lambda: written)

    async with served(server) as url:
        await Bridge(url, str, lambda line: written.append(json.loads(line))).run(read())
    assert [line["id"] for line in written] == [2]


def test_on_this_machine_a_model_only_reads(tmp_path):
    names = tokens.MeshNames("local")
    authority = Authority(tmp_path / FOLDER, SystemClock())
    of_user = command_token(tmp_path, "local", CALLER_ROLES)
    state = type("State", (), {"mesh_id": "local"})()
    here = Gateway("http://h:1", "h:1", False, of_user, local=state, data=tmp_path)
    verifier = tokens.TokenVerifier(names, SystemClock())
    verifier.trust(TrustedKeys(jwks=authority.jwks()))
    source = token_source(here)
    caller = verifier.verify(source())
    assert (caller.roles, caller.is_model) == ({"viewer"}, True)
    # So that the user can confirm what it proposes.
    assert caller.name != verifier.verify(of_user).name
    assert source() == source()
    assert token_source(Gateway("http://h:1", "h:1", False, "given"))() == "given"
