"""What goes into a book, and what comes out of it to be published."""

from dataclasses import dataclass
from typing import NamedTuple

from venuemesh.common.v1 import types_pb2

from kit.connector.contract.venue import UpdateNumbers
from kit.marketdata.book import Side


class Update(NamedTuple):
    """One update or snapshot, at the book's scale."""

    numbers: UpdateNumbers
    venue_time_ns: int
    received_time_ns: int
    bids: Side
    asks: Side
    checksum: int | None = None
    """Of the book after it, as the venue says."""


@dataclass(frozen=True, slots=True)
class Changed:
    """Publish this update."""

    update: Update
    snapshot: bool
    epoch: int


@dataclass(frozen=True, slots=True)
class Doubted:
    """Publish this gap."""

    gap: types_pb2.Gap


Outcome = Changed | Doubted
