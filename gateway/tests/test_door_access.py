"""Tokens and roles at the door: every method for every role, through the real Envoy."""

import asyncio
import json
import time
from dataclasses import dataclass

import aiohttp
import grpc
import jwt
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from venuemesh.access.v1 import tokens_pb2, tokens_pb2_grpc
from venuemesh.registry.v1 import registry_pb2, registry_pb2_grpc
from venuemesh.tradeflow.v1 import trade_flow_pb2, trade_flow_pb2_grpc

from gateway import service_contracts
from gateway.service_contracts import PLACEHOLDER, RpcMethod
from gateway.tests.conftest import CALLS_PER_SECOND
from kit.base import rpc
from kit.base.access import roles
from kit.base.access.credentials import FixedToken
from kit.base.access.roles import CALLER_ROLES, Role, with_implied
from kit.base.errors import error_info, reason_of
from tests.support.waiting import WAIT_SECONDS_MAX

CONTRACTS = service_contracts.load().services
METHODS = [(contract, method) for contract in CONTRACTS for method in contract.methods]
PROCESS_ONLY = frozenset([Role.PROCESS])
REFUSALS = {"TOKEN_MISSING", "TOKEN_INVALID", "TOKEN_EXPIRED", "TOKEN_REVOKED", "ROLE_MISSING"}
LIST = "/venuemesh.registry.v1.Registry/ListServices"
LONG_AGO_S = -3_600


@dataclass(frozen=True, slots=True)
class Clients:
    """The clients of one caller."""

    channel: grpc.aio.Channel
    browser: aiohttp.ClientSession

    async def refusals(self) -> dict[str, str]:
        """The reasons why this caller may not list the services, by protocol."""
        async with self.browser.get("/v1/services") as response:
            rest = (await response.json())["details"][0]["reason"] if response.status != 200 else ""
        headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
        async with self.browser.post(LIST, data=bytes(5), headers=headers) as response:
            web = response.headers.get("grpc-status", "")
        return {"grpc": await refusal(self.channel, LIST), "rest": rest, "web": web}


@pytest.fixture
async def call_with(door):
    """Make the clients of a caller who shows this token, or none."""
    opened = []

    def make(token: str) -> Clients:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        channel = (
            rpc.channel(door.address, FixedToken(token))
            if token
            else grpc.aio.insecure_channel(door.address)
        )
        browser = aiohttp.ClientSession(door.url, headers=headers)
        opened.extend([channel, browser])
        return Clients(channel, browser)

    yield make
    for client in opened:
        await client.close()


@pytest.mark.parametrize("role", CALLER_ROLES)
async def test_each_role_may_call_its_methods_and_no_other(role, door, call_with):
    # Not one token for all calls, because of the rate of calls.
    clients, rest = call_with(door.token(role)), call_with(door.token(role))
    for contract, method in METHODS:
        allowed = not with_implied([role]).isdisjoint(method.roles)
        wanted = "" if allowed else "ROLE_MISSING"
        path = f"/{contract.name}/{method.name}"
        assert (path, await refusal(clients.channel, path)) == (path, wanted)
        if method.binding:
            assert (path, await rest_refusal(rest.browser, method)) == (path, wanted)


async def test_nobody_may_call_what_is_for_processes(door, call_with):
    clients = call_with(door.token(Role.ADMIN))
    paths = [f"/{c.name}/{m.name}" for c, m in METHODS if m.roles == PROCESS_ONLY]
    assert "/venuemesh.registry.v1.Registry/Unregister" in paths
    assert {await refusal(clients.channel, path) for path in paths} == {"ROLE_MISSING"}


