"""What can go wrong on purpose. Switched on by name, over HTTP or by a script; seeded.

A fault waits for what it concerns (a frame that someone hears, or a REST call), fires with its
probability, and is over when it has fired ``count`` times. At most one fault acts on one frame, the
one that was ordered first; extra frames stand before the frame that they were made of.

    drop, duplicate, reorder            one frame is missing, comes twice, comes after its next
    malformed, unknown_event, huge      an extra frame: cut in half, of no known kind, of 20 MB
    disconnect, reset, stall            all who hear the frame: closed, TCP RST, silent for ever
    rest_delay                          the answer takes ``seconds`` longer
    rest_429, rest_418, rest_500        refused in the exchange's words, with Retry-After
    rest_html                           502 with a page instead of JSON
"""

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

import msgspec

from kit.clock import NANOSECONDS_PER_SECOND
from kit.errors import SettingError
from kit.simulator.dialect import Frame, Stream
from kit.simulator.letters import Fate, Letter

HUGE_BYTES = 20 * 1024 * 1024
UNKNOWN_EVENT = b'{"e":"neverHeardOf","event":"neverHeardOf","type":"neverHeardOf"}'
ACTIVE_MAX = 1_000
"""Faults that wait or fire at the same time, of one venue."""
NOTHING: Mapping[str, Callable[[Frame], Sequence[Frame]]] = MappingProxyType({})


class FaultKind(StrEnum):
    """The name of a fault."""

    DROP = "drop"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    MALFORMED = "malformed"
    UNKNOWN_EVENT = "unknown_event"
    HUGE = "huge"
    DISCONNECT = "disconnect"
    RESET = "reset"
    STALL = "stall"
    REST_DELAY = "rest_delay"
    REST_429 = "rest_429"
    REST_418 = "rest_418"
    REST_500 = "rest_500"
    REST_HTML = "rest_html"


FATES: Mapping[str, Fate] = {
    FaultKind.DROP: Fate.LOST,
    FaultKind.DUPLICATE: Fate.TWICE,
    FaultKind.REORDER: Fate.KEPT,
    FaultKind.MALFORMED: Fate.HALVED,
}
FOREIGN: Mapping[str, Callable[[], bytes]] = {
    FaultKind.UNKNOWN_EVENT: lambda: UNKNOWN_EVENT,
    FaultKind.HUGE: lambda: b'{"huge":"%b"}' % (b"x" * HUGE_BYTES),
}
"""Frames that come before the one that was hit."""
CUTS = frozenset({FaultKind.DISCONNECT, FaultKind.RESET, FaultKind.STALL})
REST = frozenset(kind for kind in FaultKind if kind.startswith("rest_"))


class FaultOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to go wrong."""

    venue: str
    fault: str
    """A FaultKind, or one of the venue's own."""
    symbol: str = ""
    """Only frames of this native symbol. Empty: of all."""
    channel: str = ""
    """Only frames of this channel, for example "trades". Empty: of all."""
    path: str = ""
    """Only REST calls whose path contains this."""
    probability: float = 1.0
    """That it fires, each time that it could."""
    count: int = 1
    """How often it fires; 0: until it is switched off."""
    seconds: float = 1.0
    """How long a delay lasts, and what Retry-After says."""
    at_s: float = 0.0
    """Seconds of the venue's own time after its beginning, before which it waits."""

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError("probability must be from 0 to 1")
        if self.count < 0 or self.seconds < 0 or self.at_s < 0:
            raise ValueError("count, seconds and at_s must not be negative")


@dataclass(frozen=True, slots=True)
class Cut:
    """All connections that hear this stream end, in one of three ways."""

    kind: FaultKind
    stream: Stream


class _Fault:
    """An order and how far it is."""

    def __init__(self, order: FaultOrder, seed: str) -> None:
        self.order = order
        self.fired = 0
        self._random = random.Random(seed)

    def concerns(self, stream: Stream) -> bool:
        order = self.order
        return (not order.symbol or order.symbol == stream.symbol) and (
            not order.channel or order.channel == stream.channel
        )

    def fires(self) -> bool:
        if self._random.random() >= self.order.probability:
            return False
        self.fired += 1
        return True

    def missed(self) -> None:
        """It fired at what it cannot change."""
        self.fired -= 1

    @property
    def over(self) -> bool:
        return 0 < self.order.count <= self.fired


