"""Chunks that are being filled: one with rows, one with blocks, each written at its own pace."""

from collections.abc import Iterator

from venuemesh.common.v1 import types_pb2

from core.recorder.chunk import Chunk
from core.recorder.column_buffer import MalformedBatch
from core.recorder.settings import RecorderSettings
from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.base.cursor import Channel, Cursor, StreamKey
from kit.marketdata.delivery.redis_streams import StreamEntry

BLOCK_CHANNELS = frozenset({types_pb2.CHANNEL_BOOK, types_pb2.CHANNEL_FRAMES})
"""Channels stored as blocks of bytes, which get smaller the more batches a block holds."""


class ChunkBuffer:
    """Fills one chunk after another, each for at most the age of its first entry."""

    def __init__(self, positions: dict[StreamKey, Cursor], age_ms: int) -> None:
        self.chunk = Chunk(positions)
        self._age_ns = age_ms * NANOSECONDS_PER_MILLISECOND
        self._due_ns = 0

    def add(self, entry: StreamEntry, now_ns: int, monotonic_ns: int) -> MalformedBatch | None:
        if not self.chunk.positions:
            self._due_ns = monotonic_ns + self._age_ns
        return self.chunk.add(entry, now_ns)

    def left_ns(self, monotonic_ns: int) -> int:
        """Time until the chunk is due, ns."""
        return self._due_ns - monotonic_ns

    def take(self) -> Chunk:
        """Return the chunk and continue with an empty one."""
        taken, self.chunk = self.chunk, self.chunk.next()
        return taken

    @property
    def waits(self) -> bool:
        """Whether the chunk holds entries."""
        return bool(self.chunk.positions)


class RowAndBlockBuffers:
    """The chunk of rows, written soon, and the chunk of blocks, which collects for longer."""

    def __init__(self, positions: dict[StreamKey, Cursor], settings: RecorderSettings) -> None:
        self._settings = settings
        self._rows = ChunkBuffer(positions, settings.chunk_age_ms)
        self._blocks = ChunkBuffer(positions, settings.block_age_ms)
        self._buffers = (self._rows, self._blocks)

    def of(self, channel: Channel) -> ChunkBuffer:
        """The buffer for a channel."""
        return self._blocks if channel in BLOCK_CHANNELS else self._rows

    def position(self, key: StreamKey) -> Cursor:
        """The last entry of a stream that was read."""
        return self.of(key.channel).chunk.position(key)

    def waiting(self) -> list[ChunkBuffer]:
        """The buffers that hold entries."""
        return [buffer for buffer in self._buffers if buffer.waits]

    def due(self, monotonic_ns: int, *, patient: bool) -> Iterator[Chunk]:
        """Take the chunks that are due or full; with ``patient`` only the full ones."""
        for buffer in self.waiting():
            if self.is_full(buffer) or (not patient and buffer.left_ns(monotonic_ns) <= 0):
                yield buffer.take()

    def is_full(self, buffer: ChunkBuffer) -> bool:
        """Whether a chunk has reached its limits."""
        return (
            buffer.chunk.row_count >= self._settings.chunk_rows_max
            or buffer.chunk.byte_count >= self._settings.chunk_bytes_max
        )
