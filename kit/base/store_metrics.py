"""Durations, errors and connections of the stores that a process uses: PostgreSQL and Redis."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock, SystemClock
from kit.base.telemetry import Meter
from kit.base.tracing import spans

DURATION_BUCKETS_SECONDS = (
    *(0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05),
    *(0.1, 0.2, 0.5, 1, 2, 5, 10),
)


class StoreMetrics:
    """Measures what a process does in its stores, and traces what it does for a call."""

    def __init__(self, meter: Meter, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._duration = meter.histogram(
            "store_duration_seconds",
            "Duration of commands and transactions",
            DURATION_BUCKETS_SECONDS,
            "store",
            "operation",
        )
        self._errors = meter.counter(
            "store_errors", "Commands and transactions that failed", "store", "error"
        )
        self._waits = meter.histogram(
            "database_wait_seconds",
            "Time that transactions wait for one of the connections of this process",
            DURATION_BUCKETS_SECONDS,
        )
        self._in_use = meter.gauge(
            "database_connections_in_use", "Connections that are in a transaction"
        )

    @contextmanager
    def call(
        self, store: str, operation: str, failures: type[Exception] | tuple[type[Exception], ...]
    ) -> Iterator[None]:
        """Measure one command or transaction. ``failures``: the errors of the store's client."""
        started_ns = self._clock.monotonic_ns()
        with spans.store_span(store, operation):
            try:
                yield
            except failures as error:
                self._errors.labels(store, type(error).__name__).inc()
                raise
            finally:
                after_ns = self._clock.monotonic_ns() - started_ns
                self._duration.labels(store, operation).observe(after_ns / NANOSECONDS_PER_SECOND)

    @asynccontextmanager
    async def turn(self, room: asyncio.Semaphore) -> AsyncIterator[None]:
        """Wait for a free connection, and count it while it is in use."""
        started_ns = self._clock.monotonic_ns()
        async with room:
            waited_ns = self._clock.monotonic_ns() - started_ns
            self._waits.observe(waited_ns / NANOSECONDS_PER_SECOND)
            with self._in_use.track_inprogress():
                yield