async def test_a_refusal_says_which_role_is_missing(door, call_with):
    stub = tokens_pb2_grpc.TokensStub(call_with(door.token(Role.TRADER)).channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ListTokens(tokens_pb2.ListTokensRequest())
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    path = "/venuemesh.access.v1.Tokens/ListTokens"
    assert dict(error_info(caught.value).metadata) == {"roles": "admin"}
    assert path in caught.value.details()
    async with call_with(door.token(Role.TRADER)).browser.get("/v1/tokens") as response:
        error = await response.json()
    assert error["details"][0]["metadata"]["method"] == path
    assert path in error["message"]


@pytest.mark.parametrize("kind", ["missing", "damaged", "expired", "of a process", "not a token"])
async def test_a_token_that_is_not_valid_is_refused(kind, door, call_with):
    valid = door.token(Role.VIEWER)
    head, claims, signature = valid.split(".")
    token, reason = {
        "missing": ("", "TOKEN_MISSING"),
        "damaged": (f"{head}.{claims}.{signature[::-1]}", "TOKEN_INVALID"),
        "expired": (door.token(Role.VIEWER, valid_s=LONG_AGO_S), "TOKEN_EXPIRED"),
        "of a process": (door.token(Role.PROCESS), "TOKEN_INVALID"),
        "not a token": ("open-sesame", "TOKEN_INVALID"),
    }[kind]
    unauthenticated = str(grpc.StatusCode.UNAUTHENTICATED.value[0])
    assert await call_with(token).refusals() == {
        "grpc": reason,
        "rest": reason,
        "web": unauthenticated,
    }
    assert set((await call_with(valid).refusals()).values()) == {""}


async def test_a_revoked_token_is_refused_at_once(door, channel, call_with):
    stub = tokens_pb2_grpc.TokensStub(channel)
    wanted = tokens_pb2.IssueTokenRequest(caller="leaver", roles=[roles.to_wire(Role.VIEWER)])
    issued = await stub.IssueToken(wanted)
    leaver = call_with(issued.token)
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        # Another test may have made the key that signed it a moment ago.
        while await refusal(leaver.channel, LIST):
            pass
    await stub.RevokeToken(tokens_pb2.RevokeTokenRequest(token_id=issued.issued.token_id))
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not await refusal(leaver.channel, LIST):
            pass
    assert (await leaver.refusals())["grpc"] == "TOKEN_REVOKED"
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        # The process refuses it, and soon the gateway by itself.
        while "matched_policy[1_revoked]" not in door.log("envoy"):
            assert await refusal(leaver.channel, LIST) == "TOKEN_REVOKED"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await registry_pb2_grpc.RegistryStub(leaver.channel).ListServices(
            registry_pb2.ListServicesRequest()
        )
    assert f"the token {issued.issued.token_id} was revoked" in caught.value.details()
    async with leaver.browser.get("/v1/services") as response:
        (info,) = (await response.json())["details"]
    assert info["reason"] == "TOKEN_REVOKED"
    assert info["metadata"]["token_id"] == issued.issued.token_id


async def test_a_stream_survives_new_keys_and_revocations(door, channel, call_with):
    stub = tokens_pb2_grpc.TokensStub(channel)
    watching = registry_pb2_grpc.RegistryStub(call_with(door.token(Role.VIEWER)).channel)
    watch = watching.Watch(registry_pb2.WatchRequest())
    await watch.read()
    wanted = tokens_pb2.IssueTokenRequest(caller="other", roles=[roles.to_wire(Role.VIEWER)])
    issued = await stub.IssueToken(wanted)
    key = await stub.RotateKey(tokens_pb2.RotateKeyRequest())
    await stub.RevokeToken(tokens_pb2.RevokeTokenRequest(token_id=issued.issued.token_id))
    other = call_with(issued.token)
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while await refusal(other.channel, LIST) != "TOKEN_REVOKED":
            pass
        fresh = (await stub.IssueToken(wanted)).token
        assert await refusal(call_with(fresh).channel, LIST) == ""
        # The new key signs once Envoy and the processes know it, so no token is refused meanwhile.
        while jwt.get_unverified_header(fresh)["kid"] != key.key_id:
            await asyncio.sleep(0.05)
            fresh = (await stub.IssueToken(wanted)).token
        assert await refusal(call_with(fresh).channel, LIST) == ""
        for _ in range(2):
            assert await watch.read() is not grpc.aio.EOF
    watch.cancel()


@pytest.mark.parametrize(
    ("groups", "drain", "tokens_of_mesh"),
    [
        (["staff", "operator"], "", "ROLE_MISSING"),
        ("staff operator", "", "ROLE_MISSING"),
        (["viewer"], "ROLE_MISSING", "ROLE_MISSING"),
        ("viewers operators", "ROLE_MISSING", "ROLE_MISSING"),
        (["admin"], "", ""),
        ("process", "ROLE_MISSING", "ROLE_MISSING"),
    ],
)
async def test_tokens_of_the_platform_have_its_roles(
    groups, drain, tokens_of_mesh, door, call_with
):
    clients = call_with(door.platform.token(groups=groups, roles=["admin"]))
    assert await refusal(clients.channel, "/venuemesh.admin.v1.Admin/Pause") == drain
    assert (
        await refusal(clients.channel, "/venuemesh.access.v1.Tokens/ListTokens") == tokens_of_mesh
    )


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"aud": "other"}, "TOKEN_INVALID"),
        ({"iss": "https://other.example.com/"}, "TOKEN_INVALID"),
        ({"iss": "venuemesh/local", "aud": "venuemesh/local"}, "TOKEN_INVALID"),
        ({"exp": 1_700_000_000}, "TOKEN_EXPIRED"),
    ],
)
async def test_a_wrong_token_of_the_platform_is_refused(wrong, reason, door, call_with):
    claims = {"groups": ["viewer"]} | wrong
    assert (await call_with(door.platform.token(**claims)).refusals())["grpc"] == reason


