"""Questions to venue processes: what they answer, and what is made of an answer that is missing."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.registry.v1 import registry_pb2

from kit.base import rpc
from kit.base.clock import SystemClock
from kit.base.errors import UnknownInstrument
from kit.base.service_channels import ServiceChannels
from kit.marketdata.clients import listed_instruments
from kit.marketdata.clients.best_prices import BestPriceClient
from kit.marketdata.clients.listed_instruments import LIST_AGAIN_SECONDS, ListedInstruments
from tests.support.manual_clock import ManualClock
from tests.support.waiting import until

BTC, ETH = ("binance", "BTCUSDT"), ("binance", "ETHUSDT")
LONG_S, SHORT_S = 30.0, 0.05


class Venue(market_data_pb2_grpc.MarketDataServicer):
    """A venue process. It answers while ``answers`` is set."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.answers.set()
        self.calls = Counter[str]()
        self.at_once = self.at_once_max = 0
        self.expected_at_once = 1
        self.ticks = {"BTCUSDT": "0.01"}
        self.book = market_data_pb2.GetOrderBookResponse(
            state=market_data_pb2.BOOK_STATE_PROVEN,
            bids=[market_data_pb2.Level(price="100.10", size="1")],
            asks=[market_data_pb2.Level(price="100.2", size="1")],
        )

    async def GetOrderBook(self, request, context):
        self.calls[request.symbol] += 1
        self.at_once += 1
        self.at_once_max = max(self.at_once, self.at_once_max)
        try:
            await until(lambda: self.at_once_max >= self.expected_at_once)
            await self.answers.wait()
        finally:
            self.at_once -= 1
        if request.symbol not in self.ticks:
            raise UnknownInstrument("not subscribed", venue="binance", symbol=request.symbol)
        assert request.depth == 1
        return self.book

    async def ListInstruments(self, request, context):
        self.calls["list"] += 1
        await self.answers.wait()
        return market_data_pb2.ListInstrumentsResponse(
            instruments=[
                types_pb2.Instrument(symbol=symbol, price_tick=tick)
                for symbol, tick in self.ticks.items()
            ]
        )


class Directory:
    """Always the same venue."""

    def __init__(self, port: int) -> None:
        self._address = f"127.0.0.1:{port}"

    async def watch(self, kind: str):
        instance = registry_pb2.ServiceInstance(kind=kind, name="binance", address=self._address)
        yield [registry_pb2.Service(instance=instance)]
        await asyncio.Event().wait()


@pytest.fixture
def venue() -> Venue:
    return Venue()


@pytest.fixture
async def channels(venue):
    server = rpc.server()
    rpc.serve(server, market_data_pb2.DESCRIPTOR.services_by_name["MarketData"], venue)
    port = rpc.listen(server, "127.0.0.1:0")
    await server.start()
    channels = ServiceChannels(Directory(port), "venue")
    async with running(channels.run):
        await until(lambda: channels.instances("binance"))
        yield channels
    await channels.close()
    await server.stop(None)


@asynccontextmanager
async def running(task):
    started = asyncio.create_task(task())
    try:
        yield
    finally:
        started.cancel()
        await asyncio.wait([started])


def prices(channels, seconds_max=LONG_S) -> BestPriceClient:
    return BestPriceClient(channels, seconds_max, SystemClock())


async def test_each_book_is_asked_for_once_and_all_at_the_same_time(venue, channels):
    venue.ticks["ETHUSDT"] = "0.01"
    venue.expected_at_once = 2
    found = await prices(channels).of([BTC, ETH, BTC])
    assert venue.calls == {"BTCUSDT": 1, "ETHUSDT": 1}
    assert venue.at_once_max == 2
    assert found.keys() == {BTC, ETH}
    best = found[BTC]
    assert (best.bid, best.ask) == (Decimal("100.1"), Decimal("100.2"))
    assert 0 < best.asked_time_ns <= best.answered_time_ns
    assert best.book == venue.book


@pytest.mark.parametrize(
    ("state", "is_known"),
    [
        (market_data_pb2.BOOK_STATE_PROVEN, True),
        (market_data_pb2.BOOK_STATE_UNPROVEN, True),
        (market_data_pb2.BOOK_STATE_IN_DOUBT, False),
        (market_data_pb2.BOOK_STATE_EMPTY, False),
        (market_data_pb2.BOOK_STATE_UNSPECIFIED, False),
    ],
)
async def test_the_prices_of_a_book_that_may_be_wrong_are_not_known(
    venue, channels, state, is_known
):
    venue.book.state = state
    best = (await prices(channels).of([BTC]))[BTC]
    assert (best.bid is not None, best.ask is not None) == (is_known, is_known)
    assert best.answered_time_ns
    assert best.book.state == state


