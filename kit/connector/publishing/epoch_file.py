"""The epoch of a venue process: larger at every start, also when the clock has stepped back."""

import os
from pathlib import Path

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, Clock


class EpochFile:
    """Remembers the last epoch of a venue in its data folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def last(self) -> int | None:
        """The last epoch before this start, or None."""
        try:
            return int(self._path.read_text())
        except (OSError, ValueError):
            return None

    def next(self, clock: Clock, above: int = 0) -> int:
        """A new epoch in ms, on disk: the time, or one more than every epoch before.

        Redis refuses entries whose id is not larger than the last; an epoch that fell back would
        make it refuse good data.
        """
        now_ms = clock.time_ns() // NANOSECONDS_PER_MILLISECOND
        epoch = max(now_ms, (self.last() or 0) + 1, above + 1)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        with fresh.open("w") as file:
            file.write(str(epoch))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        return epoch
