"""Venues that count all frames of a connection: a jump means that something did not arrive."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from kit.base.numbers import IntColumn
from kit.marketdata.frames import FrameError, Frames


class Breakable(Protocol):
    """A connection that can be told that something is missing."""

    def broken(self, detail: str) -> None:
        """Something that the venue sent over it did not arrive."""


SourceT = TypeVar("SourceT", bound=Breakable)
NONE, BROKEN = -1, -3


class ConnectionSequence:
    """The newest number of each connection. Without a way to read numbers it does nothing."""

    def __init__(self, read: Callable[[Frames], IntColumn] | None) -> None:
        self._read = read
        self._newest: WeakKeyDictionary[Breakable, int] = WeakKeyDictionary()

    def unbroken(self, frames: Frames, sources: Sequence[SourceT]) -> Frames:
        """The frames up to the first jump of each connection. A connection with a jump is told so,
        once; what it still brings is left out. A frame that comes twice is taken once. A frame
        without a number says nothing of others: it may be one that is not counted, and if it was
        damaged, the next number shows it. Frames.source counts in ``sources``."""
        if self._read is None:
            return frames
        kept: list[int] = []
        numbers = zip(self._numbers(frames), frames.source.tolist(), strict=True)
        for row, (number, place) in enumerate(numbers):
            source = sources[place]
            newest = self._newest.get(source)
            if number == NONE and newest != BROKEN:
                kept.append(row)
            elif newest is None or number == newest + 1:
                self._newest[source] = number
                kept.append(row)
            elif number != newest and newest != BROKEN:
                self._newest[source] = BROKEN
                source.broken(f"frame {newest + 1} of the connection is missing")
        return frames if len(kept) == len(frames) else frames.take(np.array(kept, dtype=np.int64))

    def _numbers(self, frames: Frames) -> list[int]:
        assert self._read is not None
        try:
            return [int(number) for number in self._read(frames)]
        except FrameError:
            return [self._number(frame) for frame in frames.one_by_one()]

    def _number(self, frame: Frames) -> int:
        assert self._read is not None
        try:
            return int(self._read(frame)[0])
        except FrameError:
            return NONE
