"""Whether an entry of a stream follows the one before it, or says itself what is missing."""

from collections.abc import Iterable
from typing import Protocol

from venuemesh.common.v1 import types_pb2

from kit.base.cursor import START, Cursor


class Told(Protocol):
    """What a batch says of its place; a MarketDataBatch, or its smaller twin BatchHeader."""

    @property
    def gaps(self) -> Iterable[types_pb2.Gap]:
        """Before its first row."""

    @property
    def continues(self) -> types_pb2.Cursor:
        """The batch of another process of the venue that it goes on after."""


def joins(before: Cursor, cursor: Cursor, batch: Told | None) -> bool:
    """Whether a reader who has everything up to ``before`` has missed nothing that this batch does
    not tell of: it is the next one, goes on where another process of the venue has ended, or has a
    gap of its whole channel. None: a batch that cannot be read."""
    if cursor.follows(before):
        return True
    return batch is not None and (goes_on(before, batch) or tells_of_hole(batch))


def goes_on(before: Cursor, batch: Told) -> bool:
    """Whether the batch continues exactly after this one, of another process of the venue."""
    return before != START and Cursor.of(batch.continues) == before


def tells_of_hole(batch: Told) -> bool:
    """Whether the batch says itself that something of its whole channel is missing before it."""
    return any(not gap.symbol for gap in batch.gaps)
