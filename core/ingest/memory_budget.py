"""How much memory Redis may still use."""

import asyncio


class MemoryBudget:
    """The memory that Redis uses: measured regularly, and estimated from the writes in between.

    With ``waits``, writers wait while the bound is reached; without, the trimmer deletes entries.
    """

    def __init__(self, bytes_max: int, waits: bool) -> None:
        self.bytes_max = bytes_max
        self.waits = waits
        self.used_bytes = 0
        self._free = asyncio.Event()
        self._free.set()

    @property
    def is_full(self) -> bool:
        """Whether Redis uses all of its memory."""
        return self.used_bytes >= self.bytes_max

    def measure(self, used_bytes: int) -> None:
        """Set the use as Redis reports it."""
        self.used_bytes = used_bytes
        self._update()

    def fill(self, size_bytes: int) -> None:
        """Add what was written since the last measurement."""
        self.used_bytes += size_bytes
        self._update()

    async def wait(self) -> None:
        """Wait while the bound is reached, if that is the policy."""
        await self._free.wait()

    def _update(self) -> None:
        if self.waits and self.is_full:
            self._free.clear()
        else:
            self._free.set()
