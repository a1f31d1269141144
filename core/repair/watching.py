"""Who watches which job."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from kit.base.errors import TooManySubscribers, VenuemeshError


class Watching:
    """Wakes those who watch a job when it has changed. Bounded."""

    def __init__(self, watchers_max: int) -> None:
        self._watchers_max = watchers_max
        self._watchers: dict[str, list[asyncio.Event]] = {}
        self._count = 0
        self._end: VenuemeshError | None = None

    def changed(self, repair_id: str) -> None:
        """This job has changed."""
        for event in self._watchers.get(repair_id, ()):
            event.set()

    def end(self, error: VenuemeshError) -> None:
        """Nobody is told anything any more."""
        self._end = error
        for repair_id in self._watchers:
            self.changed(repair_id)

    def require_open(self) -> None:
        """Raises what ``end`` was given."""
        if self._end is not None:
            raise self._end

    @contextmanager
    def watch(self, repair_id: str) -> Iterator[asyncio.Event]:
        """An event that is set at each change. Raises TooManySubscribers."""
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
