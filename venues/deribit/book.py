"""How the updates of a Deribit book join.

https://docs.deribit.com/subscriptions/orderbook/bookinstrument_nameinterval: each change names
the change_id before it in prev_change_id; when that is another than the last one seen, something
is missing. change_id counts for many instruments together, so it jumps from one change to the next.
"""

from kit.connector.books.sequence_rules import ChainRule
from kit.connector.contract.venue import BookRules, SnapshotSource

BOOK = BookRules(sequence=ChainRule(), snapshots=SnapshotSource.FEED, same_everywhere=True)
"""A whole book comes first after each subscription, all levels of it, so depth needs no bound."""
