"""The market events that a paper account reads. Amounts are ``Decimal``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, Protocol

from kit.execution.prices.market_feed import FeedPosition


class BookLevelUpdate(NamedTuple):
    """The new size of a level; 0: the level is gone."""

    is_bid: bool
    price: Decimal
    size: Decimal


@dataclass(frozen=True, slots=True)
class BookLevelsChanged:
    """Levels of a book have changed."""

    symbol: str
    levels: Sequence[BookLevelUpdate]
    is_whole: bool
    """Whether these are all levels of the book."""
    venue_time_ns: int
    """0 if the venue does not say."""


@dataclass(frozen=True, slots=True)
class BookInvalidated:
    """A book is not proven until its next snapshot."""

    symbol: str


@dataclass(frozen=True, slots=True)
class TradeReported:
    """A public trade."""

    symbol: str
    price: Decimal
    size: Decimal
    taker_buys: bool | None
    """None if the venue does not say."""
    venue_time_ns: int


@dataclass(frozen=True, slots=True)
class MarkPriceReported:
    """The mark price and funding of a derivative. None, or 0, if the row does not say."""

    symbol: str
    price: Decimal | None
    funding_rate: Decimal | None
    next_funding_time_ns: int
    time_ns: int
    """By the venue's clock; the receive time if the venue does not say."""


class MarketEventsLost:
    """Events were lost because this reader was too slow."""


class MarketRestarted:
    """Another playback begins: orders that rest in the one before are cancelled."""


MarketEvent = (
    BookLevelsChanged
    | BookInvalidated
    | TradeReported
    | MarkPriceReported
    | MarketEventsLost
    | MarketRestarted
)
MarketListener = Callable[[Sequence[MarketEvent]], None]


class PaperMarketEvents(Protocol):
    """The event stream of one venue."""

    async def run(self) -> None:
        """Deliver events until the venue stops or this is cancelled."""

    def watch(self, symbols: frozenset[str]) -> None:
        """Deliver events of these symbols only, from now on. Raises TooManySubscribers."""

    def catch_up(self) -> None:
        """Deliver at once all events up to now."""

    def position(self) -> FeedPosition:
        """Return how far events were delivered, to be stored with their effects. Empty: they are
        not delivered again."""

    def resume(self, position: FeedPosition) -> None:
        """Continue after events that were delivered before, perhaps to another process. Until the
        stream has come to there again, nothing is delivered and no book is proven."""


class PaperMarketBooks(Protocol):
    """The books of one venue, as they are after all events that ``catch_up`` has delivered."""

    def keeps(self, symbol: str) -> bool:
        """Whether there is a book of the symbol, proven or not."""

    def levels(
        self, symbol: str, is_bid: bool, count: int | None
    ) -> Sequence[tuple[Decimal, Decimal]] | None:
        """Return price and size of at most ``count`` levels, best first, or None while the book is
        not proven."""

    def book_time_ns(self, symbol: str) -> int:
        """Return the venue's time of a book; 0 if it does not say."""


class PaperMarket(PaperMarketEvents, PaperMarketBooks, Protocol):
    """Events and books of one venue."""
