"""Sequence rules of Coinbase's book updates, which have no numbers.

Neither feed numbers the updates of a book; both guarantee the delivery of level2:
https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
https://docs.cdp.coinbase.com/exchange/websocket-feed/channels
So every update is taken as the successor of the previous one. Two other checks prove a book: on
Advanced Trade, the number of each frame of the connection (``parse.advanced_sequence``); on both, a
best bid below the best ask. A snapshot over the feed starts each subscription.
"""

from kit.connector.books.sequence_rules import UnnumberedRule
from kit.connector.contract.venue import BookRules, SnapshotSource

BOOK = BookRules(
    sequence=UnnumberedRule(),
    snapshots=SnapshotSource.FEED,
    crossing_is_wrong=True,
)
