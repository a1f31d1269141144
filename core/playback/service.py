"""MarketData of the past."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc

from core.playback.books import PlayedBooks
from core.playback.epochs import Beginning
from core.playback.log import Log
from core.playback.past import Past
from core.playback.player import Player
from kit.base import paging
from kit.base.cursor import CHANNELS, Channel, Cursor
from kit.base.errors import BadRequest, NotSupported
from kit.base.numbers import format_scaled
from kit.base.rpc import STREAM_WRITER
from kit.marketdata.book.checksum import TOP_LEVELS, top_checksum

DEPTH_DEFAULT, DEPTH_MAX = 20, 5_000
INSTRUMENTS_DEFAULT, INSTRUMENTS_MAX = 200, 1_000
HISTORY_DEFAULT, HISTORY_MAX = 500, 1_000

Context = grpc.aio.ServicerContext[Any, Any]


class MarketDataServicer(market_data_pb2_grpc.MarketDataServicer):
    """Answers MarketData for the venue that is played. Subscribe yields serialised responses."""

    def __init__(
        self, log: Log, player: Player, past: Past, books: PlayedBooks, beginning: Beginning
    ) -> None:
        self._log = log
        self._books = books
        self._player = player
        self._past = past
        self._beginning = beginning

    async def ListInstruments(
        self, request: market_data_pb2.ListInstrumentsRequest, context: Context
    ) -> market_data_pb2.ListInstrumentsResponse:
        size = paging.page_size(request.page_size, INSTRUMENTS_DEFAULT, INSTRUMENTS_MAX)
        position = paging.read_token(request)
        after = str(position[0]) if position else ""
        listed = self._past.instruments(self._player.played_until_ns)
        rest = [instrument for instrument in listed if instrument.symbol > after]
        page = rest[:size]
        goes_on = len(rest) > size
        token = paging.make_token(request, [page[-1].symbol]) if goes_on else ""
        return market_data_pb2.ListInstrumentsResponse(instruments=page, next_page_token=token)

    async def Subscribe(  # type: ignore[override]  # responses are serialised already
        self, request: market_data_pb2.SubscribeRequest, context: Context
    ) -> AsyncIterator[bytes]:
        if request.delivery.HasField("conflated"):
            raise NotSupported(
                "a venue serves every event; Live serves conflated subscriptions",
                service=self._log.venue_id,
                wanted="conflated",
            )
        channels = _channels(request)
        for symbol in request.symbols:
            self._past.require(symbol)
        resume = {
            item.channel: Cursor.of(item.cursor)
            for item in request.resume_after
            if item.channel in channels
        }
        if STREAM_WRITER in (context.invocation_metadata() or ()):
            self._beginning.seen(max((cursor.epoch for cursor in resume.values()), default=0))
        fresh = [channel for channel in channels if channel not in resume]
        earliest = request.start_at == market_data_pb2.START_AT_EARLIEST
        reader = self._log.reader(
            resume,
            earliest=fresh if earliest else (),
            latest=() if earliest else fresh,
            symbols=frozenset(request.symbols),
        )
        self._player.start(resume)
        async for response in reader.responses():
            yield response

    async def GetOrderBook(
        self, request: market_data_pb2.GetOrderBookRequest, context: Context
    ) -> market_data_pb2.GetOrderBookResponse:
        depth = _depth(request.depth)
        self._past.require(request.symbol)
        answer = market_data_pb2.GetOrderBookResponse(
            venue=self._log.venue_id,
            symbol=request.symbol,
            state=market_data_pb2.BOOK_STATE_EMPTY,
            cursor=self._log.cursor(types_pb2.CHANNEL_BOOK).message(),
        )
        doubted = request.symbol in self._books.doubted
        book = await self._past.book(request.symbol, self._player.played_until_ns)
        if book is None:
            return answer
        states = market_data_pb2.BookState
        answer.state = states.BOOK_STATE_IN_DOUBT if doubted else states.BOOK_STATE_PROVEN
        answer.book_epoch, answer.last_sequence = book.book_epoch, book.last_sequence
        answer.venue_time_ns = book.venue_time_ns
        for levels, side in ((book.bids, answer.bids), (book.asks, answer.asks)):
            for price, size in levels[:depth]:
                side.add(
                    price=format_scaled(price, book.scale.price),
                    size=format_scaled(size, book.scale.size),
                )
        best = book.bids[:TOP_LEVELS], book.asks[:TOP_LEVELS]
        answer.checksum = top_checksum(*best, book.scale)
        return answer

    async def VerifyBook(
        self, request: market_data_pb2.VerifyBookRequest, context: Context
    ) -> market_data_pb2.VerifyBookResponse:
        raise NotSupported(
            "there is no venue to compare a book of the past with",
            service=self._log.venue_id,
            wanted="verify",
        )

    async def ListTrades(
        self, request: market_data_pb2.ListTradesRequest, context: Context
    ) -> market_data_pb2.ListTradesResponse:
        size = paging.page_size(request.page_size, HISTORY_DEFAULT, HISTORY_MAX)
        position = paging.read_token(request)
        self._past.require(request.symbol)
        first = int(position[0]) if position else request.first_trade_id
        start_ns = 0 if first else request.start_time_ns
        until_ns = self._player.played_until_ns
        trades = await self._past.trades(request.symbol, first, start_ns, until_ns, size)
        goes_on = len(trades) == size and trades[-1].trade_id.isdecimal()
        token = paging.make_token(request, [int(trades[-1].trade_id) + 1]) if goes_on else ""
        return market_data_pb2.ListTradesResponse(trades=trades, next_page_token=token)

    async def ListCandles(
        self, request: market_data_pb2.ListCandlesRequest, context: Context
    ) -> market_data_pb2.ListCandlesResponse:
        size = paging.page_size(request.page_size, HISTORY_DEFAULT, HISTORY_MAX)
        position = paging.read_token(request)
        self._past.require(request.symbol)
        start_ns = int(position[0]) if position else request.start_time_ns
        until_ns = self._player.played_until_ns
        candles = await self._past.candles(
            request.symbol, request.interval, start_ns, until_ns, size
        )
        goes_on = len(candles) == size
        token = paging.make_token(request, [candles[-1].open_time_ns + 1]) if goes_on else ""
        return market_data_pb2.ListCandlesResponse(candles=candles, next_page_token=token)


def _depth(asked: int) -> int:
    if asked > DEPTH_MAX:
        allowed = f"0 to {DEPTH_MAX}"
        raise BadRequest("depth is out of range", field="depth", value=asked, allowed=allowed)
    return asked or DEPTH_DEFAULT


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
