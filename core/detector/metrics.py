"""The metrics of the detector."""

from kit.base.telemetry import Meter


class DetectorMetrics:
    """What each strategy has seen and raised."""

    def __init__(self, meter: Meter) -> None:
        self._bars = meter.counter("detector_bars", "Final bars that were evaluated", "strategy")
        self._signals = meter.counter("detector_signals", "Signals that were stored", "strategy")
        self._stopped = meter.gauge(
            "detector_stopped_strategies", "Strategies that were stopped by an error of their own"
        )

    def evaluated(self, strategy: str, bars: int, signals: int) -> None:
        self._bars.labels(strategy).inc(bars)
        self._signals.labels(strategy).inc(signals)

    def stopped(self) -> None:
        self._stopped.inc()
