"""The faults of one venue: waiting, active, over. ``fault_commands.py`` describes each. Seeded."""

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import Channel, ExchangeStream, Frame
from kit.simulator.fault_commands import (
    CUTS,
    LASTING,
    ON_ACCOUNT_EVENTS,
    ON_ANSWERS,
    ON_CALLS,
    ON_COMPLETED_CALLS,
    ON_MESSAGES,
    ON_SUBSCRIPTIONS,
    FaultCommand,
    FaultKind,
)
from kit.simulator.outgoing_frames import FaultAction, OutgoingFrame

HUGE_BYTES = 20 * 1024 * 1024
UNKNOWN_EVENT = b'{"e":"neverHeardOf","event":"neverHeardOf","type":"neverHeardOf"}'
ACTIVE_MAX = 1_000
"""How many faults of a venue may wait or be active."""
NOTHING: Mapping[str, Callable[[Frame], Sequence[Frame]]] = MappingProxyType({})
ACTIONS: Mapping[str, FaultAction] = {
    FaultKind.DROP: FaultAction.LOST,
    FaultKind.SEQUENCE_GAP: FaultAction.LOST,
    FaultKind.DUPLICATE: FaultAction.TWICE,
    FaultKind.REORDER: FaultAction.HELD,
    FaultKind.MALFORMED: FaultAction.HALVED,
    FaultKind.SILENCE: FaultAction.LOST,
}
INJECTED: Mapping[str, Callable[[], bytes]] = {
    FaultKind.UNKNOWN_EVENT: lambda: UNKNOWN_EVENT,
    FaultKind.HUGE: lambda: b'{"huge":"%b"}' % (b"x" * HUGE_BYTES),
}
"""Frames that are sent before the one that was hit."""
USUAL = frozenset(FaultKind) - {FaultKind.STALE_SNAPSHOT}
"""The faults that every venue has in every world."""
ELSEWHERE = (
    ON_SUBSCRIPTIONS | ON_MESSAGES | ON_CALLS | ON_COMPLETED_CALLS | ON_ACCOUNT_EVENTS | ON_ANSWERS
)
"""The faults that do not change frames."""

_log = telemetry.logger("simulator.faults")


@dataclass(frozen=True, slots=True)
class ConnectionDrop:
    """All connections that are subscribed to this stream end, in one of three ways."""

    kind: FaultKind
    stream: ExchangeStream


class _Fault:
    """A command, and how often it has fired."""

    def __init__(self, command: FaultCommand, seed: str) -> None:
        self.command = command
        self.fired = 0
        self._random = random.Random(seed)
        self._lasts = command.fault in LASTING
        self._until_ns = 0

    def concerns(self, stream: ExchangeStream) -> bool:
        command = self.command
        if command.symbol and command.symbol != stream.symbol:
            return False
        if command.fault == FaultKind.SEQUENCE_GAP and not command.channel:
            return stream.channel is Channel.BOOK
        return not command.channel or command.channel == stream.channel

    def fires(self, now_ns: int) -> bool:
        """Whether the fault acts now. One that lasts acts until its time has passed."""
        if self._lasts and now_ns < self._until_ns:
            return True
        if self.over(now_ns) or self._random.random() >= self.command.probability:
            return False
        self.fired += 1
        if self._lasts:
            length_ns = int(self.command.seconds * NANOSECONDS_PER_SECOND)
            self._until_ns = now_ns + length_ns if length_ns else 1 << 63
        return True

    def missed(self) -> None:
        """It fired at a frame that it cannot change."""
        self.fired -= 1

    def over(self, now_ns: int) -> bool:
        return 0 < self.command.count <= self.fired and now_ns >= self._until_ns


def _names(path: str, only_named: bool) -> Callable[[_Fault], bool]:
    """Whether a fault concerns this path; with ``only_named`` the fault must name a path."""

    def concerned(fault: _Fault) -> bool:
        named = fault.command.path
        return named in path and (bool(named) or not only_named)

    return concerned


