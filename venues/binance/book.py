"""How the updates of a Binance spot book join.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"How to manage a local order book correctly": an update covers the ids U to u; it is ignored when
u is not newer than the book, and there is a hole when U is greater than the book's id plus one.
"""

import numpy as np

from kit.numbers import IntColumn
from kit.venue.contract import Join, UpdateNumbers


class SpotBookRule:
    """Ids join without a hole; overlapping is fine, as sizes are absolute."""

    def after_update(self, last: int, update: UpdateNumbers) -> Join:
        """U must not be greater than the id before plus one."""
        if update.last <= last:
            return Join.OLD
        return Join.HOLE if update.first > last + 1 else Join.APPLY

    def after_snapshot(self, last: int, update: UpdateNumbers) -> Join:
        """The same: lastUpdateId of the snapshot is the id before."""
        return self.after_update(last, update)

    def run_joins(
        self, last: int, firsts: IntColumn, lasts: IntColumn, previous: IntColumn
    ) -> bool:
        """The same, for many updates at once."""
        before = np.concatenate(([last], lasts[:-1]))
        return bool((firsts <= before + 1).all() and (lasts > before).all())
