"""The market data that accounts of a process trade on: batches, and the books made of them.

A venue's process publishes live data (``kit.connector.process.hub_source``), a playback recorded
data. A playback that is started again publishes the same data again: a consumer says how far it has
read, and gets only what follows.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from kit.base.cursor import Channel, Cursor
from kit.marketdata.delivery.subscription import SymbolFilter

FeedPosition = Mapping[Channel, Cursor]
"""By channel, the cursor of the last batch that was read."""


class MarketFeedReader(Protocol):
    """Reads some channels."""

    def take(self) -> bytes:
        """Return new batches as the bytes of a SubscribeResponse; b"" if there are none. Raises
        SubscriberTooSlow when some are not kept any more."""

    def responses(self) -> AsyncIterator[bytes]:
        """Yield responses. Raises the error that ended the feed, once all are read."""

    def leave(self) -> None:
        """Stop reading."""


class MarketFeed(Protocol):
    """All batches that a process publishes."""

    def follow(self, channels: Collection[Channel], symbols: SymbolFilter) -> MarketFeedReader:
        """Read channels of some symbols (empty: all), from now on. Raises TooManySubscribers."""


class ResumableMarketFeed(MarketFeed, Protocol):
    """A source for a consumer that stores how far it has read."""

    def position(self) -> FeedPosition:
        """Return how far it was read; empty for live data, which is never published again."""

    def resume(self, position: FeedPosition, on_reached: Callable[[], None]) -> None:
        """Skip what was read before, perhaps by another process. ``on_reached`` is called when that
        position is reached again, before anything else is published."""

    def is_behind(self) -> bool:
        """Whether the position given to ``resume`` is not reached yet."""

    def recording_changed(self) -> bool:
        """Whether another recording is played than the one that was read before; true once."""


class VerifiedBooks(Protocol):
    """The books after all published batches."""

    def keeps(self, symbol: str) -> bool:
        """Whether there is a book of a symbol, in doubt or not."""

    def levels(
        self, symbol: str, is_bid: bool, count: int | None
    ) -> Sequence[tuple[Decimal, Decimal]] | None:
        """Return prices and sizes of a side, best first, at most ``count`` (None: all), or None
        while the book is in doubt."""

    def time_ns(self, symbol: str) -> int:
        """Return the venue's time of a book; 0 where the venue does not report it."""
