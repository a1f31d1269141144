"""The MarketDataSource of a live venue process: its hub, its books and the venue's history."""

from collections.abc import AsyncIterator, Sequence

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.cursor import Cursor
from kit.base.errors import UnknownInstrument
from kit.connector.books.synchronized_book import BookState
from kit.connector.host.epoch_manager import EpochManager
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
        self,
        host: VenueHost,
        verifier: BookVerifier,
        epochs: EpochManager,
        republisher: StateRepublisher,
    ) -> None:
        self.venue_id = host.venue.venue_id
        self.instruments = host.instruments.all
        self._host = host
        self._verifier = verifier
        self._epochs = epochs
        self._republisher = republisher

    def require_subscribed(self, symbol: str) -> None:
        if self._host.subscriptions.not_subscribed([symbol]):
            raise UnknownInstrument(
                f"{self.venue_id} is not subscribed to {symbol!r}",
                venue=self.venue_id,
                symbol=symbol,
            )

    def responses(self, start: ReadFrom) -> AsyncIterator[bytes]:
        if start.stream_epoch is not None:
            # Only the writer of the streams is believed: an epoch is a gap for every reader.
            self._epochs.on_stream_epoch(start.stream_epoch)
        reader = self._host.hub.reader(
            start.resume_after, start.earliest, start.latest, start.symbols
        )
        if start.whole:
            self._republisher.publish([*start.resume_after, *start.latest])
        return reader.responses()

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

    async def verify(self, symbol: str, depth: int) -> market_data_pb2.VerifyBookResponse:
        return await self._verifier.verify(symbol, depth)

    async def trades(
        self, symbol: str, first_id: int, start_ns: int, count: int
    ) -> Sequence[market_data_pb2.Trade]:
        return await self._host.venue.history.trades(symbol, first_id, start_ns, count)

    async def candles(
        self, symbol: str, interval: str, start_ns: int, count: int
    ) -> Sequence[market_data_pb2.Candle]:
        return await self._host.venue.history.candles(symbol, interval, start_ns, count)
