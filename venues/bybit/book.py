"""How the updates of a Bybit book join.

https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
Each subscription begins with the whole book, and so does each restart of the venue's service, with
update id 1, in the middle of everything. The updates after it count on by one.

The venue removes by itself, with a size of 0, each level that falls out of the depth: in the
captures both sides have exactly as many levels after each update as before. So nothing is cut here.
"""

from kit.connector.books.sequence_rules import CountingRule
from kit.connector.contract.venue import BookRules, SnapshotSource

BOOK = BookRules(sequence=CountingRule(), snapshots=SnapshotSource.FEED, same_everywhere=True)
