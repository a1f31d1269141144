"""Frames as received, and schemas that read members of frames into columns.

    TRADE = Schema("data[]", {"px": Field.DECIMAL, "ts": Field.INTEGER}, {"arg.instId": Field.TEXT})
    found = TRADE.decode(frames)
    found.numbers("px"), found.integers("ts"), found.symbols("arg.instId")

Many frames are read in one call. The compiled reader reads common JSON, which is all of a healthy
feed. If it does not support one frame, the reference reader reads the whole set.
"""

import ctypes
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from kit.base.number_columns import IntColumn
from kit.marketdata import native
from kit.marketdata.frames import reference_reader
from kit.marketdata.frames.compiled_reader import CompiledSchema
from kit.marketdata.frames.decoded_frames import DecodedFrames, FrameError
from kit.marketdata.frames.layout import Content, Field, LevelList, make_tree, optional
from kit.marketdata.model.columns import zeros

__all__ = [
    "DecodedFrames",
    "Field",
    "FrameError",
    "FramePatterns",
    "FrameSchema",
    "Frames",
    "LevelList",
    "optional",
]


class Frames:
    """Messages of a feed with their receive times, ns since the Unix epoch, and the positions of
    their sources in a list that the caller holds."""

    def __init__(
        self,
        payloads: Sequence[bytes],
        received_time_ns: Sequence[int] | IntColumn,
        source: IntColumn | None = None,
    ) -> None:
        self.received_time_ns: IntColumn = np.array(received_time_ns, dtype=np.int64)
        self.source = zeros(len(payloads)) if source is None else source
        self.buffer = b"".join(payloads)
        lengths = np.fromiter(map(len, payloads), np.int64, len(payloads))
        self.ends: IntColumn = np.cumsum(lengths)
        self.starts: IntColumn = self.ends - lengths

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def payloads(self) -> list[bytes]:
        ranges = zip(self.starts.tolist(), self.ends.tolist(), strict=True)
        return [self.buffer[start:end] for start, end in ranges]

    def take(self, rows: IntColumn) -> "Frames":
        """A selection of the frames; the bytes are shared."""
        chosen = object.__new__(Frames)
        chosen.buffer = self.buffer
        chosen.received_time_ns = self.received_time_ns[rows]
        chosen.source = self.source[rows]
        chosen.starts, chosen.ends = self.starts[rows], self.ends[rows]
        return chosen

    def one_by_one(self) -> "list[Frames]":
        return [self.take(np.array([row])) for row in range(len(self))]


class FramePatterns:
    """Classifies frames by texts within their first ``window_bytes``, or within their last bytes if
    it is negative. The first pattern that is found decides."""

    def __init__(self, patterns: Sequence[bytes], window_bytes: int) -> None:
        self._patterns = tuple(patterns)
        self._window_bytes = window_bytes
        self._pointers = (ctypes.c_char_p * len(patterns))(*patterns)
        lengths = np.array([len(pattern) for pattern in patterns], dtype=np.int64)
        self._lengths = lengths.tobytes()

    def classify(self, frames: Frames) -> IntColumn:
        """The index of the pattern of each frame; the number of patterns for frames without one."""
        kinds = np.zeros(len(frames), dtype=np.int64)
        if native.library is None:
            size = self._window_bytes
            window = slice(size) if size >= 0 else slice(size, None)
            kinds[:] = [self._find(payload[window]) for payload in frames.payloads]
            return kinds
        native.library.venuemesh_classify(
            frames.buffer,
            frames.starts.tobytes(),
            frames.ends.tobytes(),
            len(frames),
            self._pointers,
            self._lengths,
            len(self._patterns),
            self._window_bytes,
            native.address(kinds),
        )
        return kinds

    def _find(self, text: bytes) -> int:
        for number, pattern in enumerate(self._patterns):
            if pattern in text:
                return number
        return len(self._patterns)


class FrameSchema:
    """The members of a frame to read.

    ``rows`` is the path to the rows: names of members, with "[]" after a list, such as "data",
    "data[]" or "events[].trades[]"; "" is the frame itself. ``fields`` are members of a row or of
    objects in it ("stats.volume"). ``outer`` are members outside the rows, with their full paths.
    """

    def __init__(
        self, rows: str, fields: Mapping[str, Content], outer: Mapping[str, Content] | None = None
    ) -> None:
        self._tree = make_tree(rows, fields, outer or {})
        self._plan: CompiledSchema | None = None

    def decode(self, frames: Frames) -> DecodedFrames:
        """Read the columns of all frames. Raises FrameError when a frame does not match the
        schema."""
        found = self._decode_compiled(frames) if native.library is not None else None
        return found if found is not None else reference_reader.decode(self._tree, frames.payloads)

    def _decode_compiled(self, frames: Frames) -> DecodedFrames | None:
        count = len(frames)
        plan = self._plan
        if plan is None or not plan.holds(count, len(frames.buffer)):
            plan = self._plan = CompiledSchema(self._tree, count, len(frames.buffer))
        starts, ends = frames.starts.tobytes(), frames.ends.tobytes()
        return plan.decode(frames.buffer, starts, ends, count)
