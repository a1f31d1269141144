"""Attacks on a running mesh: each is refused with the documented answer, and the feeds go on."""

import asyncio
import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import aiohttp
import grpc
import pytest
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.registry.v1 import registry_pb2, registry_pb2_grpc
from venuemesh.supervisor.v1 import supervisor_pb2, supervisor_pb2_grpc

from gateway.envoy_configuration import CONNECTIONS_MAX
from kit.base.access.roles import CALLER_ROLES, Role
from kit.base.rpc import STREAM_WRITER
from tests.integration.mesh import (
    CALL_SECONDS_MAX,
    ROOT,
    SYMBOL,
    VENUE,
    metadata,
    shown_channel,
)
from tests.integration.under_attack import UnderAttack, answers, attacking, code_of

pytestmark = pytest.mark.integration

CONNECTIONS = 10_000
"""Opened at once, by several programs: each may have as many descriptors as the system lets it."""
ATTACKERS = 4
LARGE_BYTES = 10 * 1024 * 1024
LEVELS = 1_000
DENIED = grpc.StatusCode.PERMISSION_DENIED
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED


@pytest.fixture(scope="module")
def attacked() -> Iterator[UnderAttack]:
    with attacking() as found:
        yield found


def foreign_binance() -> registry_pb2.RegisterRequest:
    """A process that says it is Binance, of an older epoch than the real one."""
    instance = registry_pb2.ServiceInstance(
        service_id=VENUE,
        kind="venue",
        name=VENUE,
        address="127.0.0.1:9",
        grpc_services=["venuemesh.marketdata.v1.MarketData"],
        epoch=1,
    )
    return registry_pb2.RegisterRequest(instance=instance)


def registers(address: str, token: str) -> grpc.StatusCode:
    with shown_channel(address, token) as channel:
        stub = registry_pb2_grpc.RegistryStub(channel)
        return code_of(lambda: stub.Register(foreign_binance(), timeout=CALL_SECONDS_MAX))


def unregisters(address: str, token: str) -> grpc.StatusCode:
    with shown_channel(address, token) as channel:
        stub = registry_pb2_grpc.RegistryStub(channel)
        request = registry_pb2.UnregisterRequest(service_id=VENUE)
        return code_of(lambda: stub.Unregister(request, timeout=CALL_SECONDS_MAX))


def test_nobody_registers_a_false_venue(attacked):
    gateway, registry = attacked.mesh.gateway, attacked.port("registry")
    for role in CALLER_ROLES:
        assert registers(gateway, attacked.token(role)) is DENIED, role
        assert registers(registry, attacked.token(role)) is DENIED, role
    assert registers(gateway, attacked.of_process(VENUE, "venue")) is UNAUTHENTICATED
    for other in (("kraken", "venue"), ("ingest", "ingest"), (VENUE, "bridge")):
        assert registers(registry, attacked.of_process(*other)) is DENIED, other
    with grpc.insecure_channel(registry) as channel:
        stub = registry_pb2_grpc.RegistryStub(channel)
        assert code_of(lambda: stub.Register(foreign_binance())) is UNAUTHENTICATED


def test_nobody_says_goodbye_for_another(attacked):
    gateway, registry = attacked.mesh.gateway, attacked.port("registry")
    assert unregisters(gateway, attacked.token(Role.ADMIN)) is DENIED
    assert unregisters(registry, attacked.token(Role.ADMIN)) is DENIED
    assert unregisters(registry, attacked.of_process("bridge", "bridge")) is DENIED


def test_only_the_registry_reaches_the_supervisor(attacked):
    request = supervisor_pb2.StopVenueRequest(venue=VENUE)
    for address in (attacked.mesh.gateway, attacked.port("supervisor")):
        with shown_channel(address, attacked.token(Role.ADMIN)) as channel:
            stub = supervisor_pb2_grpc.SupervisorStub(channel)
            code = code_of(lambda stub=stub: stub.StopVenue(request, timeout=CALL_SECONDS_MAX))
            assert code is not grpc.StatusCode.OK
    with shown_channel(attacked.port("supervisor"), attacked.of_process(VENUE, "venue")) as channel:
        stub = supervisor_pb2_grpc.SupervisorStub(channel)
        assert code_of(lambda: stub.StopVenue(request, timeout=CALL_SECONDS_MAX)) is DENIED


