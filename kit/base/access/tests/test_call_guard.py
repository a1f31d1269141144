"""The guard of a process, asked over gRPC."""

import asyncio
import logging

import grpc
import pytest
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc

from kit.base import rpc
from kit.base.access.authority import Authority
from kit.base.access.call_guard import (
    FOR_MODEL,
    SESSION_COOKIES,
    TARGET_LENGTH_MAX,
    CallGuard,
    GuardedMethod,
    current_caller,
    require_for_models,
    streams_for_caller,
)
from kit.base.access.credentials import FixedToken
from kit.base.access.roles import Role
from kit.base.access.tests.test_tokens import NAMES, SetClock, token
from kit.base.access.tokens import MODEL, Caller, TokenVerifier
from kit.base.access.trust import TrustedKeys
from kit.base.errors import RoleMissing, error_info
from tests.support.waiting import WAIT_SECONDS_MAX

STREAMS_MAX = 2
BUSY = 1
"""An interval with which the fake sends as fast as it can."""
SERVICE = admin_pb2.DESCRIPTOR.services_by_name["Admin"]


class Admin(admin_pb2_grpc.AdminServicer):
    """Answers with the name of the caller."""

    async def GetStatus(self, request, context):
        response = admin_pb2.GetStatusResponse()
        response.instance.name = current_caller().name
        response.counters["streams"] = streams_for_caller(64)
        return response

    async def StreamStatus(self, request, context):
        yield admin_pb2.StreamStatusResponse()
        while request.interval_ms == BUSY:
            yield admin_pb2.StreamStatusResponse()
        await asyncio.Event().wait()

    async def Drain(self, request, context):
        return admin_pb2.DrainResponse()


class GuardedServer:
    """A server with a guard, and clients with tokens."""

    def __init__(self, folder, clock) -> None:
        self.clock = clock
        self.authority = Authority(folder, clock)
        verifier = TokenVerifier(NAMES, clock)
        self.guard = CallGuard(verifier, clock, required=True, streams_max=STREAMS_MAX)
        self.guard.trust(TrustedKeys(self.authority.jwks()))
        self._server = rpc.server()
        self._channels = []

    async def start(self) -> None:
        rpc.serve(self._server, SERVICE, Admin(), guard=self.guard)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()

    def client(self, *roles):
        shown = FixedToken(token(self.authority, self.clock, *roles)) if roles else None
        self._channels.append(rpc.channel(self.address, shown))
        return admin_pb2_grpc.AdminStub(self._channels[-1])

    def revoke_all(self, caller_tokens) -> None:
        keys = TrustedKeys(self.authority.jwks(), revoked_token_ids=frozenset(caller_tokens))
        self.guard.trust(keys)

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()
        await self._server.stop(0)


@pytest.fixture
async def served(tmp_path):
    made = GuardedServer(tmp_path, SetClock())
    await made.start()
    yield made
    await made.close()


async def refusal(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), error_info(caught.value).reason


async def test_a_call_without_a_token_is_refused(served):
    call = served.client().GetStatus(admin_pb2.GetStatusRequest())
    assert await refusal(call) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")


async def test_a_caller_needs_one_of_the_roles_of_the_method(served):
    response = await served.client(Role.VIEWER).GetStatus(admin_pb2.GetStatusRequest())
    assert response.instance.name == "desk"
    for role in (Role.VIEWER, Role.TRADER, Role.PROCESS):
        call = served.client(role).Drain(admin_pb2.DrainRequest())
        assert await refusal(call) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_MISSING")
    for role in (Role.OPERATOR, Role.ADMIN):
        await served.client(role).Drain(admin_pb2.DrainRequest())


@pytest.mark.parametrize("says", ["token", "header"])
async def test_a_model_reads_and_changes_nothing_whatever_its_roles(served, says):
    kind, metadata = (MODEL, []) if says == "token" else ("", [FOR_MODEL])
    shown = FixedToken(token(served.authority, served.clock, Role.ADMIN, kind=kind))
    async with rpc.channel(served.address, shown) as channel:
        stub = admin_pb2_grpc.AdminStub(channel)
        answer = await stub.GetStatus(admin_pb2.GetStatusRequest(), metadata=metadata)
        assert answer.instance.name == "desk"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Drain(admin_pb2.DrainRequest(), metadata=metadata)
    assert error_info(caught.value).reason == "ROLE_MISSING"
    assert "desk is a model" in caught.value.details()


def test_a_model_calls_what_the_contract_lets_it_call():
    allowed = GuardedMethod("/a", frozenset({Role.TRADER}), is_mutating=True, models_may_call=True)
    other = GuardedMethod("/b", frozenset({Role.TRADER}), is_mutating=True)
    model = Caller("robot", frozenset({Role.TRADER}), kind=MODEL)
    require_for_models(model, allowed)
    require_for_models(Caller("ann", model.roles), other)
    # A process may have any kind.
    require_for_models(Caller("model", frozenset({Role.PROCESS}), kind=MODEL), other)
    with pytest.raises(RoleMissing):
        require_for_models(model, other)


async def test_a_browser_shows_its_token_in_a_cookie(served):
    text = token(served.authority, served.clock, Role.VIEWER)
    metadata = (("cookie", f"theme=dark; {SESSION_COOKIES}8081={text}"),)
    response = await served.client().GetStatus(admin_pb2.GetStatusRequest(), metadata=metadata)
    assert response.instance.name == "desk"


