"""The hub and books of a venue process as market data of its accounts."""

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal

from kit.base.cursor import Channel
from kit.base.numbers import to_decimal
from kit.connector.books.book_manager import BookManager
from kit.connector.books.synchronized_book import BookState
from kit.connector.publishing.hub import Hub, HubReader
from kit.execution.market_feed import FeedPosition
from kit.marketdata.delivery.subscription import SymbolFilter


class HubFeed:
    """A ``ResumableMarketFeed``. Live data is never published again."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def follow(self, channels: Collection[Channel], symbols: SymbolFilter) -> HubReader:
        return self._hub.follow(channels, symbols)

    def position(self) -> FeedPosition:
        return {}

    def resume(self, position: FeedPosition, on_reached: Callable[[], None]) -> None:
        """Do nothing: live data starts now."""

    def is_behind(self) -> bool:
        return False

    def recording_changed(self) -> bool:
        return False


class HubBooks:
    """``kit.execution.market_feed.VerifiedBooks``."""

    def __init__(self, book_manager: BookManager) -> None:
        self._book_manager = book_manager

    def keeps(self, symbol: str) -> bool:
        return symbol in self._book_manager.books

    def levels(
        self, symbol: str, is_bid: bool, count: int | None
    ) -> Sequence[tuple[Decimal, Decimal]] | None:
        book = self._book_manager.books.get(symbol)
        if book is None or book.state is not BookState.SYNCHRONIZED:
            return None
        side = book.book.bids(count) if is_bid else book.book.asks(count)
        scale = book.scale
        return [(to_decimal(at, scale.price), to_decimal(size, scale.size)) for at, size in side]

    def time_ns(self, symbol: str) -> int:
        book = self._book_manager.books.get(symbol)
        return 0 if book is None else book.venue_time_ns
