"""The last part of a frame's way: how faults change what one connection gets.

A frame is first shaped for the connection, then comes to its fate. So what an exchange counts per
connection also counts what was lost on the way, as in life.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto

from kit.simulator.dialect import Stream

Shape = Callable[[bytes], bytes] | None


class FaultAction(Enum):
    """What becomes of a frame."""

    SENT = auto()
    LOST = auto()
    TWICE = auto()
    HALVED = auto()
    """Its first half comes before it, as a frame."""
    KEPT = auto()
    """It waits for the next frame of its stream."""
    FREEING = auto()
    """It is sent, and then the frame that is kept."""
    FOREIGN = auto()
    """Sent without being shaped: the exchange's own numbering knows nothing of it."""


@dataclass(frozen=True, slots=True)
class OutgoingFrame:
    """A frame on its way to those that hear its stream."""

    stream: Stream
    payload: bytes
    fate: FaultAction = FaultAction.SENT


class OutgoingFrameQueue:
    """Where the letters of one connection come to their fate."""

    def __init__(self) -> None:
        self._kept: dict[Stream, bytes] = {}

    def open(self, letters: Iterable[OutgoingFrame], shape: Shape) -> list[bytes]:
        """What the connection gets of them."""
        found: list[bytes] = []
        for letter in letters:
            if letter.fate is FaultAction.FOREIGN:
                found.append(letter.payload)
            else:
                text = letter.payload if shape is None else shape(letter.payload)
                found += self._suffer(letter, text)
        return found

    def empty(self) -> list[bytes]:
        """What was kept: no next frame will come."""
        kept, self._kept = self._kept, {}
        return list(kept.values())

    def _suffer(self, letter: OutgoingFrame, text: bytes) -> list[bytes]:
        fate = letter.fate
        if fate is FaultAction.LOST:
            return []
        if fate is FaultAction.TWICE:
            return [text, text]
        if fate is FaultAction.HALVED:
            return [text[: len(text) // 2], text]
        if fate is FaultAction.KEPT:
            self._kept[letter.stream] = text
            return []
        kept = self._kept.pop(letter.stream, None) if fate is FaultAction.FREEING else None
        return [text] if kept is None else [text, kept]
