"""Which venues this process repairs: it shares them with other processes by leases.

A process that is frozen in the middle of a job may continue after another one has taken the venue.
Then the stream of repairs has another end than it knows, and refuses what it publishes.
"""

from typing import Protocol


class VenueOwnership(Protocol):
    """As ``SharedWork``."""

    def owns(self, name: str) -> bool:
        """Whether a venue is repaired here."""


class AllVenues:
    """The ownership of a process that is alone."""

    def owns(self, name: str) -> bool:
        return True
