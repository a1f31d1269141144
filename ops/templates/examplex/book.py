"""How the updates of an Examplex book join.

A subscription begins with the whole book; each update after it names the one before, so a lost one
shows at once, and a new subscription brings the whole book again.

To change: the rule (kit/venue/books/sequence.py has four), where a whole book comes from (the feed,
or REST), the checksum if there is one, and the depth if the exchange cuts its books.
"""

from kit.venue.books.sequence import ChainRule
from kit.venue.contract import BookRules, SnapshotSource

BOOK = BookRules(sequence=ChainRule(), snapshots=SnapshotSource.FEED)
