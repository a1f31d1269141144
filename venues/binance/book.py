"""How the updates of Binance's books join."""

from kit.venue.contract import BookRules, Join, SnapshotSource, UpdateNumbers
from kit.venue.sequence import ChainRule, OverlapRule

SPOT_BOOK = BookRules(OverlapRule(), SnapshotSource.REST)
"""An update covers the ids U to u; it is ignored when u is not newer than the book, and there is a
hole when U is greater than the book's id plus one. "How to manage a local order book correctly":
https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams"""


class FuturesRule(ChainRule):
    """Each update names the last id of the one before; a snapshot may lie within an update.

    Ids are shared by all symbols, so an update's first id says nothing. Binance wants the first
    update after a snapshot to have U <= lastUpdateId <= u. That is a case of what is asked here:
    between pu and U nothing happened to the book, so a snapshot from pu on has all before U.
    https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
    """

    def after_snapshot(self, last: int, update: UpdateNumbers) -> Join:
        """pu must not be newer than the snapshot."""
        if update.last <= last:
            return Join.OLD
        return Join.APPLY if update.previous <= last else Join.HOLE


FUTURES_BOOK = BookRules(FuturesRule(), SnapshotSource.REST)
