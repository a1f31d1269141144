"""The prices that an account checks orders against and triggers its local stops with."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, Protocol

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.cursor import Channel
from kit.base.errors import ProcessDraining, SubscriberTooSlow
from kit.base.numbers import to_decimal
from kit.execution.market_feed import MarketFeed, VerifiedBooks
from kit.marketdata.model.batches import Batch

TRADES: Channel = types_pb2.CHANNEL_TRADES
FindDataProblem = Callable[[str], str]
"""Returns why the market data of a symbol cannot trigger an order now; "" while it is live."""
FindInstrument = Callable[[str], types_pb2.Instrument | None]
"""Returns the instrument of a native symbol, or None where it is not listed."""


def not_listed(symbol: str) -> types_pb2.Instrument | None:
    return None


class BestPrices(NamedTuple):
    """The best bid and ask of a book."""

    bid: Decimal
    ask: Decimal


class TradeListener(Protocol):
    """Receives the trades of some symbols."""

    @property
    def symbols(self) -> Collection[str]:
        """The symbols whose trades it wants now."""

    def on_trade(self, symbol: str, price: Decimal) -> None:
        """A trade was made at this price."""


class PriceSource(Protocol):
    """The prices of one venue."""

    def best(self, symbol: str) -> BestPrices | None:
        """Return the best prices, or None while they are not known or in doubt."""

    def data_problem(self, symbol: str) -> str:
        """Return why the market data of a symbol cannot trigger an order now; "" while it is
        live."""

    def listen(self, listener: TradeListener) -> None:
        """Give it every trade of its symbols from now on."""


@dataclass(frozen=True, slots=True)
class ReferenceMarketData:
    """The instruments of a venue and their prices, for an account."""

    instrument: FindInstrument
    prices: PriceSource | None = None
    """None: no order can be held here, and prices are not checked against the market."""

    def best(self, symbol: str) -> BestPrices | None:
        """Return the best prices, or None while they are not known or in doubt."""
        return self.prices.best(symbol) if self.prices is not None else None

    def data_problem(self, symbol: str) -> str:
        """Return why the market data of a symbol cannot trigger an order now; "" while it is
        live."""
        return self.prices.data_problem(symbol) if self.prices is not None else ""


class FeedPrices:
    """Prices from a feed: the best prices of its books, and the trades that a listener wants."""

    def __init__(
        self, feed: MarketFeed, books: VerifiedBooks, find_data_problem: FindDataProblem
    ) -> None:
        self.data_problem = find_data_problem
        self._feed = feed
        self._books = books
        self._listeners: list[TradeListener] = []

    def best(self, symbol: str) -> BestPrices | None:
        """Return the best bid and ask, or None while the book is in doubt or a side is empty."""
        bids, asks = (self._books.levels(symbol, is_bid, 1) for is_bid in (True, False))
        if not bids or not asks:
            return None
        return BestPrices(bids[0][0], asks[0][0])

    def listen(self, listener: TradeListener) -> None:
        """Give it every trade of its symbols from now on."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Read trades until the process stops. A reader that falls behind resumes with the newest
        trade: an old price triggers nothing."""
        while True:
            reader = self._feed.follow([TRADES], frozenset())
            try:
                async for response in reader.responses():
                    if not any(listener.symbols for listener in self._listeners):
                        continue
                    for batch in market_data_pb2.SubscribeResponse.FromString(response).batches:
                        self._publish(batch)
            except SubscriberTooSlow:
                continue
            except ProcessDraining:
                return

    def _publish(self, batch: Batch) -> None:
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
                    listener.on_trade(entry.symbol, to_decimal(price, entry.price_scale))
