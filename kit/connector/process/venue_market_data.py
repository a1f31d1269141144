"""The MarketDataSource of a venue process: its listing and its books."""

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.cursor import Cursor
from kit.base.errors import UnknownInstrument
from kit.connector.books.synchronized_book import BookState
from kit.connector.host.venue_host import VenueHost
from kit.connector.process.book_verification import BookVerifier
from kit.connector.process.market_data import BookView, ReadFrom
from kit.connector.process.state_republisher import StateRepublisher

STATES = {
    BookState.EMPTY: market_data_pb2.BOOK_STATE_EMPTY,
    BookState.SYNCHRONIZED: market_data_pb2.BOOK_STATE_PROVEN,
    BookState.IN_DOUBT: market_data_pb2.BOOK_STATE_IN_DOUBT,
}


class VenueMarketData:
    """Serves one venue."""

    def __init__(
        self, host: VenueHost, verifier: BookVerifier, republisher: StateRepublisher
    ) -> None:
        self.instruments = host.instruments.all
        self.verify = verifier.verify
        self._host = host
        self._republisher = republisher

    def require_subscribed(self, symbol: str) -> None:
        if self._host.subscriptions.not_subscribed([symbol]):
            venue_id = self._host.venue.venue_id
            raise UnknownInstrument(
                f"{venue_id} is not subscribed to {symbol!r}", venue=venue_id, symbol=symbol
            )

    def on_subscribed(self, start: ReadFrom) -> None:
        if start.whole:
            self._republisher.publish([*start.resume_after, *start.latest])

    async def book(self, symbol: str, depth: int) -> tuple[Cursor, BookView | None]:
        host = self._host
        host.pipeline.flush()
        book = host.book_manager.books[symbol]
        state = STATES[book.state]
        if book.state is BookState.SYNCHRONIZED and not host.venue.book_proofs:
            state = market_data_pb2.BOOK_STATE_UNPROVEN
        view = BookView(
            state,
            book.epoch,
            book.last_sequence,
            book.venue_time_ns,
            book.scale,
            book.book.bids(depth),
            book.book.asks(depth),
        )
        return host.hub.cursor(types_pb2.CHANNEL_BOOK), view
