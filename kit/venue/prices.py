"""Prices of a venue as its own process publishes them, for those who trade in it."""

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.batches import Batch
from kit.cursor import Channel
from kit.errors import Draining, SubscriberTooSlow
from kit.numbers import to_decimal
from kit.orders.held import BestPrices, Listener
from kit.venue.books.bookkeeper import Bookkeeper
from kit.venue.books.books import BookState
from kit.venue.hub import Hub

TRADES: Channel = types_pb2.CHANNEL_TRADES


class HubPrices:
    """The best prices of proven books, and the price of each trade that somebody waits for."""

    def __init__(self, hub: Hub, bookkeeper: Bookkeeper) -> None:
        self._hub = hub
        self._bookkeeper = bookkeeper
        self._listeners: list[Listener] = []

    def best(self, symbol: str) -> BestPrices | None:
        """Now; None while the book cannot be relied on, or a side is empty."""
        book = self._bookkeeper.books.get(symbol)
        if book is None or book.state is not BookState.PROVEN:
            return None
        bids, asks = book.book.bids(1), book.book.asks(1)
        if not bids or not asks:
            return None
        bid, ask = (to_decimal(side[0][0], book.scale.price) for side in (bids, asks))
        return BestPrices(bid, ask)

    def listen(self, listener: Listener) -> None:
        """Tell it every trade of its symbols from now on."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Until the venue stops. One that falls behind goes on with the newest: an old price wakes
        nothing."""
        while True:
            reader = self._hub.reader({}, earliest=(), latest=[TRADES], symbols=frozenset())
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
