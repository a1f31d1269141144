"""One call is followed through the gateway, the service and its store, by a collector of OTLP."""

from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from tests.integration import recorded
from tests.integration.mesh import SYMBOL, VENUE, Mesh, new_folder, running
from tests.integration.simulation import SIMULATE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

REQUEST_ID = "traced-by-a-test"


@dataclass(frozen=True)
class Span:
    """What is compared of a span."""

    service: str
    name: str
    trace: bytes
    span: bytes
    parent: bytes
    attributes: dict[str, str]


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps the spans that are sent to it."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def Export(self, request, context):
        for resource_spans in request.resource_spans:
            service = _attributes(resource_spans.resource)["service.name"]
            for scope_spans in resource_spans.scope_spans:
                self.spans += [_span(service, span) for span in scope_spans.spans]
        return trace_service_pb2.ExportTraceServiceResponse()

    def stop(self) -> None:
        self._server.stop(None)


def _attributes(holder) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in holder.attributes}


def _span(service, span) -> Span:
    ids = span.trace_id, span.span_id, span.parent_span_id
    return Span(service, span.name, *ids, _attributes(span))


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.stop()


@pytest.fixture(scope="module")
def mesh(collector) -> Iterator[Mesh]:
    with pytest.MonkeyPatch.context() as patch, new_folder() as data:
        endpoint = f"http://127.0.0.1:{collector.port}"
        patch.setenv("VENUEMESH_TELEMETRY_OTLP_ENDPOINT", endpoint)
        with running(data, *SIMULATE) as mesh:
            mesh.wait_until(lambda: recorded.trades_after(mesh, 0), "trades are recorded")
            yield mesh


def test_a_call_is_one_trace_of_gateway_service_and_store(collector, mesh):
    path = f"/v1/history/{VENUE}/{SYMBOL}/trades"
    headers = {"x-request-id": REQUEST_ID}

    def called():
        return mesh.get(path, headers=headers)[0] == 200

    mesh.wait_until(called, "History answers")

    def of_history():
        spans = [span for span in collector.spans if span.service == "history"]
        return [span for span in spans if span.attributes.get("venuemesh.request_id") == REQUEST_ID]

    mesh.wait_until(of_history, "the span of History")
    call = of_history()[0]
    assert call.name == "venuemesh.history.v1.History/ListTrades"

    def of_trace(service):
        spans = [span for span in collector.spans if span.trace == call.trace]
        return [span for span in spans if span.service == service]

    mesh.wait_until(lambda: of_trace("gateway"), "the span of the gateway")
    assert call.parent in {span.span for span in of_trace("gateway")}
    stores = [span for span in of_trace("history") if span.parent == call.span]
    assert {span.attributes["db.system.name"] for span in stores} == {"postgresql"}


def test_work_of_a_process_itself_is_no_trace(collector, mesh):
    assert not [span for span in collector.spans if span.service == "recorder"]
