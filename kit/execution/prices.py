"""Prices of a venue as a process publishes them, for those who trade in it."""

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.cursor import Channel
from kit.base.errors import Draining, SubscriberTooSlow
from kit.base.numbers import to_decimal
from kit.execution.local_stops import BestPrices, Listener
from kit.execution.market_source import BookSource, PublishedBatch
from kit.marketdata.model.batches import Batch

TRADES: Channel = types_pb2.CHANNEL_TRADES


class FeedPrices:
    """The best prices of books that can be relied on, and the price of each trade that somebody
    waits for."""

    def __init__(self, feed: PublishedBatch, books: BookSource) -> None:
        self._feed = feed
        self._books = books
        self._listeners: list[Listener] = []

    def best(self, symbol: str) -> BestPrices | None:
        """Now; None while the book cannot be relied on, or a side is empty."""
        bids, asks = (self._books.levels(symbol, is_bid, 1) for is_bid in (True, False))
        if not bids or not asks:
            return None
        return BestPrices(bids[0][0], asks[0][0])

    def listen(self, listener: Listener) -> None:
        """Tell it every trade of its symbols from now on."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Until the process stops. One that falls behind goes on with the newest: an old price
        wakes nothing."""
        while True:
            reader = self._feed.follow([TRADES], frozenset())
            try:
                async for response in reader.responses():
                    if not any(listener.symbols for listener in self._listeners):
                        continue
                    for batch in market_data_pb2.SubscribeResponse.FromString(response).batches:
                        self._tell(batch)
            except SubscriberTooSlow:
                continue
            except Draining:
                return

    def _tell(self, batch: Batch) -> None:
        entries, rows = batch.instruments, batch.trades
        for listener in self._listeners:
            wanted = {
                place for place, entry in enumerate(entries) if entry.symbol in listener.symbols
            }
            if not wanted:
                continue
            for place, price in zip(rows.instrument, rows.price, strict=True):
                if place in wanted:
                    entry = entries[place]
                    listener.hear(entry.symbol, to_decimal(price, entry.price_scale))
