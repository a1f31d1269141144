"""Sequence rules of Deribit's book updates.

https://docs.deribit.com/subscriptions/orderbook/bookinstrument_nameinterval: prev_change_id of
each change is the change_id of the previous one; any other value means that changes are missing.
Instruments share change_id, so it is not consecutive within a book.
"""

from kit.connector.books.sequence_rules import PreviousIdRule
from kit.connector.contract.venue import BookRules, SnapshotSource

BOOK = BookRules(sequence=PreviousIdRule(), snapshots=SnapshotSource.FEED, same_everywhere=True)
"""Each subscription starts with a snapshot of all levels, so depth needs no bound."""
