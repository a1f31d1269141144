"""The metrics of the inspector."""

from kit.base.telemetry import Meter


class InspectorMetrics:
    """Whether this process is active, delayed closings, and positions without a stop."""

    def __init__(self, meter: Meter) -> None:
        self.active = meter.gauge("inspector_acting", "1 while this process acts, otherwise 0")
        self.closing_waits = meter.gauge(
            "inspector_closing_waits", "Positions whose closing waits for something"
        )
        self.unprotected = meter.gauge(
            "inspector_positions_unprotected",
            "Positions that have no stop and are not being closed",
        )
