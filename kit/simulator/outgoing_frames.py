"""How faults change the frames that one connection gets.

A frame is first shaped for the connection, then the fault acts on it. So the message numbers of a
connection also count the frames that were lost on the way, as at a real exchange.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto

from kit.simulator.dialect import ExchangeStream

Shape = Callable[[bytes], bytes] | None


class FaultAction(Enum):
    """How a fault changes a frame."""

    SENT = auto()
    LOST = auto()
    TWICE = auto()
    HALVED = auto()
    """Its first half is sent before it, as a frame."""
    HELD = auto()
    """It is held back until the next frame of its stream."""
    RELEASING = auto()
    """It is sent, and then the frame that is held."""
    INJECTED = auto()
    """Sent without being shaped: the exchange does not number it."""


@dataclass(frozen=True, slots=True)
class OutgoingFrame:
    """A frame, and what a fault does to it."""

    stream: ExchangeStream
    payload: bytes
    action: FaultAction = FaultAction.SENT


class OutgoingFrameQueue:
    """Applies faults to the frames of one connection, and holds frames back."""

    def __init__(self) -> None:
        self._held: dict[ExchangeStream, bytes] = {}

    def open(self, outgoing_frames: Iterable[OutgoingFrame], shape: Shape) -> list[bytes]:
        """The payloads that the connection gets."""
        found: list[bytes] = []
        for outgoing in outgoing_frames:
            if outgoing.action is FaultAction.INJECTED:
                found.append(outgoing.payload)
            else:
                text = outgoing.payload if shape is None else shape(outgoing.payload)
                found += self._apply(outgoing, text)
        return found

    def empty(self) -> list[bytes]:
        """The payloads of the held frames: no next frame will come."""
        held, self._held = self._held, {}
        return list(held.values())

    def _apply(self, outgoing: OutgoingFrame, text: bytes) -> list[bytes]:
        action = outgoing.action
        if action is FaultAction.LOST:
            return []
        if action is FaultAction.TWICE:
            return [text, text]
        if action is FaultAction.HALVED:
            return [text[: len(text) // 2], text]
        if action is FaultAction.HELD:
            self._held[outgoing.stream] = text
            return []
        held = self._held.pop(outgoing.stream, None) if action is FaultAction.RELEASING else None
        return [text] if held is None else [text, held]