def test_only_ingest_writes_the_streams(attacked):
    request = market_data_pb2.SubscribeRequest(
        venue=VENUE, channels=[types_pb2.CHANNEL_TRADES], whole=True
    )
    for token in (attacked.token(Role.ADMIN), attacked.of_process("bridge", "bridge")):
        with shown_channel(attacked.port(VENUE), token) as channel:
            stub = market_data_pb2_grpc.MarketDataStub(channel)
            call = stub.Subscribe(request, metadata=[STREAM_WRITER], timeout=CALL_SECONDS_MAX)
            assert code_of(lambda call=call: next(call)) is DENIED


def drains(address: str, token: str) -> grpc.StatusCode:
    with shown_channel(address, token) as channel:
        stub = admin_pb2_grpc.AdminStub(channel)
        request = admin_pb2.DrainRequest(service_id=VENUE)
        shown = [("venuemesh-service", VENUE)]
        return code_of(lambda: stub.Drain(request, metadata=shown, timeout=CALL_SECONDS_MAX))


def test_a_token_that_does_not_count_drains_nothing(attacked):
    damaged = attacked.token(Role.ADMIN)[:-4] + "AAAA"
    other_mesh = attacked.token(Role.ADMIN, mesh_id="other")
    for address in (attacked.mesh.gateway, attacked.port(VENUE)):
        for role in (Role.VIEWER, Role.TRADER):
            assert drains(address, attacked.token(role)) is DENIED
        for token in ("", "garbage", damaged, other_mesh, attacked.expired()):
            assert drains(address, token) is UNAUTHENTICATED, token


DRAIN = f"/v1/services/{VENUE}:drain"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
    ids=str,
)
def test_a_foreign_page_drains_nothing(attacked, headers):
    status, _text = answers(attacked, DRAIN, {}, **headers)
    assert status == 403
    if "Host" not in headers:
        # Nor does it spend the venue's budget by reading.
        assert answers(attacked, f"/v1/venues/{VENUE}/instruments", **headers)[0] == 403


def test_nobody_orders_faults_of_the_simulator(attacked):
    url = f"http://{attacked.port('simulator')}/faults"
    order = json.dumps({"venue": VENUE, "fault": "disconnect", "channel": "trades"}).encode()
    shown = {
        "": 401,
        attacked.token(Role.TRADER): 403,
        attacked.of_process("bridge", "bridge"): 403,
    }
    for token, status in shown.items():
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(url, order, headers), timeout=30)
        assert refused.value.code == status
    assert attacked.mesh.get("/faults", port="simulator")[1]["faults"] == []


def test_a_large_or_deep_body_is_refused(attacked):
    for body in (b'{"level":"' + b"x" * LARGE_BYTES + b'"}', b"[" * LEVELS + b"]" * LEVELS):
        status, text = answers(attacked, f"/v1/services/{VENUE}:setLogLevel", body)
        assert status in (400, 413)
        assert "Traceback" not in text
    status, text = answers(attacked, f"/v1/services/{VENUE}:setLogLevel", {"unknown": 1})
    assert status == 400


def test_large_headers_are_refused(attacked):
    status, text = answers(attacked, "/v1/services", token="x" * 70_000)
    assert status in (401, 431)
    assert "Traceback" not in text


