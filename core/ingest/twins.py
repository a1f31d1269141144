"""The processes of one venue, of which one is read at a time."""

from collections.abc import Sequence
from typing import NamedTuple

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.telemetry import Meter

FAILED_S = 3.0
"""So long a process that has failed is tried after those that have not."""


class Instance(NamedTuple):
    """One process."""

    service_id: str
    address: str
    """host:port."""
    epoch: int = 0
    """In which it numbers its batches; 0: it does not say."""


class Reading:
    """Tells which process of each venue is read, as a metric."""

    def __init__(self, meter: Meter) -> None:
        self._gauge = meter.gauge("read", "1: this process is read", "venue", "service_id")

    def tell(self, venue: str, chosen: Instance, listed: Sequence[Instance]) -> None:
        """This one, and none of the others."""
        for instance in listed:
            is_read = instance.service_id == chosen.service_id
            self._gauge.labels(venue, instance.service_id).set(is_read)


class VenueReplicas:
    """Chooses. The elder is read, which has the lower epoch: what the younger one numbers then
    stands above all that is written, so that the stream can go on with it."""

    def __init__(self, clock: Clock, instances: Sequence[Instance] = ()) -> None:
        self.instances = tuple(instances)
        """As the registry lists them."""
        self._clock = clock
        self._failed_ns: dict[str, int] = {}

    def choose(self, newest_epoch: int) -> Instance:
        """The process to read after entries of this epoch. Only where there is none whose numbers
        are above those, one whose numbers are below: it hears of them, and begins anew."""
        now_ns = self._clock.monotonic_ns()
        usable = [one for one in self.instances if not one.epoch or one.epoch >= newest_epoch]

        def order(one: Instance) -> tuple[int, int, str]:
            failed_ns = self._failed_ns.get(one.service_id, 0)
            is_over = now_ns - failed_ns > FAILED_S * NANOSECONDS_PER_SECOND
            return (0 if is_over else failed_ns, one.epoch, one.service_id)

        return min(usable or self.instances, key=order)

    def failed(self, instance: Instance) -> bool:
        """It is not there, or hangs. Returns whether another one may be."""
        now_ns = self._clock.monotonic_ns()
        self._failed_ns[instance.service_id] = now_ns
        bound_ns = now_ns - FAILED_S * NANOSECONDS_PER_SECOND
        return any(
            self._failed_ns.get(one.service_id, 0) < bound_ns for one in self.others(instance)
        )

    def others(self, instance: Instance) -> list[Instance]:
        """All but this one."""
        return [one for one in self.instances if one.service_id != instance.service_id]

    def deposed(self, newest_epoch: int) -> list[Instance]:
        """Those whose numbers are below what is written. They could not stand in for the one that
        is read, and have to begin a new epoch."""
        return [one for one in self.instances if 0 < one.epoch < newest_epoch]