async def test_what_is_open_needs_no_token(door, call_with):
    nobody = call_with("")
    stub = health_pb2_grpc.HealthStub(nobody.channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    for path in ("/healthz", "/sign-in", "/sign-in?code=used", "/sign-in/page.css"):
        async with nobody.browser.get(path) as response:
            assert (path, response.status) == (path, 200)
    for path in ("/", "/docs", "/openapi.json", "/assets/index.js", "/healthz/more"):
        async with nobody.browser.get(path) as response:
            assert (path, response.status) == (path, 401)


async def test_a_page_without_a_token_leads_to_the_page_for_signing_in(door, call_with):
    opened = {"sec-fetch-mode": "navigate"}
    nobody = call_with("").browser
    for place in ("/", "/docs"):
        async with nobody.get(
            f"{place}?theme=dark", headers=opened, allow_redirects=False
        ) as response:
            found = (response.status, response.headers["location"])
        assert found == (303, f"/sign-in?next={place}")


@pytest.mark.parametrize(("headers", "status"), [({}, 403), ({"x-venuemesh-request": "1"}, 200)])
async def test_a_call_by_the_cookie_says_that_it_is_meant(headers, status, door, call_with):
    by_cookie = headers | {"cookie": f"theme=dark; {door.session_cookie}={door.token(Role.VIEWER)}"}
    async with call_with("").browser.get("/v1/services", headers=by_cookie) as response:
        assert response.status == status
        if status != 200:
            error = await response.json()
            assert "x-venuemesh-request: 1" in error["message"]
    # A page is opened without it.
    async with call_with("").browser.get("/openapi.json", headers=by_cookie) as response:
        assert response.status == 200


async def test_the_session_of_a_mesh_on_another_port_changes_nothing(door, call_with):
    own, other = f"{door.session_cookie}={door.token(Role.VIEWER)}", "venuemesh_session_1=x.y.z"
    meant = {"x-venuemesh-request": "1"}
    for cookies, status in ((f"{other}; {own}", 200), (f"{own}; {other}", 200), (other, 401)):
        headers = meant | {"cookie": cookies}
        async with call_with("").browser.get("/v1/services", headers=headers) as response:
            assert (cookies, response.status) == (cookies, status)


async def test_a_token_has_a_rate_of_calls_of_its_own(door, call_with):
    eager, other = call_with(door.token(Role.TRADER)), call_with(door.token(Role.VIEWER))
    stub = registry_pb2_grpc.RegistryStub(eager.channel)
    request, refused = registry_pb2.ListServicesRequest(), []
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not refused:
            calls = [stub.ListServices(request) for _ in range(100)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            refused = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert refused[0].code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason_of(refused[0]) == "CALLER_LIMITED"
    orders = trade_flow_pb2_grpc.TradeFlowStub(eager.channel)
    cancels = [orders.CancelAllOrders(trade_flow_pb2.CancelAllOrdersRequest()) for _ in range(200)]
    answers = await asyncio.gather(*cancels, return_exceptions=True)
    # There is no such venue, but the gateway has let them through.
    assert {reason_of(answer) for answer in answers} == {"BAD_REQUEST"}
    assert (await other.refusals())["rest"] == ""


async def test_renewing_a_token_gives_no_more_calls(door, channel, call_with):
    stub = tokens_pb2_grpc.TokensStub(channel)
    wanted = tokens_pb2.IssueTokenRequest(caller="eager", roles=[roles.to_wire(Role.VIEWER)])
    issued = (await stub.IssueToken(wanted)).token
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        # Another test may have made the key that signed it a moment ago.
        while await refusal(call_with(issued).channel, LIST):
            pass
    own = tokens_pb2_grpc.TokensStub(call_with(issued).channel)
    renewed = (await own.RenewToken(tokens_pb2.RenewTokenRequest())).token
    stubs = [registry_pb2_grpc.RegistryStub(call_with(one).channel) for one in (issued, renewed)]
    request, answers = registry_pb2.ListServicesRequest(), []
    started_s = time.monotonic()
    for stub in 4 * stubs:
        calls = [stub.ListServices(request) for _ in range(CALLS_PER_SECOND)]
        answers += await asyncio.gather(*calls, return_exceptions=True)
    seconds = time.monotonic() - started_s
    failed = [reason_of(found) for found in answers if isinstance(found, Exception)]
    assert set(failed) <= {"CALLER_LIMITED"}
    # What one token may do: two seconds' calls at once, and each second's after that.
    assert len(answers) - len(failed) <= CALLS_PER_SECOND * (3 + seconds)


async def test_reflection_needs_a_token(door, call_with):
    path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    assert await refusal(call_with("").channel, path) == "TOKEN_MISSING"


async def refusal(channel: grpc.aio.Channel, path: str) -> str:
    """Why the door refuses a call, or "" if it lets it through."""
    call = channel.unary_stream(path)(b"", timeout=WAIT_SECONDS_MAX)
    try:
        await call.read()
    except grpc.aio.AioRpcError as error:
        info = error_info(error)
        return info.reason if info and info.reason in REFUSALS else ""
    finally:
        call.cancel()
    return ""


async def rest_refusal(browser: aiohttp.ClientSession, method: RpcMethod) -> str:
    path = PLACEHOLDER.sub("nobody", method.binding.path)
    body = {"json": {}} if method.binding.has_body else {}
    async with browser.request(method.binding.verb, path, **body) as response:
        line = await response.content.readline()
        if response.status not in (401, 403):
            return ""
        reason = json.loads(line)["details"][0]["reason"]
        return reason if reason in REFUSALS else ""


async def test_a_caller_does_not_choose_from_where_he_guesses_links(door):
    # An address of its own, so that no other test is refused.
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with aiohttp.ClientSession(door.url, connector=connector) as guesser:
        statuses = []
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while 429 not in statuses:
                address = f"10.0.0.{len(statuses) % 250}"
                shown = {"x-venuemesh-remote-address": address, "x-forwarded-for": address}
                async with guesser.post("/sign-in", data={"code": "x"}, headers=shown) as answer:
                    statuses.append(answer.status)
        assert set(statuses) == {401, 429}


async def test_a_link_opens_a_session_through_the_door(door, channel, call_with):
    stub = tokens_pb2_grpc.TokensStub(channel)
    wanted = tokens_pb2.CreateSignInLinkRequest(caller="lena", roles=[roles.to_wire(Role.VIEWER)])
    link = await stub.CreateSignInLink(wanted)
    browser, own = call_with("").browser, {"Origin": door.url}
    code = {"code": link.path.partition("code=")[2]}
    async with browser.post("/sign-in", data=code, headers=own, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["location"]) == (303, "/")
        cookie = door.session_cookie
        session = {"Cookie": f"{cookie}={answer.cookies[cookie].value}"}
    nobody = call_with("").browser
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    meant = {"x-venuemesh-request": "1"}
    for headers, status in (
        (session | meant, 200),
        (session, 403),
        (session | meant | foreign, 403),
    ):
        async with nobody.get("/v1/caller", headers=headers) as answer:
            assert (headers, answer.status) == (headers, status)
    async with nobody.post("/sign-in", data=code, headers=foreign) as answer:
        assert answer.status == 403
    async with nobody.post("/session/renew", headers=session | meant) as answer:
        assert answer.status == 204
    async with nobody.post("/sign-out", headers=session | meant) as answer:
        assert answer.status == 204
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            async with nobody.get("/v1/caller", headers=session | meant) as answer:
                if answer.status == 401:
                    return
