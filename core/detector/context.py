"""What all strategies of a process share."""

from collections.abc import Callable
from dataclasses import dataclass, field

from core.detector.bar_clients import BarSource
from core.detector.instance_shares import AllInstances, InstanceOwnership
from core.detector.listings import AllListed, Listings
from core.detector.metrics import DetectorMetrics
from core.detector.step_store import StepStore
from kit.base.clock import Clock
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.events.relay import StoredEvents
from kit.strategy.input_feed import InputSource, NoInputs


@dataclass(frozen=True, slots=True)
class DetectorContext:
    """Passed to every strategy runner."""

    database: Database
    source: BarSource
    after_signal: Callable[[StoredEvents | None], None]
    """Called after a transaction with a signal or a new state: EventRelay.wake."""
    metrics: DetectorMetrics
    degraded_reasons: DegradedReasons
    clock: Clock
    inputs: InputSource = field(default_factory=NoInputs)
    """Where market data besides bars come from."""
    listings: Listings = field(default_factory=AllListed)
    """Which instruments there are."""
    ownership: InstanceOwnership = field(default_factory=AllInstances)
    """Which strategies run here."""
    steps: StepStore = field(init=False)
    """Where strategies store what they have seen and raised."""

    def __post_init__(self) -> None:
        steps = StepStore(self.database, self.clock, self.ownership, self.after_signal)
        object.__setattr__(self, "steps", steps)
