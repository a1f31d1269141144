"""Sequence rules of Bybit's book updates.

https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
A snapshot starts each subscription. After a restart of its service, the venue sends a snapshot with
update id 1 on the existing subscription. The updates after a snapshot have consecutive ids.

The venue removes each level beyond the depth with a size of 0: in the captures, both sides have the
same number of levels after each update as before. So the book is not truncated here.
"""

from kit.connector.books.sequence_rules import ConsecutiveIdRule
from kit.connector.contract.venue import BookRules, SnapshotSource

BOOK = BookRules(sequence=ConsecutiveIdRule(), snapshots=SnapshotSource.FEED, same_everywhere=True)
