"""How a Kraken book is kept and proven.

https://docs.kraken.com/api/docs/guides/spot-ws-book-v2: updates carry no numbers, so nothing says
that one follows the other. What proves them is the checksum in each: CRC-32 of the ten best levels
of either side after the update. The book ends at the depth that was subscribed to; what falls out
of it is not announced, and what comes back into it is sent again.
"""

from kit.connector.books.sequence_rules import UnnumberedRule
from kit.connector.contract.venue import BookRules, SnapshotSource
from kit.marketdata.book.checksum import Checksum

DEPTHS = (10, 25, 100, 500, 1000)
"""What may be subscribed to."""


def rules(depth: int) -> BookRules:
    """Of books that are subscribed to with this depth."""
    return BookRules(
        sequence=UnnumberedRule(),
        snapshots=SnapshotSource.FEED,
        checksum=Checksum.KRAKEN,
        depth=depth,
    )
