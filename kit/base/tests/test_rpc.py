"""What a process does for each call: it measures it, and keeps the id of the request."""

import asyncio
import json
import logging

import grpc
import pytest
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc

from kit.base import errors, rpc, telemetry
from kit.base.clock import SystemClock
from kit.base.errors import BadRequest
from kit.base.request_id import REQUEST_ID, current_request_id
from kit.base.rpc_metrics import RpcMetrics
from kit.base.telemetry import JsonFormatter, Meter
from tests.support.waiting import until

SERVICE = admin_pb2.DESCRIPTOR.services_by_name["Admin"]
METHOD = "venuemesh.admin.v1.Admin/"
LOG = telemetry.logger("test")


class Servicer:
    """Does what its level says, and calls the next process where there is one."""

    def __init__(self) -> None:
        self.next: admin_pb2_grpc.AdminStub | None = None
        self.request_ids: list[str] = []

    def __getattr__(self, name):
        return self.SetLogLevel

    async def SetLogLevel(self, request, context):
        self.request_ids.append(current_request_id())
        LOG.warning("asked for %s", request.level)
        match request.level:
            case "bad":
                raise BadRequest("not this", field="level")
            case "abort":
                await context.abort(grpc.StatusCode.NOT_FOUND, "gone")
            case "fail":
                raise RuntimeError("a fault")
        if self.next is not None:
            await self.next.SetLogLevel(request)
        return admin_pb2.SetLogLevelResponse()

    async def StreamStatus(self, request, context):
        yield admin_pb2.StreamStatusResponse()
        if request.interval_ms:
            await asyncio.Event().wait()


class Server:
    """A server, its metrics, and a client."""

    def __init__(self) -> None:
        self.servicer = Servicer()
        self._meter = Meter("admin")
        self._server = rpc.server()
        rpc.serve(
            self._server, SERVICE, self.servicer, metrics=RpcMetrics(self._meter, SystemClock())
        )
        self._port = self._server.add_insecure_port("127.0.0.1:0")

    async def start(self) -> None:
        await self._server.start()
        self._channel = rpc.channel(f"127.0.0.1:{self._port}")
        self.client = admin_pb2_grpc.AdminStub(self._channel)

    async def stop(self) -> None:
        await self._channel.close()
        await self._server.stop(None)

    async def ask(self, level="", **metadata):
        request = admin_pb2.SetLogLevelRequest(level=level)
        await self.client.SetLogLevel(request, metadata=tuple(metadata.items()))

    def value(self, name, method="SetLogLevel", **labels):
        labels["method"] = METHOD + method
        return self._meter.registry.get_sample_value(f"venuemesh_rpc_{name}", labels)


@pytest.fixture
async def server():
    server = Server()
    await server.start()
    yield server
    await server.stop()


@pytest.mark.parametrize(
    ("level", "code"),
    [("", "OK"), ("bad", "INVALID_ARGUMENT"), ("abort", "NOT_FOUND"), ("fail", "INTERNAL")],
)
async def test_calls_are_counted_by_method_and_code(server, level, code):
    if level:
        with pytest.raises(grpc.aio.AioRpcError):
            await server.ask(level)
    else:
        await server.ask(level)
    await until(lambda: server.value("requests_total", code=code) == 1)
    assert server.value("duration_seconds_count") == 1
    assert server.value("active") == 0


async def test_streams_are_counted_while_they_run_and_when_they_end(server):
    request = admin_pb2.StreamStatusRequest(interval_ms=1)
    call = server.client.StreamStatus(request)
    await anext(aiter(call))
    assert server.value("active", "StreamStatus") == 1
    call.cancel()
    await until(lambda: server.value("active", "StreamStatus") == 0)
    assert server.value("requests_total", "StreamStatus", code="CANCELLED") == 1
    async for _ in server.client.StreamStatus(admin_pb2.StreamStatusRequest()):
        pass
    await until(lambda: server.value("requests_total", "StreamStatus", code="OK") == 1)


async def test_the_request_id_is_in_log_lines_and_in_the_error(server):
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(json.loads(JsonFormatter("admin").format(record)))
    LOG.addHandler(handler)
    metadata = [(REQUEST_ID, "r-17")]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.client.SetLogLevel(
            admin_pb2.SetLogLevelRequest(level="bad"), metadata=metadata
        )
    LOG.removeHandler(handler)
    assert [(line["event"], line["request_id"]) for line in lines] == [("asked for bad", "r-17")]
    info = errors.error_info(caught.value)
    assert info.metadata == {"field": "level", "request_id": "r-17"}


@pytest.mark.parametrize("shown", ["", "two words", "x" * 200])
async def test_a_call_without_a_valid_request_id_gets_one(server, shown):
    metadata = [(REQUEST_ID, shown)] if shown else []
    await server.client.SetLogLevel(admin_pb2.SetLogLevelRequest(), metadata=metadata)
    (request_id,) = server.servicer.request_ids
    assert len(request_id) == 36


async def test_calls_that_are_made_for_a_call_have_its_request_id(server):
    first = Server()
    await first.start()
    first.servicer.next = server.client
    await first.client.SetLogLevel(admin_pb2.SetLogLevelRequest(), metadata=[(REQUEST_ID, "r-18")])
    await first.stop()
    assert server.servicer.request_ids == ["r-18"]
