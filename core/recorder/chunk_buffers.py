"""What was read and waits to be written, in two buffers that are written at their own pace."""

from collections.abc import Iterator

from venuemesh.common.v1 import types_pb2

from core.recorder.chunk import Chunk
from core.recorder.column_buffer import MalformedBatch
from core.recorder.settings import RecorderSettings
from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.base.cursor import Channel, Cursor, StreamKey
from kit.marketdata.delivery.streams import StreamEntry

BLOCK_CHANNELS = frozenset({types_pb2.CHANNEL_BOOK, types_pb2.CHANNEL_FRAMES})
"""Kept as bytes: the more batches stand together, the fewer bytes they take."""


class ChunkBuffer:
    """One chunk after the other, each for as long as its first entry may wait."""

    def __init__(self, positions: dict[StreamKey, Cursor], age_ms: int) -> None:
        self.chunk = Chunk(positions)
        self._age_ns = age_ms * NANOSECONDS_PER_MILLISECOND
        self._due_ns = 0

    def add(self, entry: StreamEntry, now_ns: int, monotonic_ns: int) -> MalformedBatch | None:
        """As Chunk.add."""
        if not self.chunk.positions:
            self._due_ns = monotonic_ns + self._age_ns
        return self.chunk.add(entry, now_ns)

    def left_ns(self, monotonic_ns: int) -> int:
        """How long the chunk may still wait."""
        return self._due_ns - monotonic_ns

    def take(self) -> Chunk:
        """What waits. The buffer goes on with an empty chunk."""
        taken, self.chunk = self.chunk, self.chunk.next()
        return taken

    @property
    def waits(self) -> bool:
        """Whether anything waits."""
        return bool(self.chunk.positions)


class ChunkBuffers:
    """Rows, which are written soon, and blocks, which gather for longer."""

    def __init__(self, positions: dict[StreamKey, Cursor], settings: RecorderSettings) -> None:
        self._settings = settings
        self._rows = ChunkBuffer(positions, settings.chunk_age_ms)
        self._blocks = ChunkBuffer(positions, settings.block_age_ms)
        self._buffers = (self._rows, self._blocks)

    def of(self, channel: Channel) -> ChunkBuffer:
        """The buffer of a channel."""
        return self._blocks if channel in BLOCK_CHANNELS else self._rows

    def position(self, key: StreamKey) -> Cursor:
        """The last entry of a stream that was read."""
        return self.of(key.channel).chunk.position(key)

    def waiting(self) -> list[ChunkBuffer]:
        """Those in which something waits."""
        return [buffer for buffer in self._buffers if buffer.waits]

    def due(self, monotonic_ns: int, *, patient: bool) -> Iterator[Chunk]:
        """Chunks that have waited long enough, taken out; ``patient``: only full ones."""
        for buffer in self.waiting():
            if self.is_full(buffer) or (not patient and buffer.left_ns(monotonic_ns) <= 0):
                yield buffer.take()

    def is_full(self, buffer: ChunkBuffer) -> bool:
        """Whether a chunk may take no more."""
        return (
            buffer.chunk.row_count >= self._settings.chunk_rows_max
            or buffer.chunk.byte_count >= self._settings.chunk_bytes_max
        )
