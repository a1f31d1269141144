"""Logs as JSON lines, metrics for Prometheus, and the figures of a heartbeat.

One Meter per process holds both, so that what Studio shows and what Prometheus scrapes agree.
"""

import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)
from venuemesh.registry.v1 import registry_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.base.request_id import current_request_id

ROOT_LOGGER = "venuemesh"
LAG_BUCKETS_SECONDS = (
    *(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05),
    *(0.1, 0.25, 0.5, 1, 5, 30),
)
PAGE_SIZE_BYTES = 4096
_EXCEPTIONS = logging.Formatter()
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, service, logger, event, the id of the request that is
    served, and the record's extras."""

    def __init__(self, service_id: str) -> None:
        super().__init__()
        self._service_id = service_id

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "service": self._service_id,
            "logger": record.name,
            "event": record.getMessage(),
        }
        return json.dumps(line | record_fields(record), default=str)


def record_fields(record: logging.LogRecord) -> dict[str, Any]:
    """The further fields of a line: the id of the request that is served, the record's extras, and
    the exception."""
    request_id = current_request_id()
    fields: dict[str, Any] = {"request_id": request_id} if request_id else {}
    extras = vars(record).items()
    fields.update({key: value for key, value in extras if key not in _STANDARD_FIELDS})
    if record.exc_info:
        fields["exception"] = _EXCEPTIONS.formatException(record.exc_info)
    return fields


