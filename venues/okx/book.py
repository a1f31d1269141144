"""Sequence rules and checksums of OKX's book updates.

https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel
prevSeqId of each update is seqId of the previous one; a snapshot has -1. Two exceptions are valid:
an empty update repeats its seqId as prevSeqId about once a minute, and after maintenance the
numbering may restart in an update whose seqId is below its prevSeqId.
"""

from kit.base.number_columns import IntColumn
from kit.connector.contract.venue import (
    BookRules,
    SequenceNumbers,
    SequenceResult,
    SnapshotSource,
    UpdateOrdering,
)
from kit.marketdata.book.checksum import Checksum

BOOK_LEVELS = 400


class OkxSequenceRule:
    """prevSeqId must be the previous seqId, whether or not the numbers increase."""

    ordering = UpdateOrdering.SEQUENCE

    def after_update(self, last: int, update: SequenceNumbers) -> SequenceResult:
        """A seqId below the book's with another prevSeqId means missing updates, not an old update:
        it follows a missed update that restarted the numbering. A book that ignored such updates
        would be wrong without notice."""
        if update.previous == last:
            return SequenceResult.APPLY
        return SequenceResult.STALE if update.last == last else SequenceResult.GAP

    def after_snapshot(self, last: int, update: SequenceNumbers) -> SequenceResult:
        """Updates before the snapshot are old. An update that spans the snapshot may be applied, as
        sizes are absolute."""
        if update.previous == last:
            return SequenceResult.APPLY
        if update.last <= last:
            return SequenceResult.STALE
        return SequenceResult.APPLY if update.previous < last else SequenceResult.GAP

    def run_joins(
        self, last: int, firsts: IntColumn, lasts: IntColumn, previous: IntColumn
    ) -> bool:
        """Each prevSeqId is the seqId of the previous update."""
        return bool(previous[0] == last and (previous[1:] == lasts[:-1]).all())


BOOK = BookRules(
    sequence=OkxSequenceRule(),
    snapshots=SnapshotSource.FEED,
    checksum=Checksum.INTERLEAVED,
    depth=BOOK_LEVELS,
)
"""The channel keeps 400 levels. Its checksum has been 0 since June 2026; before, it proved the best
25 levels, as it still does in captures."""
