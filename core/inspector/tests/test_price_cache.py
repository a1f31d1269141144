import asyncio
from decimal import Decimal

import pytest
from venuemesh.marketdata.v1 import market_data_pb2

from core.inspector.price_cache import ASK_AGAIN_SECONDS, FRESH_NS, KEPT_NS, SHOWN_NS, PriceCache
from kit.base.errors import StoreUnavailable
from kit.marketdata.clients.best_prices import BestPrices
from kit.risk.facts import ReferencePrice
from tests.support.manual_clock import ManualClock

KEY = ("binance", "BTCUSDT")
PROVEN, IN_DOUBT = market_data_pb2.BOOK_STATE_PROVEN, market_data_pb2.BOOK_STATE_UNSPECIFIED


class Books:
    def __init__(self, clock):
        self.clock, self.asked, self.state = clock, [], PROVEN
        self.bid, self.ask = "99", "101"

    async def of(self, instruments):
        self.asked.append(list(instruments))
        level = market_data_pb2.Level
        book = market_data_pb2.GetOrderBookResponse(
            state=self.state, bids=[level(price=self.bid)], asks=[level(price=self.ask)]
        )
        return {key: BestPrices(self.clock.time_ns(), book=book) for key in self.asked[-1]}


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def books(clock):
    return Books(clock)


@pytest.fixture
def prices(books, clock):
    found = PriceCache(books, clock)
    found.is_needed = lambda: True
    return found


async def test_price_is_asked_for_once_while_it_is_fresh_and_ends(prices, books, clock):
    assert prices.find(*KEY) is None
    await prices.refresh(*KEY)
    expected = ReferencePrice(
        bid=Decimal(99), ask=Decimal(101), time_ns=clock.time_ns(), book_state="proven"
    )
    assert prices.find(*KEY) == expected
    clock.now_ns += FRESH_NS
    await prices.refresh(*KEY)
    assert books.asked == [[KEY]]
    clock.now_ns += KEPT_NS - FRESH_NS
    assert prices.find(*KEY) == expected
    clock.now_ns += 1
    assert prices.find(*KEY) is None


async def test_nobody_is_asked_while_no_limit_needs_prices(prices, books):
    prices.is_needed = lambda: False
    await prices.refresh(*KEY)
    assert books.asked == []


async def test_clock_that_was_set_back_does_not_make_an_old_price_new(prices, clock):
    await prices.refresh(*KEY)
    clock.now_ns -= KEPT_NS + 1
    assert prices.find(*KEY) is None


async def test_prices_of_what_is_open_are_asked_for_again_and_again(prices, books, clock):
    answers = [[KEY], StoreUnavailable("away"), [("okx", "BTC-USDT")]]

    async def open_instruments():
        if not answers:
            await asyncio.Event().wait()
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    prices.open_instruments = open_instruments
    running = asyncio.create_task(prices.run())
    # While the database is away, those that were open before.
    await clock.advance(2 * ASK_AGAIN_SECONDS)
    assert books.asked == [[KEY], [KEY], [("okx", "BTC-USDT")]]
    running.cancel()
    assert prices.find("okx", "BTC-USDT") is not None


@pytest.mark.parametrize(
    "change", [{"state": IN_DOUBT}, {"bid": "0"}, {"bid": "NaN"}, {"bid": "-1"}, {"ask": "NaN"}]
)
async def test_book_in_doubt_gives_no_price(prices, books, change):
    for name, value in change.items():
        setattr(books, name, value)
    await prices.refresh(*KEY)
    assert prices.find(*KEY) is None


async def test_decision_does_not_wait_for_a_venue_that_does_not_answer(prices, books):
    async def never(instruments):
        await asyncio.Event().wait()

    books.of = never
    async with asyncio.timeout(5):
        await prices.refresh(*KEY)
    assert prices.find(*KEY) is None


async def test_prices_of_open_instruments_are_asked_for_while_somebody_reads_exposures(
    books, clock
):
    prices = PriceCache(books, clock)

    async def open_instruments():
        return [KEY]

    prices.open_instruments = open_instruments
    running = asyncio.create_task(prices.run())
    await clock.advance(ASK_AGAIN_SECONDS)
    assert books.asked == []
    prices.show()
    await clock.advance(ASK_AGAIN_SECONDS)
    assert prices.find(*KEY) is not None
    # A decision does not wait for them.
    books.asked.clear()
    await prices.refresh("binance", "ETHUSDT")
    assert books.asked == []
    clock.now_ns += SHOWN_NS
    await clock.advance(ASK_AGAIN_SECONDS)
    assert books.asked == []
    running.cancel()