async def test_a_side_that_a_book_lacks_is_not_known(venue, channels):
    del venue.book.asks[:]
    best = (await prices(channels).of([BTC]))[BTC]
    assert (best.bid, best.ask) == (Decimal("100.1"), None)


async def test_no_answer_in_time_a_refusal_and_no_such_venue_are_no_prices(venue, channels):
    venue.answers.clear()
    late = (await prices(channels, SHORT_S).of([BTC]))[BTC]
    venue.answers.set()
    found = await prices(channels).of([ETH, ("okx", "BTC-USDT")])
    for best in (late, *found.values()):
        assert (best.bid, best.ask, best.answered_time_ns) == (None, None, 0)
        assert best.asked_time_ns
    # Those of others are still known.
    assert (await prices(channels).of([BTC, ETH]))[BTC].bid


async def test_a_list_is_read_once_for_all_who_ask(venue, channels):
    lists = ListedInstruments(channels, LONG_S, SystemClock())
    found = await asyncio.gather(*(lists.find(*BTC) for _ in range(5)))
    assert [one.instrument.price_tick for one in found] == ["0.01"] * 5
    assert found[0].time_ns
    assert await lists.find(*ETH) is None
    assert venue.calls == {"list": 1}


async def test_an_instrument_that_is_not_listed_is_looked_for_again_after_a_while(venue, channels):
    clock = ManualClock()
    lists = ListedInstruments(channels, LONG_S, clock)
    assert await lists.find(*ETH) is None
    venue.ticks["ETHUSDT"] = "0.1"
    assert await lists.find(*ETH) is None
    clock.now_ns += listed_instruments.MISSING_AGAIN_NS
    found = await lists.find(*ETH)
    assert found is not None
    assert found.instrument.price_tick == "0.1"


async def test_symbols_that_a_venue_does_not_list_are_found_with_one_list(venue, channels):
    clock = ManualClock()
    lists = ListedInstruments(channels, LONG_S, clock)
    assert await lists.unlisted("binance", []) == []
    assert await lists.unlisted("binance", ["ETHUSDT", "BTCUSDT", "ADAUSDT"]) == [
        "ADAUSDT",
        "ETHUSDT",
    ]
    venue.ticks["ETHUSDT"] = "0.1"
    assert await lists.unlisted("binance", ["ETHUSDT"]) == ["ETHUSDT"]
    assert venue.calls == {"list": 1}
    clock.now_ns += listed_instruments.MISSING_AGAIN_NS
    assert await lists.unlisted("binance", ["ETHUSDT", "BTCUSDT"]) == []
    assert await lists.find(*ETH) is not None
    assert venue.calls == {"list": 2}


async def test_no_symbol_is_unlisted_while_the_list_is_not_known(channels):
    lists = ListedInstruments(channels, SHORT_S, SystemClock())
    assert await lists.unlisted("okx", ["BTC-USDT"]) == []


async def test_terms_that_change_are_read_again_and_kept_while_the_venue_is_away(venue, channels):
    clock = ManualClock()
    lists = ListedInstruments(channels, LONG_S, clock)

    async def tick() -> str:
        return (await lists.find(*BTC)).instrument.price_tick

    assert await tick() == "0.01"
    venue.ticks["BTCUSDT"] = "0.1"
    assert await tick() == "0.01"
    async with running(lists.run):
        await clock.advance(LIST_AGAIN_SECONDS)
        await until(lambda: venue.calls["list"] == 2)
        async with asyncio.timeout(LONG_S):
            while await tick() != "0.1":
                await asyncio.sleep(0.01)
        # A process that has just started has no list yet.
        venue.ticks.clear()
        await clock.advance(LIST_AGAIN_SECONDS)
        await until(lambda: venue.calls["list"] == 3)
    assert await tick() == "0.1"


async def test_a_list_that_comes_late_is_kept_for_the_next_one_who_asks(venue, channels):
    lists = ListedInstruments(channels, SHORT_S, SystemClock())
    venue.answers.clear()
    assert await lists.find(*BTC) is None
    venue.answers.set()
    async with asyncio.timeout(LONG_S):
        while await lists.find(*BTC) is None:
            await asyncio.sleep(0.01)
    assert venue.calls == {"list": 1}


async def test_nothing_is_known_of_a_venue_that_does_not_run(channels):
    lists = ListedInstruments(channels, SHORT_S, SystemClock())
    assert await lists.find("okx", "BTC-USDT") is None
