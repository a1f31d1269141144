"""How the updates of Binance's books join.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"How to manage a local order book correctly": an update covers the ids U to u; it is ignored when
u is not newer than the book, and there is a hole when U is greater than the book's id plus one.
The whole book comes over REST, with lastUpdateId as the id before the first update.
"""

from kit.venue.contract import BookRules, SnapshotSource
from kit.venue.sequence import OverlapRule

SPOT_BOOK = BookRules(sequence=OverlapRule(), snapshots=SnapshotSource.REST)
