"""How the updates of Binance's books join.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"How to manage a local order book correctly": an update covers the ids U to u; it is ignored when
u is not newer than the book, and there is a hole when U is greater than the book's id plus one.
The whole book comes over REST, with lastUpdateId as the id before the first update.

https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
Ids of futures are shared by all symbols, so U says nothing; each update names as pu the u of the
one before it. Between pu and U nothing happened to this book.
"""

from kit.base.numbers import IntColumn
from kit.connector.books.sequence_rules import OverlapRule
from kit.connector.contract.venue import BookRules, SequenceResult, SnapshotSource, UpdateNumbers


class FuturesRule(OverlapRule):
    """As spot's, with the ids that follow pu for those from U on.

    Binance says: the first update after a snapshot has U <= lastUpdateId <= u, each other one has
    the u before as its pu. Both are cases of this rule. A book between pu and u is one that a
    snapshot has brought there, and may take the update, as sizes are absolute.
    """

    def after_update(self, last: int, update: UpdateNumbers) -> SequenceResult:
        """pu must not be greater than the id before."""
        return super().after_update(last, update._replace(first=update.previous + 1))

    def run_joins(
        self, last: int, firsts: IntColumn, lasts: IntColumn, previous: IntColumn
    ) -> bool:
        """The same, for many updates at once."""
        return super().run_joins(last, previous + 1, lasts, previous)


SPOT_BOOK = BookRules(sequence=OverlapRule(), snapshots=SnapshotSource.REST, same_everywhere=True)
FUTURES_BOOK = BookRules(
    sequence=FuturesRule(), snapshots=SnapshotSource.REST, same_everywhere=True
)
