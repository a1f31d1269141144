"""The messages that wait to be sent on a connection, at the pace that the venue allows."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from kit.base.clock import Clock


class SendQueue:
    """One queue for all senders of a connection."""

    def __init__(self, send: Callable[[str], None], per_second: float, clock: Clock) -> None:
        self._send = send
        self._pause_s = 1 / per_second
        self._clock = clock
        self._waiting: deque[tuple[str, frozenset[str]]] = deque()
        self._filled = asyncio.Event()

    @property
    def is_empty(self) -> bool:
        """Whether all messages have been sent."""
        return not self._waiting

    def has_messages_of(self, symbol: str) -> bool:
        """Whether a message about this instrument waits."""
        return any(symbol in symbols for _, symbols in self._waiting)

    def put(self, messages: Iterable[str], symbols: Iterable[str]) -> None:
        """Send messages about these instruments after all others."""
        about = frozenset(symbols)
        self._waiting.extend((message, about) for message in messages)
        self._wake()

    def put_first(self, messages: Iterable[str]) -> None:
        """Send these before all others: they keep the connection alive."""
        self._waiting.extendleft((message, frozenset[str]()) for message in reversed([*messages]))
        self._wake()

    def clear(self) -> None:
        """Drop all messages: the connection that they were meant for is gone."""
        self._waiting.clear()
        self._filled.clear()

    async def run(self) -> None:
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
