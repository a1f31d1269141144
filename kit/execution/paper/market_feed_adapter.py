"""The market of a paper account: the batches of a process, as they are published."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.cursor import Channel
from kit.base.errors import ProcessDraining, SubscriberTooSlow
from kit.base.numbers import to_decimal
from kit.execution.paper.market import (
    BookInvalidated,
    BookLevelsChanged,
    BookLevelUpdate,
    MarketEvent,
    MarketEventsLost,
    MarketListener,
    MarketRestarted,
    MarkPriceReported,
    TradeReported,
)
from kit.execution.prices.market_feed import (
    FeedPosition,
    MarketFeedReader,
    ResumableMarketFeed,
    VerifiedBooks,
)
from kit.marketdata.model.batches import Batch

CHANNELS: tuple[Channel, ...] = (
    types_pb2.CHANNEL_TRADES,
    types_pb2.CHANNEL_BOOK,
    types_pb2.CHANNEL_MARKS,
)
"""Of two events with the same time, a trade comes before the book update."""
BUYS = {types_pb2.SIDE_BUY: True, types_pb2.SIDE_SELL: False}

Timed = tuple[int, MarketEvent]
"""An event and when it was received, ns."""


class MarketFeedAdapter:
    """``kit.execution.paper.market.PaperMarket``. The feed is read only while an instrument is
    watched."""

    def __init__(
        self, feed: ResumableMarketFeed, books: VerifiedBooks, hear: MarketListener
    ) -> None:
        self._feed = feed
        self._books = books
        self._hear = hear
        self._symbols: frozenset[str] = frozenset()
        self._reader: MarketFeedReader | None = None
        self._changed = asyncio.Event()

    async def run(self) -> None:
        while True:
            self._changed.clear()
            changed: asyncio.Future[bool] = asyncio.ensure_future(self._changed.wait())
            works = {changed}
            if self._reader is not None:
                works.add(asyncio.ensure_future(self._read(self._reader)))
            try:
                done, _ = await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
                if any(work is not changed and work.result() for work in done):
                    return
            finally:
                for work in works:
                    work.cancel()

    def watch(self, symbols: frozenset[str]) -> None:
        if symbols == self._symbols:
            return
        self.catch_up()
        self._read_anew(symbols)

    def catch_up(self) -> None:
        reader = self._reader
        if reader is not None:
            self._begin()
        while reader is not None and reader is self._reader:
            try:
                response = reader.take()
            except SubscriberTooSlow:
                self._miss()
                return
            if not response:
                return
            self._tell(response)

    def keeps(self, symbol: str) -> bool:
        return self._books.keeps(symbol)

    def levels(
        self, symbol: str, is_bid: bool, count: int | None
    ) -> Sequence[tuple[Decimal, Decimal]] | None:
        if self._feed.is_behind():
            return None
        return self._books.levels(symbol, is_bid, count)

    def book_time_ns(self, symbol: str) -> int:
        return self._books.time_ns(symbol)

    def position(self) -> FeedPosition:
        return self._feed.position()

    def resume(self, position: FeedPosition) -> None:
        # Orders get their queue places in the books of that moment.
        self._feed.resume(position, lambda: self._hear([]))

    async def _read(self, reader: MarketFeedReader) -> bool:
        """Pass on new events. Returns whether the process is stopping."""
        try:
            async for response in reader.responses():
                self._tell(response)
                if reader is not self._reader:
                    break
        except SubscriberTooSlow:
            self._miss()
        except ProcessDraining:
            return True
        return False

    def _begin(self) -> None:
        if self._feed.recording_changed():
            self._hear([MarketRestarted()])

    def _miss(self) -> None:
        self._read_anew(self._symbols)
        self._hear([MarketEventsLost()])

    def _read_anew(self, symbols: frozenset[str]) -> None:
        before, self._reader = self._reader, None
        if before is not None:
            before.leave()
        if symbols:
            self._reader = self._feed.follow(CHANNELS, symbols)
        self._symbols = symbols
        self._changed.set()

    def _tell(self, response: bytes) -> None:
        self._begin()
        batches = market_data_pb2.SubscribeResponse.FromString(response).batches
        timed: list[tuple[int, int, MarketEvent]] = []
        newest_ns = dict.fromkeys(CHANNELS, 0)
        for batch in batches:
            for time_ns, event in _events(batch, self._symbols):
                # The order within a channel is kept.
                newest_ns[batch.channel] = max(newest_ns[batch.channel], time_ns)
                timed.append((newest_ns[batch.channel], CHANNELS.index(batch.channel), event))
        # Channels are published one after the other; events are passed on in received order.
        timed.sort(key=lambda one: one[:2])
        if timed:
            self._hear([event for _, _, event in timed])


def _events(batch: Batch, symbols: Iterable[str]) -> Iterator[Timed]:
    match batch.channel:
        case types_pb2.CHANNEL_TRADES:
            yield from _trades(batch)
        case types_pb2.CHANNEL_MARKS:
            yield from _marks(batch)
        case types_pb2.CHANNEL_BOOK:
            # A gap precedes the first row of its batch.
            first_ns = min(batch.book.received_time_ns, default=batch.published_time_ns)
            for gap in batch.gaps:
                # A gap without a symbol concerns all symbols.
                time_ns = min(gap.detected_time_ns or first_ns, first_ns)
                for symbol in [gap.symbol] if gap.symbol else sorted(symbols):
                    yield time_ns, BookInvalidated(symbol)
            yield from _updates(batch)


def _trades(batch: Batch) -> Iterator[Timed]:
    rows = batch.trades
    for row, place in enumerate(rows.instrument):
        entry = batch.instruments[place]
        yield (
            rows.received_time_ns[row],
            TradeReported(
                entry.symbol,
                to_decimal(rows.price[row], entry.price_scale),
                to_decimal(rows.size[row], entry.size_scale),
                BUYS.get(rows.side[row]),
                rows.venue_time_ns[row],
            ),
        )


def _updates(batch: Batch) -> Iterator[Timed]:
    rows, start = batch.book, 0
    for row, place in enumerate(rows.instrument):
        entry = batch.instruments[place]
        middle = start + rows.bid_count[row]
        end = middle + rows.ask_count[row]
        levels = [
            BookLevelUpdate(
                at < middle,
                to_decimal(rows.price[at], entry.price_scale),
                to_decimal(rows.size[at], entry.size_scale),
            )
            for at in range(start, end)
        ]
        start = end
        is_whole, venue_ns = rows.snapshot[row], rows.venue_time_ns[row]
        yield (
            rows.received_time_ns[row],
            BookLevelsChanged(entry.symbol, levels, is_whole, venue_ns),
        )


def _marks(batch: Batch) -> Iterator[Timed]:
    rows = batch.marks
    for row, place in enumerate(rows.instrument):
        entry = batch.instruments[place]
        price, rate = rows.mark_price[row], rows.funding_rate[row]
        next_ns = rows.next_funding_time_ns[row]
        yield (
            rows.received_time_ns[row],
            MarkPriceReported(
                entry.symbol,
                to_decimal(price, entry.price_scale) if price else None,
                to_decimal(rate, entry.rate_scale) if rate or next_ns else None,
                next_ns,
                rows.venue_time_ns[row] or rows.received_time_ns[row],
            ),
        )
