"""The metrics of the detector."""

import msgspec

from core.detector.workers.messages import Restrictions
from kit.base import telemetry
from kit.base.telemetry import Meter

_log = telemetry.logger("detector")


class DetectorMetrics:
    """What each strategy has seen and raised."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._bars = meter.counter("detector_bars", "Final bars that were evaluated", "strategy")
        self._signals = meter.counter("detector_signals", "Signals that were stored", "strategy")
        self._restrictions = meter.gauge(
            "detector_worker_restrictions",
            "Whether processes with strategies are restricted so: 1, or 0",
            "restriction",
        )
        self._stopped = meter.gauge(
            "detector_stopped_strategies", "Strategies that were stopped by an error of their own"
        )

    def evaluated(self, strategy: str, bars: int, signals: int) -> None:
        self._bars.labels(strategy).inc(bars)
        self._signals.labels(strategy).inc(signals)

    def started(self, restrictions: Restrictions) -> None:
        """A process for strategies has started."""
        missing: dict[str, str] = {}
        for name, reason in msgspec.structs.asdict(restrictions).items():
            self._restrictions.labels(name).set(not reason)
            self._meter.counters[f"worker_{name}_restricted"] = not reason
            missing |= {name: reason} if reason else {}
        _log.info("a process for strategies has started", extra={"not_restricted": missing})

    def stopped(self) -> None:
        self._stopped.inc()
