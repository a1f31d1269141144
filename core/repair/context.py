"""What all parts of Repair work with."""

from dataclasses import dataclass, field

from core.repair.hole_store import HoleStore
from core.repair.metrics import RepairMetrics
from core.repair.publisher import RepairPublisher
from core.repair.record_reader import RecordReader
from core.repair.settings import RepairSettings
from core.repair.venue_clients import VenueClients
from core.repair.venue_ownership import AllVenues, VenueOwnership
from kit.base.clock import Clock
from kit.base.database import Database
from kit.base.degradation import DegradedReasons


@dataclass(frozen=True, slots=True)
class RepairContext:
    """The record, the holes in it, the venues, and how Repair reports."""

    database: Database
    record: RecordReader
    store: HoleStore
    venues: VenueClients
    publisher: RepairPublisher
    settings: RepairSettings
    metrics: RepairMetrics
    degraded_reasons: DegradedReasons
    clock: Clock
    ownership: VenueOwnership = field(default_factory=AllVenues)
