"""Begins and ends spans where a call is served and where it uses a store."""

import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

from kit.base.clock import Clock, SystemClock
from kit.base.request_id import current_request_id
from kit.base.telemetry import Meter
from kit.base.tracing.exporter import SpanExporter
from kit.base.tracing.settings import TelemetrySettings
from kit.base.tracing.span import Metadata, Span, SpanContext

_current: ContextVar[SpanContext | None] = ContextVar("span", default=None)


class Tracer:
    """Makes the spans of one process."""

    def __init__(self, exporter: SpanExporter, sample_ratio: float, clock: Clock) -> None:
        self.exporter = exporter
        self._sample_ratio = sample_ratio
        self._clock = clock

    @contextmanager
    def call(self, path: str, metadata: Metadata) -> Iterator[None]:
        """A call that is served. Each has a task of its own, so its context ends with it."""
        parent = SpanContext.of(metadata)
        if parent is None:
            context = SpanContext.new(is_sampled=random.random() < self._sample_ratio)
        else:
            context = parent.child()
        _current.set(context)
        service, _, method = path.removeprefix("/").partition("/")
        attributes = {
            "rpc.system": "grpc",
            "rpc.service": service,
            "rpc.method": method,
            "venuemesh.request_id": current_request_id(),
        }
        parent_id = parent.span_id if parent else b""
        now_ns = self._clock.time_ns()
        with self._ending(
            Span(f"{service}/{method}", context, parent_id, True, now_ns, attributes)
        ):
            yield

    @contextmanager
    def store(self, store: str, operation: str) -> Iterator[None]:
        """What a call does in a store. Other work of the process is not traced."""
        parent = _current.get()
        if parent is None:
            yield
            return
        attributes = {"db.system.name": store, "db.operation.name": operation}
        name, now_ns = f"{store} {operation}", self._clock.time_ns()
        with self._ending(Span(name, parent.child(), parent.span_id, False, now_ns, attributes)):
            yield

    @contextmanager
    def _ending(self, span: Span) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            span.error = f"{type(error).__name__}: {error}"
            raise
        finally:
            span.end_time_ns = self._clock.time_ns()
            if span.context.is_sampled:
                self.exporter.put(span)


_tracer: Tracer | None = None
_NOTHING = nullcontext()


def start(settings: TelemetrySettings, service_id: str, version: str, meter: Meter) -> None:
    """Trace what this process does from now on, if a collector is set."""
    global _tracer
    if settings.otlp_endpoint:
        clock = SystemClock()
        exporter = SpanExporter(settings, service_id, version, meter, clock)
        _tracer = Tracer(exporter, settings.trace_sample_ratio, clock)


async def run() -> None:
    """Send spans until cancelled, if a collector is set."""
    if _tracer is not None:
        await _tracer.exporter.run()


async def stop() -> None:
    """Send what remains to the collector, and trace nothing more."""
    global _tracer
    if _tracer is not None:
        stopped, _tracer = _tracer, None
        await stopped.exporter.close()


def call_span(path: str, metadata: Metadata) -> AbstractContextManager[None]:
    """Trace a call that this process serves. ``path``: as "/venuemesh.live.v1.Live/Subscribe"."""
    return _NOTHING if _tracer is None else _tracer.call(path, metadata)


def store_span(store: str, operation: str) -> AbstractContextManager[None]:
    """Trace what a call does in PostgreSQL or Redis."""
    return _NOTHING if _tracer is None else _tracer.store(store, operation)


def outgoing() -> tuple[tuple[str, str], ...]:
    """Metadata by which a call to another process continues the trace."""
    context = None if _tracer is None else _current.get()
    return () if context is None else (context.metadata,)
