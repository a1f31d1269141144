"""The common ways in which updates of a book join."""

import numpy as np

from kit.base.numbers import IntColumn
from kit.connector.contract.venue import SequenceResult, UpdateNumbers


class OverlapRule:
    """Updates cover ranges of ids; they join or overlap, which is fine as sizes are absolute."""

    def after_update(self, last: int, update: UpdateNumbers) -> SequenceResult:
        """The first id must not be greater than the one before plus one."""
        if update.last <= last:
            return SequenceResult.OLD
        return SequenceResult.HOLE if update.first > last + 1 else SequenceResult.APPLY

    def after_snapshot(self, last: int, update: UpdateNumbers) -> SequenceResult:
        """The same."""
        return self.after_update(last, update)

    def run_joins(
        self, last: int, firsts: IntColumn, lasts: IntColumn, previous: IntColumn
    ) -> bool:
        """The same, for many updates at once."""
        before = np.concatenate(([last], lasts[:-1]))
        return bool((firsts <= before + 1).all() and (lasts > before).all())


class ChainRule:
    """Each update names the one before it."""

    def after_update(self, last: int, update: UpdateNumbers) -> SequenceResult:
        """``previous`` must be the number of the update before."""
        if update.previous == last:
            return SequenceResult.APPLY
        return SequenceResult.OLD if update.last <= last else SequenceResult.HOLE

    def after_snapshot(self, last: int, update: UpdateNumbers) -> SequenceResult:
        """The same."""
        return self.after_update(last, update)

    def run_joins(
        self, last: int, firsts: IntColumn, lasts: IntColumn, previous: IntColumn
    ) -> bool:
        """The same, for many updates at once."""
        return bool(previous[0] == last and (previous[1:] == lasts[:-1]).all())


class CountingRule:
    """Each update has the next number."""

    def after_update(self, last: int, update: UpdateNumbers) -> SequenceResult:
        """``last`` counts by one."""
        if update.last == last + 1:
            return SequenceResult.APPLY
        return SequenceResult.OLD if update.last <= last else SequenceResult.HOLE

    def after_snapshot(self, last: int, update: UpdateNumbers) -> SequenceResult:
        """The same."""
        return self.after_update(last, update)

    def run_joins(
        self, last: int, firsts: IntColumn, lasts: IntColumn, previous: IntColumn
    ) -> bool:
        """The same, for many updates at once."""
        return bool(lasts[0] == last + 1 and (np.diff(lasts) == 1).all())


class UnnumberedRule:
    """Updates have no numbers: what came before a snapshot is in it, all else follows. Whether one
    is missing must be proven by other means."""

    def after_update(self, last: int, update: UpdateNumbers) -> SequenceResult:
        """Always."""
        return SequenceResult.APPLY

    def after_snapshot(self, last: int, update: UpdateNumbers) -> SequenceResult:
        """An update that was held is older than the snapshot that came after it."""
        return SequenceResult.OLD

    def run_joins(
        self, last: int, firsts: IntColumn, lasts: IntColumn, previous: IntColumn
    ) -> bool:
        """Always."""
        return True
