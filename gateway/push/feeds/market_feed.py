"""Market data of one venue, from the bridge."""

from collections.abc import AsyncGenerator, Sequence

from venuemesh.common.v1 import types_pb2
from venuemesh.live.v1 import live_pb2, live_pb2_grpc
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc

from gateway.push.channels import TopicKey
from gateway.push.feeds.market_rows import updates_of
from gateway.push.feeds.rpc_stream import START_SECONDS_MAX, rpc_stream
from gateway.push.updates import Position, Update
from kit.base.cursor import Cursor
from kit.base.service_channels import ServiceChannels

CHANNELS = {
    "trades": types_pb2.CHANNEL_TRADES,
    "quotes": types_pb2.CHANNEL_QUOTES,
    "books": types_pb2.CHANNEL_BOOK,
    "tickers": types_pb2.CHANNEL_TICKERS,
    "marks": types_pb2.CHANNEL_MARKS,
}
BRIDGE = "bridge"
BOOK_DEPTH = 5_000
CALL_TIMEOUT_S = 5.0


class MarketFeed:
    """One channel of a venue: all its instruments, or one."""

    def __init__(self, key: TopicKey, channels: ServiceChannels) -> None:
        self._key = key
        self._channels = channels
        self._channel = CHANNELS[key.channel]

    async def updates(self, after: Position | None) -> AsyncGenerator[Sequence[Update], None]:
        request, whole = self._request(after), self._key.is_lossless
        async with rpc_stream(
            self._channels,
            BRIDGE,
            lambda channel: live_pb2_grpc.LiveStub(channel).Subscribe(request),
        ) as responses:
            async for response in responses:
                yield [
                    update
                    for batch in response.batches
                    for update in updates_of(batch, whole=whole)
                ]

    async def snapshot(self) -> Update | None:
        """Of a lossless book: the venue's book, to which the changes after its position apply."""
        key = self._key
        if key.channel != "books" or not key.is_lossless or not key.symbol:
            return None
        channel = await self._channels.channel(key.venue, START_SECONDS_MAX)
        request = market_data_pb2.GetOrderBookRequest(
            venue=key.venue, symbol=key.symbol, depth=BOOK_DEPTH
        )
        stub = market_data_pb2_grpc.MarketDataStub(channel)
        book = await stub.GetOrderBook(request, timeout=CALL_TIMEOUT_S)
        row = {
            "symbol": book.symbol,
            "snapshot": True,
            "state": market_data_pb2.BookState.Name(book.state),
            "book_epoch": book.book_epoch,
            "first_sequence": str(book.last_sequence),
            "last_sequence": str(book.last_sequence),
            "venue_time_ns": str(book.venue_time_ns),
            "bids": [(level.price, level.size) for level in book.bids],
            "asks": [(level.price, level.size) for level in book.asks],
        }
        return Update([row], key.symbol, tuple(Cursor.of(book.cursor)))

    def _request(self, after: Position | None) -> live_pb2.SubscribeRequest:
        key = self._key
        selector = live_pb2.Selector(
            venue=key.venue, channels=[self._channel], symbols=[key.symbol] if key.symbol else []
        )
        delivery = types_pb2.Delivery()
        if key.is_lossless:
            delivery.lossless.SetInParent()
            if after is not None:
                cursor = types_pb2.Cursor(epoch=after[0], sequence=after[1])
                selector.resume_after.add(channel=self._channel, cursor=cursor)
        else:
            delivery.conflated.interval_ms = key.interval_ms
            delivery.conflated.book_depth = key.depth
        return live_pb2.SubscribeRequest(selectors=[selector], delivery=delivery)
