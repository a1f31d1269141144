"""Frame numbers of a connection: a jump means that a frame did not arrive.

Some venues (Coinbase) number all frames of a connection together, so that a missing frame may
concern any of its instruments.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from kit.base.number_columns import IntColumn
from kit.marketdata.frames import FrameError, Frames


class NumberedFrameSource(Protocol):
    """The opened connection that numbered frames come from."""

    def on_missing_frame(self, detail: str) -> None:
        """A frame that the venue sent over the connection did not arrive."""


SourceT = TypeVar("SourceT", bound=NumberedFrameSource)
NOT_NUMBERED, BROKEN = -1, -3


class ConnectionSequenceCheck:
    """Remembers the newest frame number of each connection."""

    def __init__(self, read: Callable[[Frames], IntColumn]) -> None:
        """``read`` returns the number of each frame. Raises FrameError."""
        self._read = read
        self._newest: WeakKeyDictionary[NumberedFrameSource, int] = WeakKeyDictionary()

    def unbroken(self, frames: Frames, sources: Sequence[SourceT]) -> Frames:
        """The frames up to the first jump of each connection. ``Frames.source`` refers to
        ``sources``.

        The first jump of a connection is reported to it, and its later frames are dropped. A
        repeated frame is taken once. A frame without a number is kept: the venue may not count it,
        and if it was damaged, the next number shows that.
        """
        kept: list[int] = []
        numbers = zip(self._numbers(frames), frames.source.tolist(), strict=True)
        for row, (number, place) in enumerate(numbers):
            source = sources[place]
            newest = self._newest.get(source)
            if number == NOT_NUMBERED and newest != BROKEN:
                kept.append(row)
            elif newest is None or number == newest + 1:
                self._newest[source] = number
                kept.append(row)
            elif number != newest and newest != BROKEN:
                self._newest[source] = BROKEN
                source.on_missing_frame(f"frame {newest + 1} of the connection is missing")
        return frames if len(kept) == len(frames) else frames.take(np.array(kept, dtype=np.int64))

    def _numbers(self, frames: Frames) -> list[int]:
        try:
            return [int(number) for number in self._read(frames)]
        except FrameError:
            return [self._number(frame) for frame in frames.one_by_one()]

    def _number(self, frame: Frames) -> int:
        try:
            return int(self._read(frame)[0])
        except FrameError:
            return NOT_NUMBERED
