"""A playback whose windows a test makes, and an account on paper in it."""

import asyncio

import numpy as np
from venuemesh.common.v1 import types_pb2

from core.playback.books import PlaybackBooks
from core.playback.paper_feed import PlaybackFeed
from core.playback.publisher import PlaybackPublisher
from core.playback.record_windows import RecordWindow
from core.playback.recorded_channel import ChannelWindow
from kit.base.clock import SystemClock
from kit.base.telemetry import Meter
from kit.connector.publishing.hub import Hub
from kit.execution.contract import OrderKey
from kit.execution.paper.market_feed_adapter import MarketFeedAdapter
from kit.execution.paper.tests.markets import LISTED, RULES, SYMBOL, PaperVenue
from kit.marketdata.codec import encode
from kit.marketdata.model.book_updates import BookUpdates, InstrumentScale
from kit.marketdata.model.columns import NumberColumn, Scale, SymbolColumn, TradeRows
from kit.storage.archive.book_events import BookEvents
from kit.storage.archive.gaps_and_listings import TimedGap
from tests.support.waiting import WAIT_SECONDS_MAX

TRADES, BOOK = types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_BOOK
BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL
EPOCH = 5
VENUE = "venue"


def column(*numbers):
    return np.array(numbers, dtype=np.int64)


def sold(price, size, time_ns):
    """A trade with a selling taker."""
    return encode.rows(
        TradeRows(
            SymbolColumn.of([SYMBOL]),
            NumberColumn.parse([str(price)]),
            NumberColumn.parse([str(size)]),
            column(SELL),
            column(time_ns),
            column(time_ns),
            column(time_ns),
        )
    )


def changes(time_ns, bids, asks, *, whole=False, places=0):
    """One update: pairs of price and size; prices have so many decimal places."""
    pairs = [*bids, *asks]
    updates = BookUpdates(
        instrument=column(0),
        first_sequence=column(time_ns),
        last_sequence=column(time_ns),
        snapshot=column(int(whole)),
        book_epoch=column(1),
        venue_time_ns=column(time_ns),
        received_time_ns=column(time_ns),
        bid_count=column(len(bids)),
        ask_count=column(len(asks)),
        price=column(*[price for price, _ in pairs]),
        size=column(*[size for _, size in pairs]),
    )
    return BookEvents([InstrumentScale(SYMBOL, Scale(places, 0))], updates, column(time_ns))


def doubt(time_ns, symbol=SYMBOL):
    """A gap of the book."""
    return TimedGap(BOOK, time_ns, types_pb2.Gap(symbol=symbol, detected_time_ns=time_ns))


def window(time_ns, *, trades=(), book=None, gaps=()):
    """What was received at a time: pairs of price and size that were sold, a change of the book."""
    taken = ChannelWindow(book, list(gaps))
    batches = [(TRADES, sold(*trade, time_ns)) for trade in trades]
    batches += [(BOOK, draft) for draft in taken.drafts()]
    return RecordWindow(time_ns, time_ns + 1, batches, taken)


class Stage:
    """A playback as fast as its windows come. ``steps``: what is on disk of the account."""

    def __init__(self, steps=(), *, epoch=EPOCH, books=(SYMBOL,)):
        meter, clock = Meter(VENUE), SystemClock()
        self.hub = Hub(VENUE, epoch, clock, meter, 1 << 20, keeps_unread=True)
        self.books = PlaybackBooks(books)
        self.player = PlaybackPublisher(self.hub, self.books, None, meter, clock)
        self.feed = PlaybackFeed(self.hub, self.player)
        self.market = MarketFeedAdapter(self.feed, self.books, lambda events: self._hear(events))
        self.steps = list(steps)
        self.open()

    def open(self):
        """Read what is on disk."""
        self.floor = PaperVenue(RULES, steps=self.steps, market=self.market)
        self.exchange = self.floor.exchange
        # Of those that are on disk no id comes again.
        self.floor.ids = 100 * len(self.steps)
        self._note()

    async def play(self, windows, resume_after=None):
        """These windows, from the first on, and tell them."""

        async def record_windows():
            for one in windows:
                yield one

        self.player.start(resume_after or {})
        await asyncio.wait_for(self.player.run(record_windows(), LISTED), WAIT_SECONDS_MAX)
        self.market.catch_up()
        self._note()

    def place(self, *given, **more):
        """An order arrives. Returns its receipt; it is on disk then."""
        receipt = self.floor.place(*given, **more)
        self._note()
        return receipt

    def order(self, receipt):
        """As it is now, also of a stage before."""
        return self.exchange.find(OrderKey(SYMBOL, "", receipt.venue_order_id))

    def fills(self):
        """Price and size of each."""
        return [(int(fill.price), int(fill.size)) for fill in self.exchange.fills("", 0)]

    def _hear(self, events):
        self.exchange.on_events(events)
        self._note()

    def _note(self):
        found = self.exchange.take_step()
        if found is not None:
            self.steps.append(found[0])
