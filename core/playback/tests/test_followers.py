"""Paper accounts follow a playback inside the process: it waits for them, but not only for them."""

import asyncio
from decimal import Decimal

import pytest
from venuemesh.marketdata.v1 import market_data_pb2

from core.playback.books import PlaybackBooks
from core.playback.paper_feed import PlaybackTrades
from core.playback.publisher import PlaybackPublisher
from core.playback.tests.stage import BOOK, EPOCH, SYMBOL, TRADES, VENUE, changes, sold, window
from kit.base.clock import NANOSECONDS_PER_SECOND, SystemClock
from kit.base.cursor import Cursor
from kit.base.errors import CursorExpired
from kit.base.telemetry import Meter
from kit.connector.publishing.hub import Hub
from kit.execution.account_registry import no_data_problem
from kit.execution.prices.reference_prices import FeedPrices
from tests.support.manual_clock import ManualClock
from tests.support.waiting import WAIT_SECONDS_MAX, until

ALL = frozenset()


def make(bytes_max=1 << 20):
    return Hub(VENUE, EPOCH, SystemClock(), Meter(VENUE), bytes_max, keeps_unread=True)


def publish(hub, *numbers):
    for number in numbers:
        hub.publish(TRADES, sold(number, 1, number), number)


def heard(reader):
    """The prices of the trades that have come."""
    batches = market_data_pb2.SubscribeResponse.FromString(reader.take()).batches
    return [price for batch in batches for price in batch.trades.price]


def earliest(hub):
    return hub.reader({}, earliest=[TRADES], latest=(), symbols=ALL)


def test_a_follower_hears_what_comes_from_now_on():
    hub = make()
    publish(hub, 1, 2)
    follower = hub.follow([TRADES], ALL)
    publish(hub, 3)
    assert heard(follower) == [3]
    assert follower.positions == {TRADES: 3}


def test_a_follower_goes_on_where_it_was_when_the_play_has_come_there():
    hub = make()
    follower = hub.follow([TRADES], ALL, {TRADES: Cursor(EPOCH, 2)})
    publish(hub, 1, 2)
    assert heard(follower) == []
    publish(hub, 3)
    assert heard(follower) == [3]
    other = hub.follow([TRADES], ALL, {TRADES: Cursor(EPOCH - 1, 9)})
    publish(hub, 4)
    assert heard(other) == [4]


async def test_the_play_waits_for_a_follower():
    hub = make(bytes_max=200)
    reader, follower = earliest(hub), hub.follow([TRADES], ALL)
    publish(hub, *range(20))
    heard(reader)
    waiting = asyncio.create_task(hub.wait_until_read())
    await asyncio.sleep(0)
    assert not waiting.done()
    assert heard(follower) == list(range(20))
    await asyncio.wait_for(waiting, WAIT_SECONDS_MAX)


async def test_what_the_last_reader_has_not_read_is_kept_whatever_followers_have_read():
    hub = make(bytes_max=200)
    reader = earliest(hub)
    publish(hub, 1)
    heard(reader)
    hub.leave(reader)
    follower = hub.follow([TRADES], ALL)
    publish(hub, *range(2, 20))
    heard(follower)
    follower.leave()
    waiting = asyncio.create_task(hub.wait_until_read())
    await asyncio.sleep(0)
    assert not waiting.done()
    again = hub.reader({TRADES: Cursor(EPOCH, 1)}, earliest=(), latest=(), symbols=ALL)
    assert heard(again) == list(range(2, 20))
    await asyncio.wait_for(waiting, WAIT_SECONDS_MAX)
    with pytest.raises(CursorExpired):
        hub.reader({TRADES: Cursor(EPOCH - 1, 1)}, earliest=(), latest=(), symbols=ALL)


def test_a_reader_of_each_row_once_gets_no_row_again():
    hub = make()
    once, follower = hub.follow([TRADES], ALL), hub.follow([TRADES], ALL)
    once.skip(TRADES, hub.publish(TRADES, sold(1, 1, 1), 1))
    hub.publish(TRADES, sold(2, 1, 2), 2)
    assert heard(once) == [2]
    assert heard(follower) == [1, 2]


class PriceListener:
    """Keeps the prices that it gets."""

    def __init__(self):
        self.symbols = {SYMBOL}
        self.prices = []

    def on_trade(self, symbol, price, age_ns):
        self.prices.append(price)


async def test_a_stop_is_woken_by_what_is_played_and_by_nothing_that_is_made_again():
    hub, books, meter = make(), PlaybackBooks([SYMBOL]), Meter(VENUE)
    player = PlaybackPublisher(hub, books, None, meter, SystemClock())
    prices = FeedPrices(PlaybackTrades(hub, player), books, no_data_problem)
    listener = PriceListener()
    prices.listen(listener)
    listening = asyncio.create_task(prices.run())
    await asyncio.sleep(0)

    async def record_windows():
        yield window(10, book=changes(10, [(100, 5)], [(103, 4)], whole=True))
        for time_ns in (20, 30, 40):
            yield window(time_ns, trades=[(time_ns, 1)])

    # A reader has the first two trades already.
    player.start({TRADES: Cursor(EPOCH, 2)})
    await asyncio.wait_for(player.run(record_windows(), [SYMBOL]), WAIT_SECONDS_MAX)
    await until(lambda: listener.prices)
    listening.cancel()
    assert listener.prices == [Decimal(40)]
    assert prices.best(SYMBOL) == (Decimal(100), Decimal(103))
    assert prices.best("OTHER") is None
    assert hub.cursor(BOOK) == Cursor(EPOCH, 1)


async def test_pause_holds_back_the_window_that_waits_for_its_time():
    hub, clock = make(), ManualClock()
    player = PlaybackPublisher(hub, PlaybackBooks(()), 1.0, Meter(VENUE), clock)

    async def windows():
        for number in range(3):
            yield window(number * 10 * NANOSECONDS_PER_SECOND, trades=[(number, 1)])

    player.start({})
    playing = asyncio.create_task(player.run(windows(), ALL))
    await clock.advance(5)
    assert hub.cursor(TRADES).sequence == 1
    player.pause()
    await clock.advance(60)
    assert hub.cursor(TRADES).sequence == 1
    player.resume()
    await clock.advance(1)
    assert hub.cursor(TRADES).sequence == 2
    await clock.advance(10)
    assert hub.cursor(TRADES).sequence == 3
    await playing
