"""How unreliable the venue and its process are in one run."""

from dataclasses import dataclass

NOTHING_TAKEN = ("ACCOUNT_NOT_READY", "LIMIT_EXCEEDED", "INVALID_ORDER")
NOT_CLEAR = ("RATE_LIMITED", "VENUE_UNAVAILABLE", "STORE_UNAVAILABLE")
FAULTS = ("lost", "unanswered", "late", "not clear", "slow")


@dataclass(slots=True)
class VenueFaults:
    """Shares from 0 to 1."""

    calls: float = 0
    refused: float = 0
    """Of orders that the process of the venue refuses."""
    rejected: float = 0
    """Of orders that the venue rejects."""
    unknown: float = 0
    """Of orders of which the venue says only later what became of them."""
    parts: float = 0
    """Of orders that are filled in parts."""
    late_fills: float = 0
    """Of fills that are known later than the end of their order."""
    interrupted: float = 0
    """Of news after which the stream ends."""

    @classmethod
    def drawn(cls, chance):
        return cls(
            calls=chance.choice((0, 0.1, 0.3, 0.5)),
            refused=chance.choice((0, 0.1, 0.3)),
            rejected=chance.choice((0, 0.1, 0.3)),
            unknown=chance.choice((0, 0.1, 0.3)),
            parts=chance.choice((0, 0.3, 0.6)),
            late_fills=chance.choice((0, 0, 0.2)),
            interrupted=chance.choice((0, 0.05, 0.2)),
        )

    def heal(self):
        """End all faults."""
        self.calls = self.refused = self.rejected = self.unknown = self.parts = 0
        self.late_fills = self.interrupted = 0
