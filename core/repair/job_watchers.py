"""Callers that watch repair jobs."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from kit.base.errors import TooManySubscribers, VenuemeshError


class JobWatchers:
    """Wakes the watchers of a job when it has changed. At most ``watchers_max``."""

    def __init__(self, watchers_max: int) -> None:
        self._watchers_max = watchers_max
        self._watchers: dict[str, list[asyncio.Event]] = {}
        self._count = 0
        self._end: VenuemeshError | None = None

    def changed(self, repair_id: str) -> None:
        """Wake the watchers of a job."""
        for event in self._watchers.get(repair_id, ()):
            event.set()

    def end(self, error: VenuemeshError) -> None:
        """End all watchers with this error."""
        self._end = error
        for repair_id in self._watchers:
            self.changed(repair_id)

    def require_open(self) -> None:
        """Raise the error of ``end``, if it was called."""
        if self._end is not None:
            raise self._end

    @contextmanager
    def watch(self, repair_id: str) -> Iterator[asyncio.Event]:
        """Yield an event that is set at each change. Raises TooManySubscribers."""
        if self._count >= self._watchers_max:
            raise TooManySubscribers("too many watch repairs", limit=self._watchers_max)
        event = asyncio.Event()
        self._count += 1
        self._watchers.setdefault(repair_id, []).append(event)
        try:
            yield event
        finally:
            self._count -= 1
            self._watchers[repair_id].remove(event)
            if not self._watchers[repair_id]:
                del self._watchers[repair_id]
