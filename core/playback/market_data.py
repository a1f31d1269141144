"""The MarketDataSource of a play: the log of what was played, and the record up to that time."""

from collections.abc import AsyncIterator, Mapping, Sequence

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from core.playback.books import PlayedBooks
from core.playback.epochs import PlayEpochManager
from core.playback.log import PlayLog
from core.playback.past_record import PastRecord
from core.playback.player import Player
from kit.base.cursor import Cursor
from kit.base.errors import NotSupported
from kit.connector.process.market_data import BookView, ReadFrom


class PlaybackMarketData:
    """Serves the venue whose record is played."""

    def __init__(
        self,
        log: PlayLog,
        player: Player,
        past: PastRecord,
        books: PlayedBooks,
        epochs: PlayEpochManager,
    ) -> None:
        self.venue_id = log.venue_id
        self.require_subscribed = past.require
        self._log = log
        self._books = books
        self._player = player
        self._past = past
        self._epochs = epochs

    async def instruments(self) -> Mapping[str, types_pb2.Instrument]:
        listed = self._past.instruments(self._player.played_until_ns)
        return {instrument.symbol: instrument for instrument in listed}

    def responses(self, start: ReadFrom) -> AsyncIterator[bytes]:
        if start.stream_epoch is not None:
            self._epochs.on_stream_epoch(start.stream_epoch)
        reader = self._log.reader(start.resume_after, start.earliest, start.latest, start.symbols)
        self._player.start(start.resume_after)
        return reader.responses()

    async def book(self, symbol: str, depth: int) -> tuple[Cursor, BookView | None]:
        cursor = self._log.cursor(types_pb2.CHANNEL_BOOK)
        doubted = symbol in self._books.doubted
        book = await self._past.book(symbol, self._player.played_until_ns)
        if book is None:
            return cursor, None
        states = market_data_pb2.BookState
        state = states.BOOK_STATE_IN_DOUBT if doubted else states.BOOK_STATE_PROVEN
        return cursor, BookView(
            state,
            book.book_epoch,
            book.last_sequence,
            book.venue_time_ns,
            book.scale,
            book.bids[:depth],
            book.asks[:depth],
        )

    async def verify(self, symbol: str, depth: int) -> market_data_pb2.VerifyBookResponse:
        raise NotSupported(
            "there is no venue to compare a book of the past with",
            service=self.venue_id,
            wanted="verify",
        )

    async def trades(
        self, symbol: str, first_id: int, start_ns: int, count: int
    ) -> Sequence[market_data_pb2.Trade]:
        until_ns = self._player.played_until_ns
        return await self._past.trades(
            symbol, first_id, 0 if first_id else start_ns, until_ns, count
        )

    async def candles(
        self, symbol: str, interval: str, start_ns: int, count: int
    ) -> Sequence[market_data_pb2.Candle]:
        until_ns = self._player.played_until_ns
        return await self._past.candles(symbol, interval, start_ns, until_ns, count)