@contextmanager
def many_connections(attacked: UnderAttack) -> Iterator[list[subprocess.Popen]]:
    """Programs that hold connections to the gateway, each from an address of its own."""
    port = str(attacked.mesh.port("gateway"))
    with ExitStack() as ending:
        programs = []
        for number in range(ATTACKERS):
            source, count = f"127.0.1.{number + 1}", str(CONNECTIONS // ATTACKERS)
            program = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.many_connections",
                 "127.0.0.1", port, source, count],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            ending.callback(program.wait)
            ending.callback(program.kill)
            programs.append(program)
        yield programs


def closed(programs: list[subprocess.Popen]) -> int:
    """Connections that the gateway has closed."""
    for program in programs:
        program.stdin.write("?\n")
        program.stdin.flush()
    return sum(int(program.stdout.readline()) for program in programs)


def test_many_silent_connections_hold_up_nobody(attacked):
    with many_connections(attacked) as programs:
        assert sum(int(program.stdout.readline()) for program in programs) == CONNECTIONS
        # The gateway has its limit, and closes what is beyond.
        attacked.mesh.wait_until(
            lambda: closed(programs) >= CONNECTIONS - CONNECTIONS_MAX, "its limit"
        )
        before = max(attacked.live.counts)
        attacked.mesh.wait_until(
            lambda: max(attacked.live.counts) > before, "trades beside silent connections"
        )
        # It also closes those that say nothing, and then others can connect.
        attacked.mesh.wait_until(
            lambda: answers(attacked, "/v1/services")[0] == 200, "a call beside them"
        )
        attacked.mesh.wait_until(lambda: closed(programs) == CONNECTIONS, "the end of all")


def test_envoys_admin_is_not_behind_the_gateway(attacked):
    for path in ("/config_dump", "/quitquitquit", "/logging"):
        # Studio's page, as for any path.
        assert answers(attacked, path)[1].lower().startswith("<!doctype html>")


def test_a_revoked_token_ends_its_streams(attacked):
    status, text = answers(attacked, "/v1/tokens", {"caller": "leaver", "roles": ["ROLE_VIEWER"]})
    assert status == 200, text
    issued = json.loads(text)
    with shown_channel(attacked.mesh.gateway, issued["token"]) as channel:
        stub = market_data_pb2_grpc.MarketDataStub(channel)
        request = market_data_pb2.SubscribeRequest(
            venue=VENUE, symbols=[SYMBOL], channels=[types_pb2.CHANNEL_TRADES]
        )
        call = stub.Subscribe(request, metadata=metadata(), timeout=60)
        next(call)
        path = f"/v1/tokens/{issued['issued']['token_id']}:revoke"
        assert answers(attacked, path, {})[0] == 200
        # Within its deadline of a minute.
        assert code_of(lambda: list(call)) is UNAUTHENTICATED
    # Each process learns it from its own heartbeat.
    attacked.mesh.wait_until(
        lambda: answers(attacked, "/v1/services", token=issued["token"])[0] == 401,
        "the gateway refuses the token",
    )


DOORS = ("/mcp", "/ws")
"""Paths that processes serve over HTTP themselves, behind the same gateway."""
PROTOCOL_ERRORS = {-32600, -32602, -32700}
"""No request, wrong arguments, no JSON."""
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
ACCEPT = "application/json, text/event-stream"
ENDED = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


def at_door(attacked, path, body=PING, **headers):
    """Status and text of a call; of the websocket, of what a client asks for before it."""
    return answers(attacked, path, None if path == "/ws" else body, **{"Accept": ACCEPT} | headers)


@pytest.mark.parametrize("path", DOORS)
def test_a_token_that_does_not_count_opens_no_door(attacked, path):
    damaged = attacked.token(Role.ADMIN)[:-4] + "AAAA"
    shown = {
        "": "TOKEN_MISSING",
        damaged: "TOKEN_INVALID",
        attacked.token(Role.ADMIN, mesh_id="other"): "TOKEN_INVALID",
        attacked.of_process("bridge", "bridge"): "TOKEN_INVALID",
        attacked.expired(): "TOKEN_EXPIRED",
    }
    for token, reason in shown.items():
        status, text = at_door(attacked, path, token=token)
        assert status == 401, (token, text)
        assert json.loads(text)["details"][0]["reason"] == reason


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Sec_Fetch_Site": "same-site"}],
    ids=str,
)
def test_a_foreign_page_opens_no_door(attacked, path, headers):
    assert at_door(attacked, path, **headers)[0] == 403


