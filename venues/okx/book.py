"""How the updates of an OKX book join, and how a book proves itself.

https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel
Each update names the seqId of the one before it, prevSeqId; a snapshot says -1. Two exceptions are
legal: an update with nothing in it repeats its seqId as prevSeqId about once a minute, and after
maintenance the numbering may begin anew, in an update whose seqId is below its prevSeqId.
"""

from kit.base.numbers import IntColumn
from kit.connector.contract.venue import (
    BookRules,
    Ordering,
    SequenceResult,
    SnapshotSource,
    UpdateNumbers,
)
from kit.marketdata.book.checksum import Checksum

BOOK_LEVELS = 400


class OkxBookRule:
    """prevSeqId must be the seqId before, whether the numbers grow or not."""

    ordering = Ordering.SEQUENCE

    def after_update(self, last: int, update: UpdateNumbers) -> SequenceResult:
        """A seqId below the book's, whose prevSeqId is another, is a hole and not simply old: it is
        what comes after a missed update that began the numbering anew, and a book that ignored all
        of those would be wrong in silence."""
        if update.previous == last:
            return SequenceResult.APPLY
        return SequenceResult.STALE if update.last == last else SequenceResult.GAP

    def after_snapshot(self, last: int, update: UpdateNumbers) -> SequenceResult:
        """What was said before the snapshot is old. An update that reaches over it may follow, as
        sizes are absolute."""
        if update.previous == last:
            return SequenceResult.APPLY
        if update.last <= last:
            return SequenceResult.STALE
        return SequenceResult.APPLY if update.previous < last else SequenceResult.GAP

    def run_joins(
        self, last: int, firsts: IntColumn, lasts: IntColumn, previous: IntColumn
    ) -> bool:
        """An unbroken chain."""
        return bool(previous[0] == last and (previous[1:] == lasts[:-1]).all())


BOOK = BookRules(
    sequence=OkxBookRule(),
    snapshots=SnapshotSource.FEED,
    checksum=Checksum.OKX,
    depth=BOOK_LEVELS,
)
"""The channel keeps 400 levels. Its checksum has been 0 since June 2026; before, it proved the best
25 levels, as it still does in captures."""
