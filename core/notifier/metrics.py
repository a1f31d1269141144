"""The metrics of the notifier."""

from kit.base.telemetry import Meter


class NotifierMetrics:
    """Notices by channel."""

    def __init__(self, meter: Meter) -> None:
        self._sent = meter.counter("notices_sent", "Notices that a channel has taken", "channel")
        self._passed_over = meter.counter(
            "notices_passed_over", "Notices that were too old to be sent", "channel"
        )
        self._failures = meter.counter(
            "notices_failures", "Messages that a channel has not taken, each try", "channel"
        )

    def sent(self, channel: str, notices: int, passed_over: int) -> None:
        self._sent.labels(channel).inc(notices)
        self._passed_over.labels(channel).inc(passed_over)

    def failed(self, channel: str) -> None:
        self._failures.labels(channel).inc()