def test_large_and_deep_arguments_of_a_model_are_refused(attacked):
    def call(query):
        params = {"name": "find_tools", "arguments": {"query": query}}
        return PING | {"method": "tools/call", "params": params}

    levels = "[" * LEVELS + "]" * LEVELS
    deep = json.dumps(call("DEEP")).replace('"DEEP"', levels).encode()
    for body in (call("x" * LARGE_BYTES), deep, levels.encode(), b"{"):
        status, text = at_door(attacked, "/mcp", body)
        assert json.loads(text)["error"]["code"] in PROTOCOL_ERRORS, (status, text[:200])
        assert "Traceback" not in text
    assert at_door(attacked, "/mcp")[0] == 200


@pytest.mark.parametrize("path", DOORS)
def test_a_request_that_never_ends_is_ended(attacked, path):
    with socket.create_connection(("127.0.0.1", attacked.mesh.port("gateway"))) as slow:
        slow.settimeout(1)
        slow.sendall(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nx-slow: ".encode())

        def is_ended():
            try:
                # One more byte of a header, as long as somebody listens.
                slow.sendall(b"a")
                received = slow.recv(4_096)
                return received == b"" or received.startswith(b"HTTP/1.1 408")
            except TimeoutError:
                return False
            except OSError:
                return True

        attacked.mesh.wait_until(is_ended, "the gateway ends it")
    assert at_door(attacked, "/mcp")[0] == 200


def websocket(attacked, token, talk):
    """What a client gets that talks over a websocket."""

    async def run():
        headers = {"authorization": f"Bearer {token}"}
        async with (
            asyncio.timeout(CALL_SECONDS_MAX * 2),
            aiohttp.ClientSession(headers=headers) as client,
            client.ws_connect(f"http://{attacked.mesh.gateway}/ws") as opened,
        ):
            assert (await opened.receive_json())["type"] == "welcome"
            return await talk(opened)

    return asyncio.run(run())


def test_large_and_deep_messages_of_a_websocket_are_refused(attacked):
    async def large(opened):
        try:
            await opened.send_str("x" * LARGE_BYTES)
        except ConnectionError:
            return aiohttp.WSMsgType.CLOSED
        while (message := await opened.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
        return message.type

    async def deep(opened):
        await opened.send_str("[" * LEVELS + "]" * LEVELS)
        first = await opened.receive_json()
        await opened.send_json({"type": "unsubscribe", "topics": ["none"]})
        return [
            one["error"]["details"][0]["reason"] for one in (first, await opened.receive_json())
        ]

    token = attacked.token(Role.VIEWER)
    # The connection may end while the message is still sent.
    assert websocket(attacked, token, large) in ENDED
    assert websocket(attacked, token, deep) == ["BAD_REQUEST", "BAD_REQUEST"]


def test_a_revoked_token_ends_its_websocket(attacked):
    status, text = answers(attacked, "/v1/tokens", {"caller": "leaver", "roles": ["ROLE_VIEWER"]})
    assert status == 200, text
    issued = json.loads(text)

    async def until_ended(opened):
        path = f"/v1/tokens/{issued['issued']['token_id']}:revoke"
        status, _ = await asyncio.to_thread(answers, attacked, path, {})
        assert status == 200
        while (message := await opened.receive()).type is aiohttp.WSMsgType.TEXT:
            last = message.json()
        return last["error"]["details"][0]["reason"]

    # Within a minute.
    assert websocket(attacked, issued["token"], until_ended) == "TOKEN_REVOKED"
    attacked.mesh.wait_until(
        lambda: at_door(attacked, "/mcp", token=issued["token"])[0] == 401, "a model is refused"
    )
