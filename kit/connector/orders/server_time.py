"""How a venue is asked for its time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.execution.account_configuration import ClockOffset


@dataclass(frozen=True, slots=True)
class ServerTimeQuery:
    """A public call that returns the venue's time."""

    method: str
    """A raw method of ccxt."""
    read: Callable[[Any], int]
    """The time in an answer, ns since the Unix epoch."""
    resolution_ns: int = NANOSECONDS_PER_MILLISECOND
    """The unit in which the venue states it; the rest is cut off."""

    def offset(self, answer: Any, sent_time_ns: int, received_time_ns: int) -> ClockOffset:
        """Return the offset of the venue's clock. The venue read it between the two times. Raises
        LookupError, ValueError and the like for an answer without a time."""
        stated_ns = self.read(answer)
        if stated_ns <= 0:
            raise ValueError(f"no time: {stated_ns}")
        server_time_ns = stated_ns + self.resolution_ns // 2
        middle_ns = (sent_time_ns + received_time_ns) // 2
        round_trip_ns = received_time_ns - sent_time_ns
        return ClockOffset(server_time_ns - middle_ns, (round_trip_ns + self.resolution_ns) // 2)
