"""Where faults wait, fire, and are over. What each does is told in orders.py. Seeded."""

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import Channel, Frame, Stream
from kit.simulator.fault_commands import (
    CUTS,
    LASTING,
    ON_ANSWERS,
    ON_CALLS,
    ON_DONE,
    ON_SUBSCRIPTIONS,
    ON_TOLD,
    ON_WORDS,
    FaultCommand,
    FaultKind,
)
from kit.simulator.outgoing_frames import FaultAction, OutgoingFrame

HUGE_BYTES = 20 * 1024 * 1024
UNKNOWN_EVENT = b'{"e":"neverHeardOf","event":"neverHeardOf","type":"neverHeardOf"}'
ACTIVE_MAX = 1_000
"""Faults that wait or fire at the same time, of one venue."""
NOTHING: Mapping[str, Callable[[Frame], Sequence[Frame]]] = MappingProxyType({})
FATES: Mapping[str, FaultAction] = {
    FaultKind.DROP: FaultAction.LOST,
    FaultKind.SEQUENCE_GAP: FaultAction.LOST,
    FaultKind.DUPLICATE: FaultAction.TWICE,
    FaultKind.REORDER: FaultAction.KEPT,
    FaultKind.MALFORMED: FaultAction.HALVED,
    FaultKind.SILENCE: FaultAction.LOST,
}
FOREIGN: Mapping[str, Callable[[], bytes]] = {
    FaultKind.UNKNOWN_EVENT: lambda: UNKNOWN_EVENT,
    FaultKind.HUGE: lambda: b'{"huge":"%b"}' % (b"x" * HUGE_BYTES),
}
"""Frames that come before the one that was hit."""
USUAL = frozenset(FaultKind) - {FaultKind.STALE_SNAPSHOT}
"""That every venue can have in every world."""
ELSEWHERE = ON_SUBSCRIPTIONS | ON_WORDS | ON_CALLS | ON_DONE | ON_TOLD | ON_ANSWERS
"""They act on something else than frames."""

_log = telemetry.logger("simulator.faults")


@dataclass(frozen=True, slots=True)
class Cut:
    """All connections that hear this stream end, in one of three ways."""

    kind: FaultKind
    stream: Stream


class _Fault:
    """An order and how far it is."""

    def __init__(self, order: FaultCommand, seed: str) -> None:
        self.order = order
        self.fired = 0
        self._random = random.Random(seed)
        self._lasts = order.fault in LASTING
        self._until_ns = 0

    def concerns(self, stream: Stream) -> bool:
        order = self.order
        if order.symbol and order.symbol != stream.symbol:
            return False
        if order.fault == FaultKind.SEQUENCE_GAP and not order.channel:
            return stream.channel is Channel.BOOK
        return not order.channel or order.channel == stream.channel

    def fires(self, now_ns: int) -> bool:
        """Whether it acts now. One that lasts does so until its time has passed."""
        if self._lasts and now_ns < self._until_ns:
            return True
        if self.over(now_ns) or self._random.random() >= self.order.probability:
            return False
        self.fired += 1
        if self._lasts:
            length_ns = int(self.order.seconds * NANOSECONDS_PER_SECOND)
            self._until_ns = now_ns + length_ns if length_ns else 1 << 63
        return True

    def missed(self) -> None:
        """It fired at what it cannot change."""
        self.fired -= 1

    def over(self, now_ns: int) -> bool:
        return 0 < self.order.count <= self.fired and now_ns >= self._until_ns


def _names(path: str, only_named: bool) -> Callable[[_Fault], bool]:
    """Whether a fault is about this path; ``only_named``: and has one itself."""

    def concerned(fault: _Fault) -> bool:
        named = fault.order.path
        return named in path and (bool(named) or not only_named)

    return concerned


