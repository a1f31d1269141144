"""The metrics of Audit."""

from kit.base.telemetry import Meter


class AuditMetrics:
    """Size of the log, what waits for it, what it misses, and its newest checkpoint."""

    def __init__(self, meter: Meter) -> None:
        self._leaves = meter.gauge("audit_leaves", "Events in the log")
        self._waiting = meter.gauge("audit_waiting_events", "Events that are not in the log yet")
        self._signed_size = meter.gauge("audit_signed_leaves", "Size of the newest checkpoint")
        self._anchored_size = meter.gauge(
            "audit_anchored_leaves", "Size of the newest checkpoint that an anchor has", "anchor"
        )

        self._refusals = meter.counter(
            "audit_signing_refusals", "Rounds in which nothing could be signed or anchored"
        )
        self._missed = meter.counter(
            "audit_missed_calls", "Calls that changed something and are not in the log"
        )

    def refused_to_sign(self) -> None:
        self._refusals.inc()

    def missed(self, calls: int) -> None:
        self._missed.inc(calls)

    def log(self, leaves: int, waiting: int) -> None:
        """What the log has, and what it does not have yet."""
        self._leaves.set(leaves)
        self._waiting.set(waiting)

    def signed(self, size: int) -> None:
        self._signed_size.set(size)

    def anchored(self, anchor: str, size: int) -> None:
        self._anchored_size.labels(anchor).set(size)
