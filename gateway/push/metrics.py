"""The metrics of the websocket."""

from collections.abc import Callable

from kit.base.telemetry import Meter


class PushMetrics:
    """What Prometheus and Admin show of it."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._sent = meter.counter("push_messages", "Messages of topics that were written")
        self._ended = meter.counter("push_ended_subscriptions", "Ended by the mesh", "reason")

    def watch(self, connections: Callable[[], int], topics: Callable[[], int]) -> None:
        self._meter.gauge("push_connections", "Open websockets").set_function(connections)
        self._meter.gauge("push_topics", "Topics that are read").set_function(topics)

    def sent(self) -> None:
        self._meter.events_total += 1
        self._sent.inc()

    def subscription_ended(self, reason: str) -> None:
        self._ended.labels(reason).inc()