async def test_a_browser_may_have_sessions_of_other_meshes(served):
    own = f"{SESSION_COOKIES}8081={token(served.authority, served.clock, Role.VIEWER)}"
    other = f"{SESSION_COOKIES}9081=of.another.mesh"
    for cookies in (f"{own}; {other}", f"{other}; {own}"):
        metadata = (("cookie", cookies),)
        response = await served.client().GetStatus(admin_pb2.GetStatusRequest(), metadata=metadata)
        assert response.instance.name == "desk"
    call = served.client().GetStatus(
        admin_pb2.GetStatusRequest(), metadata=(("cookie", f"{other}; {SESSION_COOKIES}="),)
    )
    assert await refusal(call) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


async def test_a_call_that_changes_something_is_logged_with_its_caller(served, caplog):
    caplog.set_level(logging.INFO)
    request = admin_pb2.DrainRequest(service_id="bars")
    metadata = (("x-request-id", "r-1"),)
    await served.client(Role.OPERATOR).Drain(request, metadata=metadata)
    await served.client(Role.VIEWER).GetStatus(admin_pb2.GetStatusRequest())
    (line,) = [record for record in caplog.records if record.message == "call"]
    assert (line.caller, line.outcome, line.request_id) == ("desk", "OK", "r-1")
    assert (line.method, line.target) == ("/venuemesh.admin.v1.Admin/Drain", "service_id=bars")


async def test_it_is_kept_also_if_nothing_is_logged(served, caplog):
    caplog.set_level(logging.ERROR)
    request = admin_pb2.DrainRequest(service_id="b" * 2 * TARGET_LENGTH_MAX)
    metadata = (("x-request-id", "r-1"),)
    refused = served.client(Role.OPERATOR).Drain(request, metadata=metadata)
    assert (await refusal(refused))[1] == "BAD_REQUEST"
    await served.client(Role.VIEWER).GetStatus(admin_pb2.GetStatusRequest())
    (found,) = await anext(served.guard.made_calls.after(0))
    assert (found.number, found.time_ns) == (1, served.clock.time_ns())
    assert (found.call.caller, found.call.outcome, found.call.request_id) == (
        "desk",
        "BAD_REQUEST",
        "r-1",
    )
    assert found.call.roles == ["operator", "viewer"]
    assert found.call.method == "/venuemesh.admin.v1.Admin/Drain"
    assert found.call.target.startswith("service_id=bbb")
    assert len(found.call.target) == TARGET_LENGTH_MAX


async def test_people_leave_streams_to_the_processes(served):
    request = admin_pb2.GetStatusRequest()
    for role, streams in ((Role.ADMIN, 48), (Role.PROCESS, 64)):
        answer = await served.client(role).GetStatus(request)
        assert answer.counters["streams"] == streams


async def test_a_stream_ends_when_its_token_is_revoked(served):
    text = token(served.authority, served.clock, Role.VIEWER)
    caller = served.guard._verifier.verify(text)
    channel = rpc.channel(served.address, FixedToken(text))
    async with channel:
        call = admin_pb2_grpc.AdminStub(channel).StreamStatus(admin_pb2.StreamStatusRequest())
        await anext(aiter(call))
        other = served.client(Role.VIEWER).StreamStatus(admin_pb2.StreamStatusRequest())
        await anext(aiter(other))
        served.revoke_all([caller.token_id])
        expected = (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED")
        assert await refusal(anext(aiter(call))) == expected
    assert not other.done()
    other.cancel()


async def test_a_stream_that_sends_without_a_pause_ends_too(served):
    stub = served.client(Role.VIEWER)
    call = stub.StreamStatus(admin_pb2.StreamStatusRequest(interval_ms=BUSY))
    await anext(aiter(call))
    (caller,) = served.guard._streams
    served.revoke_all([caller.token_id])

    async def read_to_the_end() -> None:
        async for _ in call:
            pass

    expected = (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED")
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        assert await refusal(read_to_the_end()) == expected


async def test_a_stream_ends_when_its_token_expires(served):
    call = served.client(Role.VIEWER).StreamStatus(admin_pb2.StreamStatusRequest())
    await anext(aiter(call))
    served.clock.advance(3_600)
    running = asyncio.create_task(served.guard.run())
    expected = (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")
    assert await refusal(anext(aiter(call))) == expected
    running.cancel()


async def test_a_token_has_so_many_streams_at_a_process(served):
    client = served.client(Role.VIEWER)
    calls = [client.StreamStatus(admin_pb2.StreamStatusRequest()) for _ in range(STREAMS_MAX)]
    for call in calls:
        await anext(aiter(call))
    one_more = client.StreamStatus(admin_pb2.StreamStatusRequest())
    expected = (grpc.StatusCode.RESOURCE_EXHAUSTED, "CALLER_LIMITED")
    assert await refusal(anext(aiter(one_more))) == expected
    calls[0].cancel()
    while served.guard._streams and len(next(iter(served.guard._streams.values()))) == STREAMS_MAX:
        await asyncio.sleep(0.01)
    again = client.StreamStatus(admin_pb2.StreamStatusRequest())
    await anext(aiter(again))
