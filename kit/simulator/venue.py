"""One simulated venue: its connections and their subscriptions."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable

from aiohttp import WSCloseCode

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.simulator.connection import ClientConnection
from kit.simulator.dialect import UNKNOWN, Dialect, ExchangeStream, Frame
from kit.simulator.fault_commands import FaultCommand, FaultKind
from kit.simulator.faults import ConnectionDrop, FaultInjector
from kit.simulator.listing import ExchangeBookSnapshot
from kit.simulator.outgoing_frames import OutgoingFrame

INTEREST_NS = 60 * NANOSECONDS_PER_SECOND
RESENT_USUAL = 5
RECENT_MAX = 10_000


class SimulatedVenue:
    """The connections of one venue. Delivers each frame to those that subscribed to its stream."""

    def __init__(
        self,
        venue_id: str,
        dialect: Dialect,
        faults: FaultInjector,
        clock: Clock,
        start_delay_s: float = 0.0,
    ) -> None:
        self.venue_id = venue_id
        self.dialect = dialect
        self.faults = faults
        self.connections: list[ClientConnection] = []
        self.wanted: Collection[ExchangeStream] = frozenset()
        """The streams with a subscriber."""
        self.old_books: dict[str, ExchangeBookSnapshot] = {}
        """The books at the time of a ``stale_snapshot`` command."""
        self.on_activity: Callable[[], None] | None = None
        """Called when a client connects or calls."""
        self._touched_ns = 0
        self.clock = clock
        self._start_delay_s = start_delay_s
        self._readers: dict[ExchangeStream, list[ClientConnection]] = {}
        self._changed = asyncio.Event()
        self._settled = False
        self._sent_to_gone = 0
        self._recent: deque[Frame] = deque(maxlen=RECENT_MAX)
        """The newest frames, while a ``resend`` fault is active."""
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def frames_sent(self) -> int:
        """How many frames were sent to all connections, also to closed ones."""
        return self._sent_to_gone + sum(one.frames_sent for one in self.connections)

    @property
    def is_active(self) -> bool:
        """Whether a client is connected, or has called in the last minute."""
        idle_ns = self.clock.monotonic_ns() - self._touched_ns
        return bool(self.connections) or idle_ns < INTEREST_NS

    def touch(self) -> None:
        """Note that a client has called."""
        self._touched_ns = self.clock.monotonic_ns()
        if self.on_activity is not None:
            self.on_activity()

    def join(self, connection: ClientConnection) -> None:
        self.connections.append(connection)
        self.subscriptions_changed()

    def leave(self, connection: ClientConnection) -> None:
        self.connections.remove(connection)
        self.touch()
        self._sent_to_gone += connection.frames_sent
        self.subscriptions_changed()

    def subscriptions_changed(self) -> None:
        """Update the readers of each stream after a change of subscriptions."""
        readers: dict[ExchangeStream, list[ClientConnection]] = {}
        for connection in self.connections:
            if connection.stalled or not connection.open:
                continue
            streams = set(connection.session.streams.values()) - connection.muted
            for stream in streams:
                readers.setdefault(stream, []).append(connection)
            if streams:
                readers.setdefault(UNKNOWN, []).append(connection)
        self._settled = self._settled and bool(readers)
        self._readers = readers
        self.wanted = readers.keys() - {UNKNOWN}
        self._changed.set()

    def has_subscribers(self) -> bool:
        """Whether a client is subscribed and no subscription has followed for a while."""
        return self._settled

    async def wait_for_subscribers(self) -> None:
        """Wait until a client is subscribed, and no other subscription follows for a while.

        So a client that opens several connections, or subscribes in several messages, gets a
        capture from its beginning on all of them.
        """
        while not self._settled:
            self._changed.clear()
            if not self._readers:
                await self._changed.wait()
                continue
            await self.clock.sleep(self._start_delay_s)
            self._settled = not self._changed.is_set()

    def subscribed(
        self, connection: ClientConnection, stream: ExchangeStream
    ) -> list[OutgoingFrame]:
        """Apply faults to a new subscription. Returns the frames that are sent again."""
        command = self.faults.on_subscription(stream)
        if command is None:
            return []
        if command.fault == FaultKind.ACK_THEN_SILENCE:
            connection.muted.add(stream)
            return []
        count = int(command.value or RESENT_USUAL)
        frames = [payload for at, payload in self._recent if at is stream]
        return [OutgoingFrame(stream, payload) for payload in reversed(frames[-count:])]

    def shut_down(self, command: FaultCommand) -> None:
        """Close all current connections after the seconds of the command."""
        task = asyncio.create_task(self._close_later(list(self.connections), command.seconds))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def deliver(self, frames: Iterable[Frame], wait: bool) -> None:
        """Send to each connection what it is subscribed to.

        With ``wait`` it returns when the slowest is ready for more. Without, a connection that is
        too far behind is cut off, as exchanges do.
        """
        if self.faults.waits_for(FaultKind.RESEND):
            frames = list(frames)
            self._recent.extend(frames)
        if self.faults.quiet:
            await self._send(frames, wait)
            return
        for part in self.faults.apply(frames, self._readers.keys()):
            if isinstance(part, ConnectionDrop):
                await self._cut(part)
            else:
                await self._send_outgoing(part, wait)

    async def release(self) -> None:
        """Send the held frames: no next frame will come."""
        self.faults.release()
        for connection in self.connections:
            await connection.send_held()

    async def close_all(self, code: int, reason: str) -> None:
        for task in self._closing:
            task.cancel()
        for connection in list(self.connections):
            await connection.close(code, reason)

    async def _send(self, frames: Iterable[Frame], wait: bool) -> None:
        mail: dict[ClientConnection, list[bytes]] = {one: [] for one in self.connections}
        readers = {
            stream: [mail[one].append for one in found] for stream, found in self._readers.items()
        }
        for stream, payload in frames:
            for append in readers.get(stream, ()):
                append(payload)
        sending = [one.send(payloads, wait) for one, payloads in mail.items() if payloads]
        if len(sending) == 1:
            await sending[0]
        elif sending:
            await asyncio.gather(*sending)

    async def _send_outgoing(self, outgoing_frames: Iterable[OutgoingFrame], wait: bool) -> None:
        mail: dict[ClientConnection, list[OutgoingFrame]] = {}
        for outgoing in outgoing_frames:
            for connection in self._readers.get(outgoing.stream, ()):
                mail.setdefault(connection, []).append(outgoing)
        for connection, received in mail.items():
            await connection.send_outgoing(received, wait)

    async def _close_later(self, connections: Iterable[ClientConnection], seconds: float) -> None:
        await self.clock.sleep(seconds)
        for connection in connections:
            await connection.close(WSCloseCode.GOING_AWAY, "shutting down")

    async def _cut(self, cut: ConnectionDrop) -> None:
        for connection in self._readers.get(cut.stream, ()):
            if cut.kind is FaultKind.RESET:
                connection.reset()
            elif cut.kind is FaultKind.STALL:
                connection.stall()
            else:
                await connection.close(WSCloseCode.GOING_AWAY, "")
        self.subscriptions_changed()
