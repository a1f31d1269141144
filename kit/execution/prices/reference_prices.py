"""The prices that an account checks orders against and triggers its local stops with."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, Protocol

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.cursor import Channel
from kit.base.errors import ProcessDraining, SubscriberTooSlow
from kit.base.numbers import to_decimal
from kit.execution.prices.market_feed import MarketFeed, VerifiedBooks
from kit.marketdata.model.batches import Batch

TRADES: Channel = types_pb2.CHANNEL_TRADES
MARKS: Channel = types_pb2.CHANNEL_MARKS
MARKS_READ_NS = 60 * NANOSECONDS_PER_SECOND
"""For this long after a mark price was asked for, the marks of all symbols are read."""
FindDataProblem = Callable[[str], str]
"""Returns why the market data of a symbol cannot trigger an order now; "" while it is live."""
FindInstrument = Callable[[str], types_pb2.Instrument | None]
"""Returns the instrument of a native symbol, or None where it is not listed."""


def not_listed(symbol: str) -> types_pb2.Instrument | None:
    return None


class TimedPrice(NamedTuple):
    """A price, and when it was made, ns since the Unix epoch."""

    price: Decimal
    time_ns: int


FindSubstitute = Callable[[str], Awaitable[TimedPrice | None]]
"""Returns a price for a symbol whose trades are not live, or None. Raises VenueUnavailable,
RateLimited."""


async def no_substitute(symbol: str) -> TimedPrice | None:
    """Orders that are held here wait until their trades are live again."""
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

    def on_trade(self, symbol: str, price: Decimal, age_ns: int) -> None:
        """A trade was made at this price, so long before it was received."""


class PriceSource(Protocol):
    """The prices of one venue."""

    def best(self, symbol: str) -> BestPrices | None:
        """Return the best prices, or None while they are not known or in doubt."""

    def data_problem(self, symbol: str) -> str:
        """Return why the market data of a symbol cannot trigger an order now; "" while it is
        live."""

    def substitute(self, symbol: str, /) -> Awaitable[TimedPrice | None]:
        """Return a price for a symbol whose trades are not live, or None. Raises VenueUnavailable,
        RateLimited."""

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

    async def substitute(self, symbol: str) -> TimedPrice | None:
        """Return a price for a symbol whose trades are not live, or None. Raises VenueUnavailable,
        RateLimited."""
        return await self.prices.substitute(symbol) if self.prices is not None else None


class FeedPrices:
    """Prices from a feed: the best prices of its books, and the trades that a listener wants."""

    def __init__(
        self,
        feed: MarketFeed,
        books: VerifiedBooks,
        find_data_problem: FindDataProblem,
        find_substitute: FindSubstitute = no_substitute,
    ) -> None:
        self.data_problem = find_data_problem
        self.substitute = find_substitute
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
        async for response in _responses(self._feed, TRADES):
            if not any(listener.symbols for listener in self._listeners):
                continue
            for batch in market_data_pb2.SubscribeResponse.FromString(response).batches:
                self._publish(batch)

    def _publish(self, batch: Batch) -> None:
        entries, rows = batch.instruments, batch.trades
        for listener in self._listeners:
            wanted = {
                place for place, entry in enumerate(entries) if entry.symbol in listener.symbols
            }
            if not wanted:
                continue
            for place, price, made_ns, received_ns in zip(
                rows.instrument,
                rows.price,
                rows.venue_time_ns,
                rows.received_time_ns,
                strict=True,
            ):
                if place in wanted:
                    entry = entries[place]
                    age_ns = max(0, received_ns - made_ns) if made_ns else 0
                    listener.on_trade(entry.symbol, to_decimal(price, entry.price_scale), age_ns)


class MarkPrices:
    """The newest mark prices of a feed."""

    def __init__(self, feed: MarketFeed, clock: Clock, stale_s: float) -> None:
        """``stale_s``: an older mark price is not known any more. The market may have been
        elsewhere since."""
        self._feed = feed
        self._clock = clock
        self._stale_ns = int(stale_s * NANOSECONDS_PER_SECOND)
        self._asked_ns = -MARKS_READ_NS
        self._newest: dict[str, tuple[TimedPrice, int]] = {}
        """With the monotonic time when each was read."""

    async def find(self, symbol: str) -> TimedPrice | None:
        """Return the newest mark price of a symbol, with its time of receipt; None until one is
        received after the first call, and when none has come for a while."""
        now_ns = self._asked_ns = self._clock.monotonic_ns()
        found, read_ns = self._newest.get(symbol, (None, 0))
        return found if now_ns - read_ns <= self._stale_ns else None

    async def run(self) -> None:
        """Read marks until the process stops."""
        async for response in _responses(self._feed, MARKS):
            if self._clock.monotonic_ns() - self._asked_ns >= MARKS_READ_NS:
                self._newest.clear()
                continue
            for batch in market_data_pb2.SubscribeResponse.FromString(response).batches:
                self._read(batch)

    def _read(self, batch: Batch) -> None:
        rows = batch.marks
        for place, price, time_ns in zip(
            rows.instrument, rows.mark_price, rows.received_time_ns, strict=True
        ):
            entry = batch.instruments[place]
            if price:
                found = TimedPrice(to_decimal(price, entry.price_scale), time_ns)
                self._newest[entry.symbol] = found, self._clock.monotonic_ns()


async def _responses(feed: MarketFeed, channel: Channel) -> AsyncIterator[bytes]:
    """Yield the responses of a channel until the process stops. A reader that falls behind resumes
    with the newest one."""
    while True:
        reader = feed.follow([channel], frozenset())
        try:
            async for response in reader.responses():
                yield response
        except SubscriberTooSlow:
            continue
        except ProcessDraining:
            return