class Faults:
    """The faults of one venue."""

    def __init__(
        self,
        venue_id: str,
        seed: int,
        orders: Iterable[FaultCommand] = (),
        own: Mapping[str, Callable[[Frame], Sequence[Frame]]] = NOTHING,
    ) -> None:
        """``own``: the faults that only this venue can have. Raises ValueError."""
        self._own = own
        self._acts: dict[str, Callable[[FaultCommand], None]] = {}
        self._seed = f"{seed}/{venue_id}"
        self._ordered = 0
        self._began_ns = 0
        self._now_ns = 0
        self._waiting: list[_Fault] = []
        self._on_frames: list[_Fault] = []
        self._elsewhere: list[_Fault] = []
        self._held: set[tuple[Stream, object]] = set()
        for order in orders:
            self.order(order)

    @property
    def known(self) -> list[str]:
        """The names of all that can be ordered here."""
        return sorted({*USUAL, *self._own, *self._acts})

    @property
    def quiet(self) -> bool:
        """Whether frames pass untouched."""
        return not self._on_frames and not self._held

    def learn(self, name: str, act: Callable[[FaultCommand], None]) -> None:
        """What this world does when such an order begins; it may raise ValueError."""
        self._acts[name] = act

    def order(self, order: FaultCommand) -> None:
        """Switch a fault on, or let an act happen. Raises ValueError when there is none of this
        name, when there are too many, or when it cannot be done."""
        if order.fault not in self.known:
            raise ValueError(f"no fault {order.fault[:60]}; allowed are {', '.join(self.known)}")
        if len(self._waiting) + len(self._on_frames) + len(self._elsewhere) >= ACTIVE_MAX:
            raise ValueError(f"more than {ACTIVE_MAX} faults")
        self._ordered += 1
        fault = _Fault(order, f"{self._seed}/{self._ordered}")
        if self._due(fault):
            self._begin(fault)
        else:
            self._waiting.append(fault)

    def clear(self) -> None:
        """Switch all off."""
        self._waiting, self._on_frames, self._elsewhere = [], [], []

    def status(self) -> Sequence[dict[str, object]]:
        """The faults that are not over, and how often each has fired."""
        faults = [*self._waiting, *self._on_frames, *self._elsewhere]
        left = self._left(faults)
        return [{**msgspec.to_builtins(one.order), "fired": one.fired} for one in left]

    def advance(self, now_ns: int) -> None:
        """The venue's own time has come to this."""
        self._began_ns = self._began_ns or now_ns
        self._now_ns = now_ns
        due = [fault for fault in self._waiting if self._due(fault)]
        if due:
            self._waiting = [fault for fault in self._waiting if not self._due(fault)]
        for fault in due:
            try:
                self._begin(fault)
            except ValueError as error:
                detail = {"fault": fault.order.fault, "detail": str(error)}
                _log.warning("an order cannot be done", extra=detail)

    def apply(
        self, frames: Iterable[Frame], heard: Collection[Stream], hearer: object = None
    ) -> Iterator[list[OutgoingFrame] | Cut]:
        """What becomes of these frames: letters to send, and cuts, in their order. ``hearer``: who
        alone gets them; None: all who hear their streams."""
        out: list[OutgoingFrame] = []
        for frame in frames:
            stream, payload = frame
            if stream not in heard:
                continue
            if (stream, hearer) in self._held:
                self._held.remove((stream, hearer))
                out.append(OutgoingFrame(stream, payload, FaultAction.FREEING))
                continue
            fault, changed = self._hit(frame)
            if any(letter.fate is FaultAction.KEPT for letter in changed):
                self._held.add((stream, hearer))
            if fault in CUTS:
                yield out
                yield Cut(FaultKind(fault), stream)
                out = []
            out += changed
        self._on_frames = self._left(self._on_frames)
        yield out

    def release(self) -> None:
        """No frame will come any more for which another one waits."""
        self._held.clear()

    def on_subscription(self, stream: Stream) -> FaultCommand | None:
        """What goes wrong with a new subscription, if anything."""
        return self._elsewhere_fires(ON_SUBSCRIPTIONS, lambda fault: fault.concerns(stream))

    def on_words(self) -> FaultCommand | None:
        """What goes wrong with something that a client says, if anything."""
        return self._elsewhere_fires(ON_WORDS, lambda fault: True)

    def on_call(self, path: str, opens_websocket: bool = False) -> FaultCommand | None:
        """What goes wrong with this REST call, if anything; with a websocket's opening only where
        the order has a path."""

        return self._elsewhere_fires(ON_CALLS, _names(path, only_named=opens_websocket))

    def on_done(self, path: str, over_websocket: bool = False) -> FaultCommand | None:
        """What goes wrong with the answer to a call that was carried out, if anything; with that to
        a message over a websocket only where the order has a path."""
        return self._elsewhere_fires(ON_DONE, _names(path, only_named=over_websocket))

    def on_told(self, streams: Collection[Stream]) -> FaultCommand | None:
        """What goes wrong with the order in which things of these streams are said, if anything."""
        return self._elsewhere_fires(ON_TOLD, lambda fault: any(map(fault.concerns, streams)))

    def on_answer(self, kind: FaultKind, path: str, symbol: str = "") -> FaultCommand | None:
        """What goes wrong with what this REST call shows (of this symbol), if anything."""
        return self._elsewhere_fires(
            {kind},
            lambda fault: (
                fault.order.path in path and (not symbol or fault.order.symbol in ("", symbol))
            ),
        )

    def waits_for(self, kind: FaultKind) -> bool:
        """Whether such a fault is switched on."""
        return any(fault.order.fault == kind for fault in self._elsewhere)

    def _elsewhere_fires(
        self, kinds: Collection[str], concerned: Callable[[_Fault], bool]
    ) -> FaultCommand | None:
        for fault in self._elsewhere:
            if fault.order.fault in kinds and concerned(fault) and fault.fires(self._now_ns):
                self._elsewhere = self._left(self._elsewhere)
                return fault.order
        return None

    def _left(self, faults: Iterable[_Fault]) -> list[_Fault]:
        return [fault for fault in faults if not fault.over(self._now_ns)]

    def _hit(self, frame: Frame) -> tuple[str, list[OutgoingFrame]]:
        """The name of the first fault that fires, or "", and what it makes of the frame."""
        for fault in self._on_frames:
            if fault.concerns(frame[0]) and fault.fires(self._now_ns):
                changed = self._changed(fault.order.fault, frame)
                if changed is not None:
                    return fault.order.fault, changed
                fault.missed()
        return "", [OutgoingFrame(*frame)]

    def _changed(self, name: str, frame: Frame) -> list[OutgoingFrame] | None:
        """None: a fault of the venue's own that has nothing to do with this frame."""
        stream, payload = frame
        if name in self._own:
            found = list(self._own[name](frame))
            if found == [frame]:
                return None
            return [OutgoingFrame(*one) for one in found] or [
                OutgoingFrame(stream, payload, FaultAction.LOST)
            ]
        if name in FOREIGN:
            return [
                OutgoingFrame(stream, FOREIGN[name](), FaultAction.FOREIGN),
                OutgoingFrame(*frame),
            ]
        return [OutgoingFrame(stream, payload, FATES.get(name, FaultAction.SENT))]

    def _due(self, fault: _Fault) -> bool:
        return self._now_ns - self._began_ns >= fault.order.at_s * NANOSECONDS_PER_SECOND

    def _begin(self, fault: _Fault) -> None:
        name = fault.order.fault
        if name in self._acts:
            self._acts[name](fault.order)
        if name in ELSEWHERE and name not in self._own:
            self._elsewhere.append(fault)
        elif name in self._own or name not in self._acts:
            self._on_frames.append(fault)
