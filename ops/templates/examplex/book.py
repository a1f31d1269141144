"""How the updates of the books of Examplex join.

A subscription begins with the whole book; each update after it names the one before, so a lost one
shows at once, and a new subscription brings the whole book again.

To change: the rule (kit/connector/books/sequence_rules.py has four), the source of whole books
(the feed or REST), the checksum if there is one, and the depth if the exchange cuts its books.
"""

from kit.connector.books.sequence_rules import PreviousIdRule
from kit.connector.contract.venue import BookRules, SnapshotSource

BOOK = BookRules(sequence=PreviousIdRule(), snapshots=SnapshotSource.FEED)
