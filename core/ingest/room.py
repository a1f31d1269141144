"""How much room Redis has left."""

import asyncio


class Room:
    """The memory of Redis: measured now and then, and between that reckoned by what is written.

    With ``waits``, writers wait while there is none; without, someone else makes room.
    """

    def __init__(self, bytes_max: int, waits: bool) -> None:
        self.bytes_max = bytes_max
        self.waits = waits
        self.used_bytes = 0
        self._free = asyncio.Event()
        self._free.set()

    @property
    def is_full(self) -> bool:
        """Whether the bound is reached."""
        return self.used_bytes >= self.bytes_max

    def measure(self, used_bytes: int) -> None:
        """What Redis says that it uses."""
        self.used_bytes = used_bytes
        self._update()

    def fill(self, size_bytes: int) -> None:
        """So much has been written."""
        self.used_bytes += size_bytes
        self._update()

    async def wait(self) -> None:
        """Until there is room, where that is the policy."""
        await self._free.wait()

    def _update(self) -> None:
        if self.waits and self.is_full:
            self._free.clear()
        else:
            self._free.set()
