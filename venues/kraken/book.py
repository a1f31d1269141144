"""How a Kraken book is maintained and proven.

https://docs.kraken.com/api/docs/guides/spot-ws-book-v2: updates have no numbers, so a
missing update is found only by the checksum in each update: CRC-32 of the ten best levels of each
side after the update. The book has the subscribed depth; the venue does not announce levels that
leave it, and sends levels again that return to it.
"""

from kit.connector.books.sequence_rules import UnnumberedRule
from kit.connector.contract.venue import BookRules, SnapshotSource
from kit.marketdata.book.checksum import Checksum

DEPTHS = (10, 25, 100, 500, 1000)
"""Depths that may be subscribed to."""


def rules(depth: int) -> BookRules:
    """The rules of books with this subscribed depth."""
    return BookRules(
        sequence=UnnumberedRule(),
        snapshots=SnapshotSource.FEED,
        checksum=Checksum.ASKS_THEN_BIDS,
        depth=depth,
    )
