"""What a SynchronizedBook takes in (VenueBookUpdate), and what it gives out to be published."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from venuemesh.common.v1 import types_pb2

from kit.connector.contract.venue import SequenceNumbers
from kit.marketdata.book.levels import BookSide

UNPROVEN_EPOCH = 0
"""The book epoch of updates that are published while there is no book to apply them to."""


class VenueBookUpdate(NamedTuple):
    """One update or snapshot of a book, at the scale of the book."""

    numbers: SequenceNumbers
    venue_time_ns: int
    received_time_ns: int
    bids: BookSide
    asks: BookSide
    checksum: int | None = None
    """The venue's checksum of the book after this update."""
    is_published: bool = False
    """Whether it was published already, with UNPROVEN_EPOCH."""


@dataclass(frozen=True, slots=True)
class UpdateEvent:
    """An update or a snapshot to publish."""

    update: VenueBookUpdate
    snapshot: bool
    epoch: int


@dataclass(frozen=True, slots=True)
class GapEvent:
    """A gap to publish."""

    gap: types_pb2.Gap


BookEvent = UpdateEvent | GapEvent


def unproven(update: VenueBookUpdate) -> Iterator[UpdateEvent]:
    """The event of an update that belongs to no book, unless it is published already."""
    if not update.is_published:
        yield UpdateEvent(update, snapshot=False, epoch=UNPROVEN_EPOCH)
