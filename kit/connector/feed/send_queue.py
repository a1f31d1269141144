"""What waits to be said on a connection, at the pace that the venue allows."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from kit.base.clock import Clock


class SendQueue:
    """One queue for everyone who has something to say on a connection."""

    def __init__(self, send: Callable[[str], None], per_second: float, clock: Clock) -> None:
        self._send = send
        self._pause_s = 1 / per_second
        self._clock = clock
        self._waiting: deque[tuple[str, frozenset[str]]] = deque()
        self._filled = asyncio.Event()

    @property
    def empty(self) -> bool:
        """Whether all has been said."""
        return not self._waiting

    def concerns(self, symbol: str) -> bool:
        """Whether something about this instrument waits."""
        return any(symbol in symbols for _, symbols in self._waiting)

    def put(self, messages: Iterable[str], symbols: Iterable[str]) -> None:
        """Say these after all else; they are about these instruments."""
        about = frozenset(symbols)
        self._waiting.extend((message, about) for message in messages)
        self._wake()

    def put_first(self, messages: Iterable[str]) -> None:
        """Say these before all else: what keeps the connection alive."""
        self._waiting.extendleft((message, frozenset[str]()) for message in reversed([*messages]))
        self._wake()

    def clear(self) -> None:
        """Say nothing of it: there is nobody any more who listens."""
        self._waiting.clear()
        self._filled.clear()

    async def run(self) -> None:
        """Endless."""
        while True:
            await self._filled.wait()
            message, _ = self._waiting.popleft()
            if not self._waiting:
                self._filled.clear()
            self._send(message)
            await self._clock.sleep(self._pause_s)

    def _wake(self) -> None:
        if self._waiting:
            self._filled.set()
