"""Whether a stream entry follows the one before it, or carries a gap for what is missing."""

from collections.abc import Iterable
from typing import Protocol

from venuemesh.common.v1 import types_pb2

from kit.base.cursor import START, Cursor


class SequencedBatch(Protocol):
    """The part of a batch that places it; a MarketDataBatch or a BatchHeader."""

    @property
    def gaps(self) -> Iterable[types_pb2.Gap]:
        """The gaps before its first row."""

    @property
    def continues(self) -> types_pb2.Cursor:
        """The batch of another process of the venue that it continues."""


def joins(before: Cursor, cursor: Cursor, batch: SequencedBatch | None) -> bool:
    """Whether a reader that has everything up to ``before`` misses nothing without a gap: the batch
    is the next one, continues another process of the venue, or has a gap of the whole channel.
    ``batch`` is None when it cannot be read."""
    if cursor.follows(before):
        return True
    return batch is not None and (continues(before, batch) or has_channel_gap(batch))


def continues(before: Cursor, batch: SequencedBatch) -> bool:
    """Whether the batch continues exactly this one, of another process of the venue."""
    return before != START and Cursor.of(batch.continues) == before


def has_channel_gap(batch: SequencedBatch) -> bool:
    """Whether the batch has a gap of its whole channel."""
    return any(not gap.symbol for gap in batch.gaps)