class FaultInjector:
    """The faults of one venue."""

    def __init__(
        self,
        venue_id: str,
        seed: int,
        commands: Iterable[FaultCommand] = (),
        own: Mapping[str, Callable[[Frame], Sequence[Frame]]] = NOTHING,
    ) -> None:
        """``own`` has the faults of this venue alone. Raises ValueError."""
        self._own = own
        self._actions: dict[str, Callable[[FaultCommand], None]] = {}
        self._seed = f"{seed}/{venue_id}"
        self._ordered = 0
        self._began_ns = 0
        self._now_ns = 0
        self._waiting: list[_Fault] = []
        self._on_frames: list[_Fault] = []
        self._elsewhere: list[_Fault] = []
        self._held: set[tuple[ExchangeStream, object]] = set()
        for command in commands:
            self.add(command)

    @property
    def known(self) -> list[str]:
        """The names of all faults and market actions of this venue."""
        return sorted({*USUAL, *self._own, *self._actions})

    @property
    def quiet(self) -> bool:
        return not self._on_frames and not self._held

    def register(self, name: str, act: Callable[[FaultCommand], None]) -> None:
        """Set what happens at once when such a command begins; it may raise ValueError."""
        self._actions[name] = act

    def add(self, command: FaultCommand) -> None:
        """Switch a fault on, or perform a market action. Raises ValueError: the name is unknown,
        there are too many faults, or the action cannot be performed."""
        if command.fault not in self.known:
            raise ValueError(f"no fault {command.fault[:60]}; allowed are {', '.join(self.known)}")
        if len(self._waiting) + len(self._on_frames) + len(self._elsewhere) >= ACTIVE_MAX:
            raise ValueError(f"more than {ACTIVE_MAX} faults")
        self._ordered += 1
        fault = _Fault(command, f"{self._seed}/{self._ordered}")
        if self._due(fault):
            self._begin(fault)
        else:
            self._waiting.append(fault)

    def clear(self) -> None:
        self._waiting, self._on_frames, self._elsewhere = [], [], []

    def status(self) -> Sequence[dict[str, object]]:
        """The faults that are not over, and how often each has fired."""
        faults = [*self._waiting, *self._on_frames, *self._elsewhere]
        left = self._left(faults)
        return [{**msgspec.to_builtins(one.command), "fired": one.fired} for one in left]

    def advance(self, now_ns: int) -> None:
        """Set the venue's time, and begin the faults that are due."""
        self._began_ns = self._began_ns or now_ns
        self._now_ns = now_ns
        due = [fault for fault in self._waiting if self._due(fault)]
        if due:
            self._waiting = [fault for fault in self._waiting if not self._due(fault)]
        for fault in due:
            try:
                self._begin(fault)
            except ValueError as error:
                detail = {"fault": fault.command.fault, "detail": str(error)}
                _log.warning("a fault command cannot be performed", extra=detail)

    def apply(
        self,
        frames: Iterable[Frame],
        subscribed: Collection[ExchangeStream],
        connection: object = None,
    ) -> Iterator[list[OutgoingFrame] | ConnectionDrop]:
        """The frames to send, and the cuts, in their order. ``connection``: the only one that gets
        them; None: all that are subscribed to their streams."""
        out: list[OutgoingFrame] = []
        for frame in frames:
            stream, payload = frame
            if stream not in subscribed:
                continue
            if (stream, connection) in self._held:
                self._held.remove((stream, connection))
                out.append(OutgoingFrame(stream, payload, FaultAction.RELEASING))
                continue
            fault, changed = self._hit(frame)
            if any(outgoing.action is FaultAction.HELD for outgoing in changed):
                self._held.add((stream, connection))
            if fault in CUTS:
                yield out
                yield ConnectionDrop(FaultKind(fault), stream)
                out = []
            out += changed
        self._on_frames = self._left(self._on_frames)
        yield out

    def release(self) -> None:
        """Forget the held frames: no next frame will come."""
        self._held.clear()

    def on_subscription(self, stream: ExchangeStream) -> FaultCommand | None:
        """The fault that hits a new subscription, if any."""
        return self._elsewhere_fires(ON_SUBSCRIPTIONS, lambda fault: fault.concerns(stream))

    def on_message(self) -> FaultCommand | None:
        """The fault that hits a message of a client, if any."""
        return self._elsewhere_fires(ON_MESSAGES, lambda fault: True)

    def on_call(self, path: str, opens_websocket: bool = False) -> FaultCommand | None:
        """The fault that hits a REST call, if any. A fault without a path does not hit the opening
        of a websocket."""

        return self._elsewhere_fires(ON_CALLS, _names(path, only_named=opens_websocket))

    def on_completed_call(self, path: str, over_websocket: bool = False) -> FaultCommand | None:
        """The fault that hits the answer to a call that was carried out, if any. A fault without a
        path does not hit messages over a websocket."""
        return self._elsewhere_fires(ON_COMPLETED_CALLS, _names(path, only_named=over_websocket))

    def on_account_events(self, streams: Collection[ExchangeStream]) -> FaultCommand | None:
        """The fault that changes when events of an account are sent on these streams, if any."""
        return self._elsewhere_fires(
            ON_ACCOUNT_EVENTS, lambda fault: any(map(fault.concerns, streams))
        )

    def on_answer(self, kind: FaultKind, path: str, symbol: str = "") -> FaultCommand | None:
        """The fault that changes what a REST call shows (of a symbol), if any."""
        return self._elsewhere_fires(
            {kind},
            lambda fault: (
                fault.command.path in path and (not symbol or fault.command.symbol in ("", symbol))
            ),
        )

    def waits_for(self, kind: FaultKind) -> bool:
        """Whether such a fault is active."""
        return any(fault.command.fault == kind for fault in self._elsewhere)

    def _elsewhere_fires(
        self, kinds: Collection[str], concerned: Callable[[_Fault], bool]
    ) -> FaultCommand | None:
        for fault in self._elsewhere:
            if fault.command.fault in kinds and concerned(fault) and fault.fires(self._now_ns):
                self._elsewhere = self._left(self._elsewhere)
                return fault.command
        return None

    def _left(self, faults: Iterable[_Fault]) -> list[_Fault]:
        return [fault for fault in faults if not fault.over(self._now_ns)]

    def _hit(self, frame: Frame) -> tuple[str, list[OutgoingFrame]]:
        """The name of the first fault that fires, or "", and the frames in place of the frame."""
        for fault in self._on_frames:
            if fault.concerns(frame[0]) and fault.fires(self._now_ns):
                changed = self._changed(fault.command.fault, frame)
                if changed is not None:
                    return fault.command.fault, changed
                fault.missed()
        return "", [OutgoingFrame(*frame)]

    def _changed(self, name: str, frame: Frame) -> list[OutgoingFrame] | None:
        """The frames in place of a frame; None: a fault of the venue alone does not concern it."""
        stream, payload = frame
        if name in self._own:
            found = list(self._own[name](frame))
            if found == [frame]:
                return None
            return [OutgoingFrame(*one) for one in found] or [
                OutgoingFrame(stream, payload, FaultAction.LOST)
            ]
        if name in INJECTED:
            return [
                OutgoingFrame(stream, INJECTED[name](), FaultAction.INJECTED),
                OutgoingFrame(*frame),
            ]
        return [OutgoingFrame(stream, payload, ACTIONS.get(name, FaultAction.SENT))]

    def _due(self, fault: _Fault) -> bool:
        return self._now_ns - self._began_ns >= fault.command.at_s * NANOSECONDS_PER_SECOND

    def _begin(self, fault: _Fault) -> None:
        name = fault.command.fault
        if name in self._actions:
            self._actions[name](fault.command)
        if name in ELSEWHERE and name not in self._own:
            self._elsewhere.append(fault)
        elif name in self._own or name not in self._actions:
            self._on_frames.append(fault)
