"""The MarketDataSource of a venue process: its listing and its books."""

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.cursor import Cursor
from kit.base.errors import UnknownInstrument, VenueUnavailable
from kit.connector.books.synchronized_book import BookState
from kit.connector.process.book_verification import BookVerifier
from kit.connector.process.market_data import OrderBookView, SubscriptionStart
from kit.connector.process.state_republisher import StateRepublisher
from kit.connector.publishing.feed_handler import FeedHandler

STATES = {
    BookState.EMPTY: market_data_pb2.BOOK_STATE_EMPTY,
    BookState.SYNCHRONIZED: market_data_pb2.BOOK_STATE_PROVEN,
    BookState.IN_DOUBT: market_data_pb2.BOOK_STATE_IN_DOUBT,
}


class VenueMarketData:
    """Serves one venue."""

    def __init__(
        self, feed_handler: FeedHandler, verifier: BookVerifier, republisher: StateRepublisher
    ) -> None:
        self.instruments = feed_handler.instruments.all
        self.verify = verifier.verify
        self._feed_handler = feed_handler
        self._republisher = republisher

    def require_subscribed(self, symbol: str) -> None:
        subscriptions = self._feed_handler.subscriptions
        if subscriptions.not_subscribed([symbol]):
            venue_id = self._feed_handler.venue.venue_id
            if not subscriptions.symbols:
                # A process that has just started will know the instrument.
                detail = "it has no subscription yet"
                raise VenueUnavailable(f"{venue_id}: {detail}", venue=venue_id, detail=detail)
            raise UnknownInstrument(
                f"{venue_id} is not subscribed to {symbol!r}", venue=venue_id, symbol=symbol
            )

    def on_subscribed(self, start: SubscriptionStart) -> None:
        if start.whole:
            self._republisher.publish([*start.resume_after, *start.latest])

    async def book(self, symbol: str, depth: int) -> tuple[Cursor, OrderBookView | None]:
        feed_handler = self._feed_handler
        feed_handler.pipeline.flush()
        book = feed_handler.book_manager.books[symbol]
        state = STATES[book.state]
        if book.state is BookState.SYNCHRONIZED and not feed_handler.venue.book_proofs:
            state = market_data_pb2.BOOK_STATE_UNPROVEN
        view = OrderBookView(
            state,
            book.epoch,
            book.last_sequence,
            book.venue_time_ns,
            book.scale,
            book.book.bids(depth),
            book.book.asks(depth),
        )
        return feed_handler.hub.cursor(types_pb2.CHANNEL_BOOK), view
