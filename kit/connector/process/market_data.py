"""MarketData, served from a hub: of a venue, or of a recorded past."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc

from kit.base import paging
from kit.base.access.call_guard import require_kind
from kit.base.cursor import CHANNELS, Channel, Cursor
from kit.base.errors import BadRequest, NotSupported, UnknownInstrument
from kit.base.numbers import format_scaled
from kit.base.rpc import STREAM_WRITER
from kit.connector.publishing.hub import Hub
from kit.marketdata.book.checksum import TOP_LEVELS, top_checksum
from kit.marketdata.book.levels import Levels
from kit.marketdata.model.columns import Scale

DEPTH_DEFAULT, DEPTH_MAX = 20, 5_000
VERIFIED_DEFAULT, VERIFIED_MAX = 100, 1_000
INSTRUMENTS_DEFAULT, INSTRUMENTS_MAX = 200, 1_000
HISTORY_DEFAULT, HISTORY_MAX = 500, 1_000
INGEST = "ingest"
"""The kind of process that writes the streams."""

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class SubscriptionStart:
    """Where a subscription starts in each channel."""

    resume_after: Mapping[Channel, Cursor]
    earliest: Sequence[Channel]
    """Channels that start with the first batch that is held."""
    latest: Sequence[Channel]
    """Channels that start with the next batch."""
    whole: bool
    """Whether the whole state is published again for the writer."""


class OrderBookView(NamedTuple):
    """A book as GetOrderBook answers it. Levels are best first, at least as many as asked for."""

    state: "market_data_pb2.BookState.ValueType"
    epoch: int
    last_sequence: int
    venue_time_ns: int
    scale: Scale
    bids: Levels
    asks: Levels


class EpochStarter(Protocol):
    """Starts epochs of a hub."""

    def on_stream_epoch(self, epoch: int) -> None:
        """Start a newer epoch if the Redis Streams hold a newer one than the hub's."""


class MarketDataSource(Protocol):
    """What a process knows besides the batches of its hub."""

    async def instruments(self) -> Mapping[str, types_pb2.Instrument]:
        """The listed instruments by native symbol, ascending."""

    def require_subscribed(self, symbol: str) -> None:
        """Raises UnknownInstrument for a symbol of which nothing is published."""

    def on_subscribed(self, start: SubscriptionStart) -> None:
        """A reader has subscribed and has read nothing yet."""

    async def book(self, symbol: str, depth: int) -> tuple[Cursor, OrderBookView | None]:
        """The last batch of the book channel, and the book that includes it; None if unknown."""

    async def verify(self, symbol: str, depth: int) -> market_data_pb2.VerifyBookResponse:
        """Compare a book with the venue's own. Raises NotSupported."""


class TradesAndCandles(Protocol):
    """The past of a venue."""

    async def trades(
        self, symbol: str, first_trade_id: int, start_time_ns: int, count: int
    ) -> Sequence[market_data_pb2.Trade]:
        """Past trades from an id on, or from a time on if the id is 0, oldest first."""

    async def candles(
        self, symbol: str, interval: str, start_time_ns: int, count: int
    ) -> Sequence[market_data_pb2.Candle]:
        """Past candles from a time on, oldest first. Raises BadRequest."""


