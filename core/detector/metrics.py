"""The metrics of the detector."""

import msgspec
from prometheus_client import Counter

from core.detector.workers.messages import Restrictions
from kit.base import telemetry
from kit.base.telemetry import Meter

_log = telemetry.logger("detector")


class DetectorMetrics:
    """What each strategy has seen and raised."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._counters: dict[str, tuple[Counter, Counter]] = {}
        self._bars = meter.counter("detector_bars", "Final bars that were evaluated", "strategy")
        self._signals = meter.counter("detector_signals", "Signals that were stored", "strategy")
        self._dropped = meter.counter(
            "detector_dropped_signals", "Signals that paused strategies did not raise", "strategy"
        )
        self._restrictions = meter.gauge(
            "detector_worker_restrictions",
            "Whether processes with strategies are restricted so: 1, or 0",
            "restriction",
        )
        self._stopped = meter.gauge(
            "detector_stopped_strategies", "Strategies that were stopped by an error of their own"
        )

    def evaluated(self, strategy: str, bars: int, signals: int, dropped: int) -> None:
        counters = self._counters.get(strategy)
        if counters is None:
            # Finding the counters by their label takes longer than the rest.
            counters = self._bars.labels(strategy), self._signals.labels(strategy)
            self._counters[strategy] = counters
        counters[0].inc(bars)
        if signals:
            counters[1].inc(signals)
        if dropped:
            self._dropped.labels(strategy).inc(dropped)

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