class Faults:
    """The faults of one venue."""

    def __init__(
        self,
        venue_id: str,
        seed: int,
        orders: Iterable[FaultOrder] = (),
        own: Mapping[str, Callable[[Frame], Sequence[Frame]]] = NOTHING,
    ) -> None:
        """``own``: the faults that only this venue can have. Raises ValueError."""
        self.known = frozenset(FaultKind) | own.keys()
        self._own = own
        self._seed = f"{seed}/{venue_id}"
        self._ordered = 0
        self._began_ns = 0
        self._now_ns = 0
        self._waiting: list[_Fault] = []
        self._on_frames: list[_Fault] = []
        self._on_rest: list[_Fault] = []
        self._held: set[Stream] = set()
        for order in orders:
            self.order(order)

    @property
    def quiet(self) -> bool:
        """Whether frames pass untouched."""
        return not self._on_frames and not self._held

    def order(self, order: FaultOrder) -> None:
        """Switch a fault on. Raises ValueError when there is none of this name, or too many."""
        if order.fault not in self.known:
            raise ValueError(
                f"no fault {order.fault[:60]}; allowed are {', '.join(sorted(self.known))}"
            )
        if len(self._waiting) + len(self._on_frames) + len(self._on_rest) >= ACTIVE_MAX:
            raise ValueError(f"more than {ACTIVE_MAX} faults")
        self._ordered += 1
        self._waiting.append(_Fault(order, f"{self._seed}/{self._ordered}"))
        self._begin_due()

    def clear(self) -> None:
        """Switch all off."""
        self._waiting, self._on_frames, self._on_rest = [], [], []

    def status(self) -> Sequence[dict[str, object]]:
        """The faults that are not over, and how often each has fired."""
        faults = [*self._waiting, *self._on_frames, *self._on_rest]
        return [{**msgspec.to_builtins(one.order), "fired": one.fired} for one in faults]

    def advance(self, now_ns: int) -> None:
        """The venue's own time has come to this."""
        self._began_ns = self._began_ns or now_ns
        self._now_ns = now_ns
        if self._waiting:
            self._begin_due()

    def apply(
        self, frames: Iterable[Frame], heard: Collection[Stream]
    ) -> Iterator[list[Letter] | Cut]:
        """What becomes of these frames: letters to send, and cuts, in their order."""
        out: list[Letter] = []
        for frame in frames:
            stream, payload = frame
            if stream not in heard:
                continue
            if stream in self._held:
                self._held.remove(stream)
                out.append(Letter(stream, payload, Fate.FREEING))
                continue
            fault, changed = self._hit(frame)
            if fault is not None and fault.order.fault in CUTS:
                yield out
                yield Cut(FaultKind(fault.order.fault), stream)
                out = []
            out += changed
        self._on_frames = [fault for fault in self._on_frames if not fault.over]
        yield out

    def release(self) -> None:
        """No frame will come any more for which another one waits."""
        self._held.clear()

    def on_rest(self, path: str) -> FaultOrder | None:
        """What goes wrong with this REST call, if anything."""
        for fault in self._on_rest:
            if fault.order.path in path and fault.fires():
                self._on_rest = [one for one in self._on_rest if not one.over]
                return fault.order
        return None

    def _hit(self, frame: Frame) -> tuple[_Fault | None, list[Letter]]:
        """The first fault that fires, and what it makes of the frame."""
        for fault in self._on_frames:
            if fault.concerns(frame[0]) and not fault.over and fault.fires():
                changed = self._changed(fault.order.fault, frame)
                if changed is not None:
                    return fault, changed
                fault.missed()
        return None, [Letter(*frame)]

    def _changed(self, name: str, frame: Frame) -> list[Letter] | None:
        """None: a fault of the venue's own that has nothing to do with this frame."""
        stream, payload = frame
        if name in self._own:
            found = list(self._own[name](frame))
            if found == [frame]:
                return None
            return [Letter(*one) for one in found] or [Letter(stream, payload, Fate.LOST)]
        if name == FaultKind.REORDER:
            self._held.add(stream)
        if name in FOREIGN:
            return [Letter(stream, FOREIGN[name](), Fate.FOREIGN), Letter(*frame)]
        return [Letter(stream, payload, FATES.get(name, Fate.SENT))]

    def _begin_due(self) -> None:
        elapsed_s = (self._now_ns - self._began_ns) / NANOSECONDS_PER_SECOND
        due = [fault for fault in self._waiting if fault.order.at_s <= elapsed_s]
        self._waiting = [fault for fault in self._waiting if fault.order.at_s > elapsed_s]
        for fault in due:
            (self._on_rest if fault.order.fault in REST else self._on_frames).append(fault)


def read_script(file: Path) -> list[FaultOrder]:
    """The orders of a script, one JSON object per line. Raises SettingError."""
    orders: list[FaultOrder] = []
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise SettingError("simulator.faults", str(file), str(error.strerror)) from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                orders.append(msgspec.json.decode(line, type=FaultOrder))
            except msgspec.DecodeError as error:
                raise SettingError("simulator.faults", f"{file}:{number}", str(error)) from None
    return orders
