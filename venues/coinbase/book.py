"""How the updates of a Coinbase book join: by nothing that is in them.

Neither feed numbers the updates of a book; both promise that level2 loses none:
https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
https://docs.cdp.coinbase.com/exchange/websocket-feed/channels
So an update always follows the one before. What proves a book is around it: on Advanced Trade the
number of each frame of the connection (``parse.advanced_sequence``), on both that a best bid is
below the best ask. A whole book comes first, over the feed, and again after a new subscription.
"""

from kit.connector.books.sequence_rules import UnnumberedRule
from kit.connector.contract.venue import BookRules, SnapshotSource

BOOK = BookRules(
    sequence=UnnumberedRule(),
    snapshots=SnapshotSource.FEED,
    crossing_is_wrong=True,
)
