"""The replicas of one venue: several processes. Ingest reads one at a time."""

from collections.abc import Sequence
from typing import NamedTuple

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.telemetry import Meter

FAILED_S = 3.0
"""For this long after a failure, a replica is tried after the others."""


class Replica(NamedTuple):
    """One process of a venue."""

    service_id: str
    address: str
    """host:port."""
    epoch: int = 0
    """The epoch of its cursors; 0 if unknown."""


class ActiveReplicaGauge:
    """Metric that shows which replica of each venue is read."""

    def __init__(self, meter: Meter) -> None:
        self._gauge = meter.gauge("read", "1: this process is read", "venue", "service_id")

    def show(self, venue: str, chosen: Replica, listed: Sequence[Replica]) -> None:
        """Set the gauge to 1 for the chosen replica and to 0 for the others."""
        for instance in listed:
            is_read = instance.service_id == chosen.service_id
            self._gauge.labels(venue, instance.service_id).set(is_read)

    def clear(self, venue: str, listed: Sequence[Replica]) -> None:
        """Set the gauge to 0 for all replicas of a venue."""
        for instance in listed:
            self._gauge.labels(venue, instance.service_id).set(0)


class VenueReplicas:
    """Chooses the replica to read: the one with the lowest usable epoch. The cursors of the others
    are then above all that is written, so the stream can continue with one of them."""

    def __init__(self, clock: Clock, instances: Sequence[Replica] = ()) -> None:
        self.instances = tuple(instances)
        """As the registry lists them."""
        self._clock = clock
        self._failed_ns: dict[str, int] = {}

    def choose(self, newest_epoch: int) -> Replica:
        """Return the replica to read after entries of this epoch. If the epochs of all replicas are
        lower, return one of those: it learns of the higher epoch and starts a new one."""
        now_ns = self._clock.monotonic_ns()
        usable = [one for one in self.instances if not one.epoch or one.epoch >= newest_epoch]

        def order(one: Replica) -> tuple[int, int, str]:
            failed_ns = self._failed_ns.get(one.service_id, 0)
            is_over = now_ns - failed_ns > FAILED_S * NANOSECONDS_PER_SECOND
            return (0 if is_over else failed_ns, one.epoch, one.service_id)

        return min(usable or self.instances, key=order)

    def failed(self, instance: Replica) -> bool:
        """Note that a replica is away or hangs. Returns whether another one may be available."""
        now_ns = self._clock.monotonic_ns()
        self._failed_ns[instance.service_id] = now_ns
        bound_ns = now_ns - FAILED_S * NANOSECONDS_PER_SECOND
        return any(
            self._failed_ns.get(one.service_id, 0) < bound_ns for one in self.others(instance)
        )

    def others(self, instance: Replica) -> list[Replica]:
        """Return all replicas but this one."""
        return [one for one in self.instances if one.service_id != instance.service_id]

    def outdated(self, newest_epoch: int) -> list[Replica]:
        """Return replicas whose epoch is below what is written. They cannot take over before they
        have started a new epoch."""
        return [one for one in self.instances if 0 < one.epoch < newest_epoch]
