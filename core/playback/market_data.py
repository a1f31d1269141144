"""The MarketDataSource of a playback: the record up to the played time."""

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from core.playback.books import PlaybackBooks
from core.playback.publisher import PlaybackPublisher
from core.playback.recorded_market_data import RecordedMarketData
from kit.base.cursor import Cursor
from kit.base.errors import NotSupported
from kit.connector.process.market_data import OrderBookView, SubscriptionStart
from kit.connector.publishing.hub import Hub


class PlaybackMarketData:
    """Serves the venue whose record is played."""

    def __init__(
        self, hub: Hub, player: PlaybackPublisher, past: RecordedMarketData, books: PlaybackBooks
    ) -> None:
        self.instruments = past.instruments
        self.require_subscribed = past.require
        self._hub = hub
        self._player = player
        self._past = past
        self._books = books

    def on_subscribed(self, start: SubscriptionStart) -> None:
        self._player.start(start.resume_after)

    async def book(self, symbol: str, depth: int) -> tuple[Cursor, OrderBookView | None]:
        cursor = self._hub.cursor(types_pb2.CHANNEL_BOOK)
        states = market_data_pb2.BookState
        doubted = symbol in self._books.doubted
        state = states.BOOK_STATE_IN_DOUBT if doubted else states.BOOK_STATE_PROVEN
        book = await self._past.book(symbol)
        if book is None:
            return cursor, None
        updates = book.updates
        levels = list(zip(updates.price.tolist(), updates.size.tolist(), strict=True))
        bid_count = int(updates.bid_count[0])
        return cursor, OrderBookView(
            state,
            int(updates.book_epoch[0]),
            int(updates.last_sequence[0]),
            int(updates.venue_time_ns[0]),
            book.instruments[0].scale,
            levels[:bid_count][:depth],
            levels[bid_count:][:depth],
        )

    async def verify(self, symbol: str, depth: int) -> market_data_pb2.VerifyBookResponse:
        raise NotSupported(
            "there is no venue to compare a book of the past with",
            service=self._hub.venue_id,
            wanted="verify",
        )
