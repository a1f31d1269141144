"""Sequence rules of Binance's book updates.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"How to manage a local order book correctly": an update covers the ids U to u. It is ignored when u
is not newer than the book, and updates are missing when U is greater than the book's id plus one.
The snapshot comes from REST; its lastUpdateId is the id before the first update.

https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
Futures share their ids between all symbols, so U proves nothing; pu of each update is u of the
previous update of the same book. No update of this book lies between pu and U.
"""

from kit.base.number_columns import IntColumn
from kit.connector.books.sequence_rules import RangeOverlapRule
from kit.connector.contract.venue import BookRules, SequenceNumbers, SequenceResult, SnapshotSource


class BinanceFuturesSequenceRule(RangeOverlapRule):
    """The rule of spot, with pu plus one in place of U.

    Binance documents U <= lastUpdateId <= u for the first update after a snapshot, and pu equal to
    the previous u for all others. This rule covers both cases. An id of the book between pu and u
    comes from a snapshot; the update may be applied because sizes are absolute.
    """

    def after_update(self, last: int, update: SequenceNumbers) -> SequenceResult:
        """pu must not be greater than the previous id."""
        return super().after_update(last, update._replace(first=update.previous + 1))

    def run_joins(
        self, last: int, firsts: IntColumn, lasts: IntColumn, previous: IntColumn
    ) -> bool:
        """Like ``continues``, for many updates."""
        return super().run_joins(last, previous + 1, lasts, previous)


SPOT_BOOK = BookRules(
    sequence=RangeOverlapRule(), snapshots=SnapshotSource.REST, same_everywhere=True
)
FUTURES_BOOK = BookRules(
    sequence=BinanceFuturesSequenceRule(), snapshots=SnapshotSource.REST, same_everywhere=True
)
