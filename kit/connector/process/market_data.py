"""MarketData, served from the hub, the books and the venue's history."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc

from kit.base import paging
from kit.base.cursor import CHANNELS, Channel, Cursor
from kit.base.errors import BadRequest, NotSupported, UnknownInstrument
from kit.base.numbers import format_scaled
from kit.base.rpc import STREAM_WRITER
from kit.connector.books.synchronized_book import BookState, SynchronizedBook
from kit.connector.host.epoch_manager import EpochManager
from kit.connector.host.venue_host import VenueHost
from kit.connector.process.book_verification import BookVerifier
from kit.connector.process.state_republisher import StateRepublisher
from kit.marketdata.book.checksum import TOP_LEVELS, top_checksum
from kit.marketdata.model.columns import Scale

DEPTH_DEFAULT, DEPTH_MAX = 20, 5_000
VERIFIED_DEFAULT, VERIFIED_MAX = 100, 1_000
INSTRUMENTS_DEFAULT, INSTRUMENTS_MAX = 200, 1_000
HISTORY_DEFAULT, HISTORY_MAX = 500, 1_000

STATES = {
    BookState.EMPTY: market_data_pb2.BOOK_STATE_EMPTY,
    BookState.SYNCHRONIZED: market_data_pb2.BOOK_STATE_PROVEN,
    BookState.IN_DOUBT: market_data_pb2.BOOK_STATE_IN_DOUBT,
}

Context = grpc.aio.ServicerContext[Any, Any]


class MarketDataServicer(market_data_pb2_grpc.MarketDataServicer):
    """Answers MarketData for one venue. Subscribe yields serialised responses."""

    def __init__(
        self,
        host: VenueHost,
        verifier: BookVerifier,
        epochs: EpochManager,
        republisher: StateRepublisher,
    ) -> None:
        self._host = host
        self._hub = host.hub
        self._venue_id = host.venue.venue_id
        self._history = host.venue.history
        self._verifier = verifier
        self._epochs = epochs
        self._republisher = republisher

    async def ListInstruments(
        self, request: market_data_pb2.ListInstrumentsRequest, context: Context
    ) -> market_data_pb2.ListInstrumentsResponse:
        size = paging.page_size(request.page_size, INSTRUMENTS_DEFAULT, INSTRUMENTS_MAX)
        position = paging.read_token(request)
        after = str(position[0]) if position else ""
        listed = await self._host.instruments.all()
        rest = [symbol for symbol in listed if symbol > after]
        page = rest[:size]
        return market_data_pb2.ListInstrumentsResponse(
            instruments=[listed[symbol] for symbol in page],
            next_page_token=paging.make_token(request, [page[-1]]) if len(rest) > size else "",
        )

    def Subscribe(  # type: ignore[override]  # responses are serialised already
        self, request: market_data_pb2.SubscribeRequest, context: Context
    ) -> AsyncIterator[bytes]:
        if request.delivery.HasField("conflated"):
            raise NotSupported(
                "a venue serves every event; Live serves conflated subscriptions",
                service=self._venue_id,
                wanted="conflated",
            )
        channels = _channels(request)
        for symbol in request.symbols:
            self._require_subscribed(symbol)
        resume = {item.channel: Cursor.of(item.cursor) for item in request.resume_after}
        is_writer = STREAM_WRITER in (context.invocation_metadata() or ())
        if request.whole and not is_writer:
            raise BadRequest(
                "only the writer of the streams may ask for the whole state",
                field="whole",
                value=True,
                allowed="false",
            )
        if is_writer:
            # Only the writer of the streams is believed: an epoch is a gap for every reader.
            self._epochs.on_stream_epoch(
                max((cursor.epoch for cursor in resume.values()), default=0)
            )
        fresh = [channel for channel in channels if channel not in resume]
        earliest = request.start_at == market_data_pb2.START_AT_EARLIEST and not request.whole
        reader = self._hub.reader(
            {channel: resume[channel] for channel in channels if channel in resume},
            earliest=fresh if earliest else (),
            latest=() if earliest else fresh,
            symbols=frozenset(request.symbols),
        )
        if request.whole:
            self._republisher.publish(channels)
        return reader.responses()

    async def GetOrderBook(
        self, request: market_data_pb2.GetOrderBookRequest, context: Context
    ) -> market_data_pb2.GetOrderBookResponse:
        depth = _depth(request.depth, DEPTH_DEFAULT, DEPTH_MAX)
        self._require_subscribed(request.symbol)
        self._host.pipeline.flush()
        book = self._host.book_manager.books[request.symbol]
        return market_data_pb2.GetOrderBookResponse(
            venue=self._venue_id,
            symbol=request.symbol,
            state=self._state(book),
            book_epoch=book.epoch,
            last_sequence=book.last_sequence,
            cursor=self._hub.cursor(types_pb2.CHANNEL_BOOK).message(),
            venue_time_ns=book.venue_time_ns,
            bids=_levels(book, book.book.bids(depth)),
            asks=_levels(book, book.book.asks(depth)),
            checksum=top_checksum(
                book.book.bids(TOP_LEVELS), book.book.asks(TOP_LEVELS), book.scale
            ),
        )

    async def VerifyBook(
        self, request: market_data_pb2.VerifyBookRequest, context: Context
    ) -> market_data_pb2.VerifyBookResponse:
        depth = _depth(request.depth, VERIFIED_DEFAULT, VERIFIED_MAX)
        self._require_subscribed(request.symbol)
        return await self._verifier.verify(request.symbol, depth)

    async def ListTrades(
        self, request: market_data_pb2.ListTradesRequest, context: Context
    ) -> market_data_pb2.ListTradesResponse:
        size = paging.page_size(request.page_size, HISTORY_DEFAULT, HISTORY_MAX)
        position = paging.read_token(request)
        await self._host.instruments.require(request.symbol)
        first = int(position[0]) if position else request.first_trade_id
        trades = await self._history.trades(request.symbol, first, request.start_time_ns, size)
        # Where ids are no numbers, nothing can be asked for from an id on.
        goes_on = len(trades) == size and trades[-1].trade_id.isdecimal()
        return market_data_pb2.ListTradesResponse(
            trades=trades,
            next_page_token=paging.make_token(request, [int(trades[-1].trade_id) + 1])
            if goes_on
            else "",
        )

    async def ListCandles(
        self, request: market_data_pb2.ListCandlesRequest, context: Context
    ) -> market_data_pb2.ListCandlesResponse:
        size = paging.page_size(request.page_size, HISTORY_DEFAULT, HISTORY_MAX)
        position = paging.read_token(request)
        await self._host.instruments.require(request.symbol)
        start_ns = int(position[0]) if position else request.start_time_ns
        candles = await self._history.candles(request.symbol, request.interval, start_ns, size)
        return market_data_pb2.ListCandlesResponse(
            candles=candles,
            next_page_token=paging.make_token(request, [candles[-1].open_time_ns + 1])
            if len(candles) == size
            else "",
        )

    def _state(self, book: SynchronizedBook) -> "market_data_pb2.BookState.ValueType":
        if book.state is BookState.SYNCHRONIZED and not self._host.venue.book_proofs:
            return market_data_pb2.BOOK_STATE_UNPROVEN
        return STATES[book.state]

    def _require_subscribed(self, symbol: str) -> None:
        if self._host.subscriptions.unlisted([symbol]):
            raise UnknownInstrument(
                f"{self._venue_id} is not subscribed to {symbol!r}",
                venue=self._venue_id,
                symbol=symbol,
            )


def _depth(asked: int, usual: int, most: int) -> int:
    if asked > most:
        raise BadRequest(
            "depth is out of range", field="depth", value=asked, allowed=f"0 to {most}"
        )
    return asked or usual


def _channels(request: market_data_pb2.SubscribeRequest) -> list[Channel]:
    channels = list(dict.fromkeys(request.channels))
    unknown = [channel for channel in channels if channel not in CHANNELS]
    if unknown or not channels:
        raise BadRequest(
            "name the channels to subscribe to",
            field="channels",
            value=",".join(map(str, unknown)),
            allowed=" ".join(map(types_pb2.Channel.Name, CHANNELS)),
        )
    return channels


def _levels(book: SynchronizedBook, levels: list[tuple[int, int]]) -> list[market_data_pb2.Level]:
    scale: Scale = book.scale
    return [
        market_data_pb2.Level(
            price=format_scaled(price, scale.price), size=format_scaled(size, scale.size)
        )
        for price, size in levels
    ]
