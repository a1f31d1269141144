"""The hub and books of a venue process as market data of its accounts."""

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal

from venuemesh.common.v1 import types_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.cursor import Channel
from kit.base.numbers import to_decimal
from kit.connector.books.book_manager import BookManager
from kit.connector.books.synchronized_book import BookState
from kit.connector.contract.venue import VenueHistory
from kit.connector.publishing.hub import Hub, HubReader
from kit.connector.subscriptions import VenueSubscriptions
from kit.execution.prices.market_feed import FeedPosition
from kit.execution.prices.reference_prices import TimedPrice
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
    """``kit.execution.prices.market_feed.VerifiedBooks``."""

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


class LiveData:
    """Whether the market data of a symbol is live."""

    def __init__(
        self, subscriptions: VenueSubscriptions, clock: Clock, stale_price_s: float
    ) -> None:
        self._subscriptions = subscriptions
        self._clock = clock
        self._stale_price_s = stale_price_s

    def problem(self, symbol: str) -> str:
        """Return why the trades of a symbol cannot trigger an order now; "" while they can. In a
        quiet market an event of any channel shows that the data is live."""
        subscriptions, trades = self._subscriptions, types_pb2.CHANNEL_TRADES
        subscribe = "subscribe to it with Admin.UpdateSubscriptions"
        if subscriptions.not_subscribed([symbol]) or trades not in subscriptions.channels:
            return f"trades of {symbol} are not subscribed: {subscribe}"
        if subscriptions.is_rejected(symbol, trades):
            return f"the venue has rejected the subscription of {symbol}: {subscribe}"
        if subscriptions.is_stale(symbol, trades):
            return f"the trades of {symbol} are silent beyond their usual pace"
        times = (subscriptions.received_time_ns(symbol, one) for one in subscriptions.channels)
        newest_ns = max(times)
        if not newest_ns:
            return f"nothing was received of {symbol} yet"
        age_s = (self._clock.time_ns() - newest_ns) / NANOSECONDS_PER_SECOND
        if age_s <= self._stale_price_s:
            return ""
        return f"the newest event of {symbol} is {age_s:.0f} s old"


class LastTrades:
    """The last trades of a venue, asked by REST."""

    def __init__(self, history: VenueHistory) -> None:
        self._history = history

    async def newest(self, symbol: str) -> TimedPrice | None:
        """Return the price of the last trade of a symbol, or None if there is none. Raises
        VenueUnavailable, RateLimited, UnknownInstrument."""
        last = await self._history.last_trade(symbol)
        return None if last is None else TimedPrice(Decimal(last.price), last.venue_time_ns)