def configure_logging(service_id: str, level: str) -> None:
    """Log to standard error from here on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service_id))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    set_log_level(level)


def set_log_level(level: str) -> None:
    """Change how much our own code logs: debug, info, warning or error."""
    logging.getLogger(ROOT_LOGGER).setLevel(level.upper())


def logger(name: str) -> logging.Logger:
    """The logger of one module; pass values as ``extra={...}``, not inside the text."""
    return logging.getLogger(f"{ROOT_LOGGER}.{name}")


class LogDeduplicator:
    """Logs the first of each kind with its text, and counts the rest.

    A venue that sends the same malformed frame a thousand times a second must not fill the disk.
    """

    def __init__(self, log: logging.Logger, kinds_max: int = 256) -> None:
        self._log = log
        self._kinds_max = kinds_max
        self.counts: dict[str, int] = {}

    def warning(self, kind: str, text: str, **extra: object) -> None:
        """Count one more of this kind; log it if it is the first."""
        if kind not in self.counts and len(self.counts) >= self._kinds_max:
            kind = "other"
        seen = self.counts.get(kind, 0)
        self.counts[kind] = seen + 1
        if seen == 0:
            self._log.warning(kind, extra={"text": text[:500], **extra})


class Meter:
    """The metrics of a process. Names follow the conventions of Prometheus."""

    def __init__(self, service_id: str) -> None:
        # Without a time of creation for each counter, which doubles the page.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._service_id = service_id
        self._events_before = 0
        self._read_at_ns = time.monotonic_ns()
        self.state = registry_pb2.SERVICE_STATE_STARTING
        self.stands_by = False
        """Whether another instance of the service is called."""
        self.detail = ""
        self.events_total = 0
        self.gaps_total = 0
        self.reconnects_total = 0
        self.lag_entries = 0
        self.lag_ms = 0.0
        self.counters: dict[str, float] = {}
        self._events = self.counter("events", "Events handled", "channel")
        self._batches = self.counter("batches", "Batches handled", "channel")
        self._by_channel: dict[str, tuple[Counter, Counter]] = {}
        self._gaps = self.counter("gaps", "Gaps seen", "reason")
        self._reconnects = self.counter("reconnects", "Connections made again")
        self._lag_entries = self.gauge("lag_entries", "Stream entries that wait")
        state = self.gauge("state", "ServiceState of the contract, by its number")
        state.set_function(
            lambda: registry_pb2.SERVICE_STATE_STANDBY if self.stands_by else self.state
        )
        self._lag = self.histogram(
            "lag_seconds",
            "Age of the newest event of a batch when it was handled",
            LAG_BUCKETS_SECONDS,
        )

    def counter(self, name: str, help_text: str, *labels: str) -> Counter:
        """A counter ``venuemesh_<name>_total``."""
        return Counter(f"venuemesh_{name}", help_text, labels, registry=self.registry)

    def gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        """A gauge ``venuemesh_<name>``."""
        return Gauge(f"venuemesh_{name}", help_text, labels, registry=self.registry)

    def histogram(
        self, name: str, help_text: str, buckets: Sequence[float], *labels: str
    ) -> Histogram:
        """A histogram ``venuemesh_<name>``; the name ends with its unit, seconds or bytes."""
        full_name = f"venuemesh_{name}"
        return Histogram(full_name, help_text, labels, buckets=buckets, registry=self.registry)

    def build(self, version: str) -> None:
        """Set ``venuemesh_build_info``, whose labels are the version and the service."""
        gauge = self.gauge("build_info", "1: the version that runs", "version", "service")
        gauge.labels(version, self._service_id).set(1)

    def batch(self, channel: str, events: int) -> None:
        self.events_total += events
        if channel not in self._by_channel:
            self._by_channel[channel] = (
                self._events.labels(channel),
                self._batches.labels(channel),
            )
        events_counter, batches_counter = self._by_channel[channel]
        events_counter.inc(events)
        batches_counter.inc()

    def gap(self, reason: str) -> None:
        self.gaps_total += 1
        self._gaps.labels(reason).inc()

    def reconnect(self) -> None:
        self.reconnects_total += 1
        self._reconnects.inc()

    def lag(self, age_ns: int) -> None:
        """Observe the age of the newest event of a batch when it was handled."""
        self.lag_ms = age_ns / NANOSECONDS_PER_MILLISECOND
        self._lag.observe(age_ns / NANOSECONDS_PER_SECOND)

    def waiting(self, entries: int) -> None:
        """Set the number of stream entries that wait; negative numbers count as 0, as a reader may
        move on while the end of its stream is being requested."""
        self.lag_entries = max(0, entries)
        self._lag_entries.set(self.lag_entries)

    def count(self, name: str, amount: float = 1) -> None:
        """Add to a counter that only Admin.GetStatus shows."""
        self.counters[name] = self.counters.get(name, 0) + amount

    def serving(self) -> None:
        self.state, self.detail = registry_pb2.SERVICE_STATE_SERVING, ""

    def degraded(self, detail: str) -> None:
        """Set the state DEGRADED: the process lacks something that it needs."""
        self.state, self.detail = registry_pb2.SERVICE_STATE_DEGRADED, detail

    def status(self) -> registry_pb2.ServiceStatus:
        """The figures now. The rate is since the last reading that was a second or more ago."""
        return registry_pb2.ServiceStatus(
            state=self.state,
            detail=self.detail,
            events_total=self.events_total,
            events_per_second=self._rate(),
            lag_entries=self.lag_entries,
            lag_ms=self.lag_ms,
            gaps_total=self.gaps_total,
            reconnects_total=self.reconnects_total,
            memory_bytes=resident_bytes(),
        )

    def shown_status(self) -> registry_pb2.ServiceStatus:
        """The figures as others see them: a standby process is STANDBY. The registry gets
        its own state, which counts as soon as it is called."""
        status = self.status()
        if self.stands_by:
            status.state = registry_pb2.SERVICE_STATE_STANDBY
            status.detail = "another instance is called"
        return status

    def serve(self, host: str, port: int) -> None:
        """Serve metrics to Prometheus on this port in a separate thread."""
        start_http_server(port, host, registry=self.registry)

    def _rate(self) -> float:
        now_ns = time.monotonic_ns()
        elapsed_s = (now_ns - self._read_at_ns) / 1e9
        if elapsed_s >= 1:
            self._last_rate = (self.events_total - self._events_before) / elapsed_s
            self._events_before, self._read_at_ns = self.events_total, now_ns
        return self._last_rate

    _last_rate = 0.0


def resident_bytes() -> int:
    """Resident memory of this process; 0 where the system does not report it."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_SIZE_BYTES
    except OSError:
        return 0
