"""What all writers and the trimmer of a process share."""

from dataclasses import dataclass

from core.ingest.memory_budget import MemoryBudget
from core.ingest.settings import IngestSettings
from kit.base.clock import Clock
from kit.base.degradation import DegradedReasons
from kit.base.telemetry import Meter
from kit.marketdata.delivery.redis_streams import RedisStreams


@dataclass(frozen=True, slots=True)
class IngestContext:
    """The shared collaborators of one ingest process."""

    streams: RedisStreams
    memory: MemoryBudget
    settings: IngestSettings
    meter: Meter
    degraded: DegradedReasons
    clock: Clock
