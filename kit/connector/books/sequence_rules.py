"""Sequence rules: the common ways in which the updates of a book join."""

import numpy as np

from kit.base.number_columns import IntColumn
from kit.connector.contract.venue import SequenceNumbers, SequenceResult, UpdateOrdering


class RangeOverlapRule:
    """Updates cover ranges of ids; they join or overlap, which is fine as sizes are absolute."""

    ordering = UpdateOrdering.SEQUENCE

    def after_update(self, last: int, update: SequenceNumbers) -> SequenceResult:
        """The first id must not be greater than the one before plus one."""
        if update.last <= last:
            return SequenceResult.STALE
        return SequenceResult.GAP if update.first > last + 1 else SequenceResult.APPLY

    def after_snapshot(self, last: int, update: SequenceNumbers) -> SequenceResult:
        """The same as ``after_update``."""
        return self.after_update(last, update)

    def run_joins(
        self, last: int, firsts: IntColumn, lasts: IntColumn, previous: IntColumn
    ) -> bool:
        """The same as ``after_update``, for many updates at once."""
        before = np.concatenate(([last], lasts[:-1]))
        return bool((firsts <= before + 1).all() and (lasts > before).all())


class PreviousIdRule:
    """Each update names the one before it."""

    ordering = UpdateOrdering.SEQUENCE

    def after_update(self, last: int, update: SequenceNumbers) -> SequenceResult:
        """``previous`` must be the number of the update before."""
        if update.previous == last:
            return SequenceResult.APPLY
        return SequenceResult.STALE if update.last <= last else SequenceResult.GAP

    def after_snapshot(self, last: int, update: SequenceNumbers) -> SequenceResult:
        """The same as ``after_update``."""
        return self.after_update(last, update)

    def run_joins(
        self, last: int, firsts: IntColumn, lasts: IntColumn, previous: IntColumn
    ) -> bool:
        """The same as ``after_update``, for many updates at once."""
        return bool(previous[0] == last and (previous[1:] == lasts[:-1]).all())


class ConsecutiveIdRule:
    """Each update has the next number."""

    ordering = UpdateOrdering.SEQUENCE

    def after_update(self, last: int, update: SequenceNumbers) -> SequenceResult:
        """``last`` counts by one."""
        if update.last == last + 1:
            return SequenceResult.APPLY
        return SequenceResult.STALE if update.last <= last else SequenceResult.GAP

    def after_snapshot(self, last: int, update: SequenceNumbers) -> SequenceResult:
        """The same as ``after_update``."""
        return self.after_update(last, update)

    def run_joins(
        self, last: int, firsts: IntColumn, lasts: IntColumn, previous: IntColumn
    ) -> bool:
        """The same as ``after_update``, for many updates at once."""
        return bool(lasts[0] == last + 1 and (np.diff(lasts) == 1).all())


class TimestampRule:
    """Updates and REST snapshots carry the venue's time of the book, which the parser and
    ``VenueHistory.book`` write into their sequence numbers, in a unit of their choice.

    The time tells which updates a snapshot may contain (see buffered_updates.py). It does not tell
    whether one is missing.
    """

    ordering = UpdateOrdering.TIME

    def after_update(self, last: int, update: SequenceNumbers) -> SequenceResult:
        """Time must not go back: of updates in the wrong order, the book would keep the older."""
        return SequenceResult.GAP if update.last < last else SequenceResult.APPLY

    def after_snapshot(self, last: int, update: SequenceNumbers) -> SequenceResult:
        """An update of the same time may be missing in the snapshot, and does no harm when it is
        contained, as sizes are absolute."""
        return SequenceResult.STALE if update.last < last else SequenceResult.APPLY

    def run_joins(
        self, last: int, firsts: IntColumn, lasts: IntColumn, previous: IntColumn
    ) -> bool:
        """The same as ``after_update``, for many updates at once."""
        return bool(lasts[0] >= last and (np.diff(lasts) >= 0).all())


class UnnumberedRule:
    """Updates have neither numbers nor times. The whole book comes over the feed, and the updates
    after it on the same connection follow it. Only a checksum or the numbers of the connection's
    frames can show a missing update."""

    ordering = UpdateOrdering.NONE

    def after_update(self, last: int, update: SequenceNumbers) -> SequenceResult:
        return SequenceResult.APPLY

    def after_snapshot(self, last: int, update: SequenceNumbers) -> SequenceResult:
        """An update that was held came before the snapshot."""
        return SequenceResult.STALE

    def run_joins(
        self, last: int, firsts: IntColumn, lasts: IntColumn, previous: IntColumn
    ) -> bool:
        return True
