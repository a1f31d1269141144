"""What a process publishes, for those who trade in it: batches, and the books that they make.

A venue's process publishes what it hears (``kit.connector.process.hub_source``),
a playback what was recorded.
A play that is started anew plays the same again: whoever has heard a part of it says how far, and
is told what comes after that.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from kit.base.cursor import Channel, Cursor
from kit.marketdata.delivery.subscription import SymbolFilter

Reached = Mapping[Channel, Cursor]
"""The last batch of each channel that somebody has heard of."""


class Reader(Protocol):
    """Who follows some channels."""

    def take(self) -> bytes:
        """What has come, as the bytes of a SubscribeResponse; b"" for nothing. Raises
        SubscriberTooSlow when something of it is not held any more."""

    def responses(self) -> AsyncIterator[bytes]:
        """Response after response. Raises what the feed was ended with, when all is taken."""

    def leave(self) -> None:
        """Read no more."""


class PublishedBatch(Protocol):
    """All that a process publishes."""

    def follow(self, channels: Collection[Channel], symbols: SymbolFilter) -> Reader:
        """Some channels of some symbols (none: all), from now on. Raises TooManySubscribers."""


class MarketDataSource(PublishedBatch, Protocol):
    """The same, for one who remembers how far it was read."""

    def reached(self) -> Reached:
        """How far it has been read. Empty where that says nothing, as nothing comes again."""

    def go_on(self, reached: Reached, there: Callable[[], None]) -> None:
        """So far it was read before, perhaps by another process: that is not told again. ``there``
        is called when it has come to there again, before anything else is published."""

    def is_behind(self) -> bool:
        """Whether it has not come again to where it was."""

    def begins_anew(self) -> bool:
        """Whether this is another play than the one that was read before; once."""


class BookSource(Protocol):
    """Books as they are after all that was published."""

    def keeps(self, symbol: str) -> bool:
        """Whether there is a book of it, in doubt or not."""

    def levels(
        self, symbol: str, is_bid: bool, count: int | None
    ) -> Sequence[tuple[Decimal, Decimal]] | None:
        """Price and size, best first, so many at most. None: the book is in doubt."""

    def time_ns(self, symbol: str) -> int:
        """The venue's time of a book. 0: it does not say."""