class MarketDataServicer(market_data_pb2_grpc.MarketDataServicer):
    """Answers MarketData for one venue. Subscribe yields serialised responses."""

    def __init__(
        self, hub: Hub, epochs: EpochStarter, source: MarketDataSource, history: TradesAndCandles
    ) -> None:
        self._hub = hub
        self._epochs = epochs
        self._source = source
        self._history = history

    async def ListInstruments(
        self, request: market_data_pb2.ListInstrumentsRequest, context: Context
    ) -> market_data_pb2.ListInstrumentsResponse:
        self._check_venue(request.venue)
        size = paging.page_size(request.page_size, INSTRUMENTS_DEFAULT, INSTRUMENTS_MAX)
        position = paging.read_token(request)
        after = str(position[0]) if position else ""
        listed = await self._source.instruments()
        rest = [symbol for symbol in listed if symbol > after]
        page = rest[:size]
        return market_data_pb2.ListInstrumentsResponse(
            instruments=[listed[symbol] for symbol in page],
            next_page_token=paging.make_token(request, [page[-1]]) if len(rest) > size else "",
        )

    def Subscribe(  # type: ignore[override]  # responses are serialised already
        self, request: market_data_pb2.SubscribeRequest, context: Context
    ) -> AsyncIterator[bytes]:
        self._check_venue(request.venue)
        if request.delivery.HasField("conflated"):
            raise NotSupported(
                "a venue serves every event; Live serves conflated subscriptions",
                service=self._hub.venue_id,
                wanted="conflated",
            )
        channels = _channels(request)
        for symbol in request.symbols:
            self._source.require_subscribed(symbol)
        is_writer = STREAM_WRITER in (context.invocation_metadata() or ())
        if is_writer:
            require_kind(INGEST, "write the streams")
        if request.whole and not is_writer:
            raise BadRequest(
                "only the writer of the streams may ask for the whole state",
                field="whole",
                value=True,
                allowed="false",
            )
        resume = {item.channel: Cursor.of(item.cursor) for item in request.resume_after}
        fresh = [channel for channel in channels if channel not in resume]
        earliest = request.start_at == market_data_pb2.START_AT_EARLIEST and not request.whole
        epoch = max((cursor.epoch for cursor in resume.values()), default=0)
        if is_writer:
            # Only the writer of the streams is believed: an epoch is a gap for every reader.
            self._epochs.on_stream_epoch(epoch)
        start = SubscriptionStart(
            {channel: resume[channel] for channel in channels if channel in resume},
            earliest=fresh if earliest else (),
            latest=() if earliest else fresh,
            whole=request.whole,
        )
        symbols = frozenset(request.symbols)
        reader = self._hub.reader(start.resume_after, start.earliest, start.latest, symbols)
        self._source.on_subscribed(start)
        return reader.responses()

    async def GetOrderBook(
        self, request: market_data_pb2.GetOrderBookRequest, context: Context
    ) -> market_data_pb2.GetOrderBookResponse:
        self._check_venue(request.venue)
        depth = _depth(request.depth, DEPTH_DEFAULT, DEPTH_MAX)
        self._source.require_subscribed(request.symbol)
        cursor, book = await self._source.book(request.symbol, max(depth, TOP_LEVELS))
        answer = market_data_pb2.GetOrderBookResponse(
            venue=self._hub.venue_id,
            symbol=request.symbol,
            state=market_data_pb2.BOOK_STATE_EMPTY if book is None else book.state,
            cursor=cursor.message(),
        )
        if book is not None:
            answer.book_epoch, answer.last_sequence = book.epoch, book.last_sequence
            answer.venue_time_ns = book.venue_time_ns
            answer.bids.extend(_levels(book.bids[:depth], book.scale))
            answer.asks.extend(_levels(book.asks[:depth], book.scale))
            best = book.bids[:TOP_LEVELS], book.asks[:TOP_LEVELS]
            answer.checksum = top_checksum(*best, book.scale)
        return answer

    async def VerifyBook(
        self, request: market_data_pb2.VerifyBookRequest, context: Context
    ) -> market_data_pb2.VerifyBookResponse:
        self._check_venue(request.venue)
        depth = _depth(request.depth, VERIFIED_DEFAULT, VERIFIED_MAX)
        self._source.require_subscribed(request.symbol)
        return await self._source.verify(request.symbol, depth)

    async def ListTrades(
        self, request: market_data_pb2.ListTradesRequest, context: Context
    ) -> market_data_pb2.ListTradesResponse:
        self._check_venue(request.venue)
        size = paging.page_size(request.page_size, HISTORY_DEFAULT, HISTORY_MAX)
        position = paging.read_token(request)
        await self._require_listed(request.symbol)
        first = int(position[0]) if position else request.first_trade_id
        trades = await self._history.trades(request.symbol, first, request.start_time_ns, size)
        # Where ids are no numbers, nothing can be asked for from an id on.
        has_more = len(trades) == size and trades[-1].trade_id.isdecimal()
        return market_data_pb2.ListTradesResponse(
            trades=trades,
            next_page_token=paging.make_token(request, [int(trades[-1].trade_id) + 1])
            if has_more
            else "",
        )

    async def ListCandles(
        self, request: market_data_pb2.ListCandlesRequest, context: Context
    ) -> market_data_pb2.ListCandlesResponse:
        self._check_venue(request.venue)
        size = paging.page_size(request.page_size, HISTORY_DEFAULT, HISTORY_MAX)
        position = paging.read_token(request)
        await self._require_listed(request.symbol)
        start_ns = int(position[0]) if position else request.start_time_ns
        candles = await self._history.candles(request.symbol, request.interval, start_ns, size)
        return market_data_pb2.ListCandlesResponse(
            candles=candles,
            next_page_token=paging.make_token(request, [candles[-1].open_time_ns + 1])
            if len(candles) == size
            else "",
        )

    def _check_venue(self, named: str) -> None:
        """A call may reach this process by a header or a path that names another venue than the
        request does."""
        venue = self._hub.venue_id
        if named not in ("", venue):
            text = f"this process serves the venue {venue}, and the request names {named!r}"
            raise BadRequest(text, field="venue", value=named, allowed=venue)

    async def _require_listed(self, symbol: str) -> None:
        if symbol not in await self._source.instruments():
            venue = self._hub.venue_id
            raise UnknownInstrument(f"{venue} does not list {symbol!r}", venue=venue, symbol=symbol)


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


def _levels(levels: Levels, scale: Scale) -> list[market_data_pb2.Level]:
    return [
        market_data_pb2.Level(
            price=format_scaled(price, scale.price), size=format_scaled(size, scale.size)
        )
        for price, size in levels
    ]
