"""Sends spans to an OpenTelemetry collector: OTLP over gRPC."""

import asyncio
from collections import deque
from typing import Any

import grpc

from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.telemetry import Meter
from kit.base.tracing.settings import TelemetrySettings
from kit.base.tracing.span import Span

SPANS_MAX = 4_096
"""Spans that wait to be sent. More are dropped, and counted."""
INTERVAL_SECONDS = 1.0
TIMEOUT_SECONDS = 2.0
NAMESPACE = "venuemesh"

_log = telemetry.logger("tracing")


class SpanExporter:
    """Sends the spans of one process, once a second."""

    def __init__(
        self,
        settings: TelemetrySettings,
        service_id: str,
        version: str,
        meter: Meter,
        clock: Clock,
    ) -> None:
        # Here, as few processes need them.
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
        from opentelemetry.proto.trace.v1 import trace_pb2

        self._request = trace_service_pb2.ExportTraceServiceRequest
        self._span, self._status = trace_pb2.Span, trace_pb2.Status
        self._clock = clock
        self._resource = {
            "service.name": service_id,
            "service.version": version,
            "service.namespace": NAMESPACE,
        }
        host, port = settings.collector()
        self._channel = grpc.aio.insecure_channel(f"{host}:{port}")
        self._export: Any = self._channel.unary_unary(
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            self._request.SerializeToString,
            trace_service_pb2.ExportTraceServiceResponse.FromString,
        )
        self._waiting: deque[Span] = deque()
        self._dropped = meter.counter("trace_spans_dropped", "Spans that no collector took")
        self._is_away = False

    def put(self, span: Span) -> None:
        """Queue a span. Beyond ``SPANS_MAX`` it is dropped and counted."""
        if len(self._waiting) >= SPANS_MAX:
            self._dropped.inc()
        else:
            self._waiting.append(span)

    async def run(self) -> None:
        while True:
            await self._clock.sleep(INTERVAL_SECONDS)
            await self.flush()

    async def close(self) -> None:
        await self.flush()
        await self._channel.close()

    async def flush(self) -> None:
        """Send what waits. What the collector does not take is dropped."""
        if not self._waiting:
            return
        spans = list(self._waiting)
        self._waiting.clear()
        try:
            await self._export(self._message(spans), timeout=TIMEOUT_SECONDS)
        except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
            self._dropped.inc(len(spans))
            if isinstance(error, asyncio.CancelledError):
                raise
            if not self._is_away:
                _log.warning("the collector takes no spans", extra={"detail": error.details()})
            self._is_away = True
        else:
            self._is_away = False

    def _message(self, spans: list[Span]) -> Any:
        message = self._request()
        resource_spans = message.resource_spans.add()
        _add(resource_spans.resource.attributes, self._resource)
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.scope.name = NAMESPACE
        for span in spans:
            made = scope_spans.spans.add(
                trace_id=span.context.trace_id,
                span_id=span.context.span_id,
                parent_span_id=span.parent_id,
                name=span.name,
                kind=self._span.SPAN_KIND_SERVER if span.is_call else self._span.SPAN_KIND_CLIENT,
                start_time_unix_nano=span.start_time_ns,
                end_time_unix_nano=span.end_time_ns,
            )
            _add(made.attributes, span.attributes)
            if span.error:
                made.status.code = self._status.STATUS_CODE_ERROR
                made.status.message = span.error
        return message


def _add(attributes: Any, values: dict[str, str]) -> None:
    for key, value in values.items():
        attributes.add(key=key).value.string_value = value
