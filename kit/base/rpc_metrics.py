"""Rate, errors and duration of the calls that a process serves, counted once per call."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import grpc
from prometheus_client import Counter, Gauge, Histogram

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.telemetry import Meter

DURATION_BUCKETS_SECONDS = (
    *(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05),
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 60),
)
CODE_NAMES: Mapping[Any, str] = {
    key: code.name for code in grpc.StatusCode for key in (code, code.value[0])
}
"""By status code, as a member of the enumeration or as its number."""


class RpcMetrics:
    """The metrics of all methods of a process."""

    def __init__(self, meter: Meter, clock: Clock) -> None:
        self._clock = clock
        self._requests = meter.counter(
            "rpc_requests", "Calls that have ended, by status code", "method", "code"
        )
        self._duration = meter.histogram(
            "rpc_duration_seconds",
            "Duration of unary calls, and of streams from their start to their end",
            DURATION_BUCKETS_SECONDS,
            "method",
        )
        self._active = meter.gauge("rpc_active", "Calls that run, streams included", "method")

    def of_method(self, path: str) -> "MethodMetrics":
        """The metrics of one method, for example "/venuemesh.live.v1.Live/Subscribe"."""
        method = path.removeprefix("/")
        return MethodMetrics(
            method,
            self._requests,
            self._duration.labels(method),
            self._active.labels(method),
            self._clock,
        )


class MethodMetrics:
    """The metrics of one method."""

    def __init__(
        self, method: str, requests: Counter, duration: Histogram, active: Gauge, clock: Clock
    ) -> None:
        self.monotonic_ns = clock.monotonic_ns
        self._method, self._requests = method, requests
        self._duration, self._active = duration, active
        self._ok = requests.labels(method, grpc.StatusCode.OK.name)

    def call(self, context: "grpc.aio.ServicerContext[Any, Any]") -> "MeasuredCall":
        """Measure one call, in a with statement around it."""
        return MeasuredCall(self, context)

    def began(self) -> None:
        self._active.inc()

    def ended(self, code: str, after_ns: int) -> None:
        self._active.dec()
        self._duration.observe(after_ns / NANOSECONDS_PER_SECOND)
        is_ok = code == grpc.StatusCode.OK.name
        (self._ok if is_ok else self._requests.labels(self._method, code)).inc()


class MeasuredCall:
    """One call from its start to its end."""

    __slots__ = ("_context", "_method", "_started_ns")

    def __init__(
        self, method: MethodMetrics, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> None:
        self._method, self._context = method, context

    def __enter__(self) -> Self:
        self._started_ns = self._method.monotonic_ns()
        self._method.began()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        after_ns = self._method.monotonic_ns() - self._started_ns
        self._method.ended(_code(self._context, error), after_ns)


def _code(context: "grpc.aio.ServicerContext[Any, Any]", error: BaseException | None) -> str:
    if error is None:
        return grpc.StatusCode.OK.name
    if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
        return grpc.StatusCode.CANCELLED.name
    # The status with which the call was aborted.
    return CODE_NAMES.get(context.code(), grpc.StatusCode.UNKNOWN.name)
