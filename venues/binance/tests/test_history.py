"""REST calls against the simulated Binance: exact numbers, oldest first."""

from collections.abc import AsyncIterator

import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.clock import SystemClock
from tests.support.history_suite import check_book_errors, check_candles
from tests.support.raw_client import RawClient
from venues.binance.history import FUTURES_API, SPOT_API, BinanceHistory
from venues.binance.simulator.tests.running import running

APIS = {"binance": SPOT_API, "binance_futures": FUTURES_API}
both = pytest.mark.parametrize("base", APIS, indirect=True)


@pytest.fixture
async def base(request) -> AsyncIterator[str]:
    async with running("simulate", request.param, events_per_second=2_000) as base:
        yield base


@pytest.fixture
async def history(base: str) -> AsyncIterator[BinanceHistory]:
    venue = base.rpartition("/")[2]
    history = BinanceHistory(venue, APIS[venue], base, SystemClock())
    yield history
    await history.close()


@pytest.mark.parametrize("base", ["binance"], indirect=True)
async def test_instruments_of_spot(history: BinanceHistory) -> None:
    bitcoin = {one.symbol: one for one in await history.instruments()}["BTCUSDT"]
    assert (bitcoin.base, bitcoin.quote, bitcoin.unified_symbol) == ("BTC", "USDT", "BTC/USDT")
    assert (bitcoin.price_tick, bitcoin.size_step, bitcoin.notional_min) == ("0.01", "0.00001", "5")
    assert bitcoin.kind == types_pb2.INSTRUMENT_KIND_SPOT
    assert bitcoin.status == types_pb2.INSTRUMENT_STATUS_TRADING


@pytest.mark.parametrize("base", ["binance_futures"], indirect=True)
async def test_instruments_of_futures(history: BinanceHistory) -> None:
    bitcoin = {one.symbol: one for one in await history.instruments()}["BTCUSDT"]
    assert (bitcoin.venue, bitcoin.unified_symbol) == ("binance_futures", "BTC/USDT:USDT")
    assert (bitcoin.price_tick, bitcoin.size_step, bitcoin.notional_min) == ("0.1", "0.001", "5")
    assert (bitcoin.kind, bitcoin.contract_size) == (types_pb2.INSTRUMENT_KIND_PERPETUAL, "1")
    assert bitcoin.status == types_pb2.INSTRUMENT_STATUS_TRADING


@both
async def test_unusual_listings_are_read(history: BinanceHistory, raw: RawClient) -> None:
    venue = history.venue_id
    await raw.order(venue=venue, fault="halt", symbol="BTCUSDT")
    await raw.order(venue=venue, fault="tick_size", symbol="ETHUSDT", value="0.05")
    await raw.order(venue=venue, fault="symbol_twice", symbol="SOLUSDT")
    found = await history.instruments()
    assert [one.symbol for one in found].count("SOLUSDT") == 2
    known = {one.symbol: one for one in found}
    assert known["BTCUSDT"].status == types_pb2.INSTRUMENT_STATUS_HALTED
    assert known["ETHUSDT"].price_tick == "0.05"
    await raw.order(venue=venue, fault="empty_market_list")
    assert await history.instruments() == []


@both
async def test_a_book_is_exact(history: BinanceHistory, raw: RawClient) -> None:
    book = await history.book("BTCUSDT")
    path = "/fapi/v1/depth" if history.venue_id == "binance_futures" else "/api/v3/depth"
    later = await raw.get(f"{path}?symbol=BTCUSDT&limit=1000")
    assert book.last_sequence <= later["lastUpdateId"]
    assert len(book.bids.price) == book.bids.count[0] > 100
    assert len(book.asks.price) == book.asks.count[0] > 100
    assert book.bids.price.unscaled[0] < book.asks.price.unscaled[0]


@both
async def test_trades_by_id_leave_no_hole(history: BinanceHistory) -> None:
    while len(newest := await history.trades("BTCUSDT", 0, 0, 50)) < 50:
        pass
    ids = [int(trade.trade_id) for trade in newest]
    assert ids == list(range(ids[0], ids[0] + 50))
    assert await history.trades("BTCUSDT", ids[10], 0, 20) == newest[10:30]
    since = await history.trades("BTCUSDT", 0, newest[5].venue_time_ns, 3)
    assert since[0].venue_time_ns >= newest[5].venue_time_ns
    assert since[0].trade_id <= newest[5].trade_id
    assert await history.trades("BTCUSDT", 0, newest[-1].venue_time_ns + 10**15, 5) == []


@both
async def test_aggregate_trades_have_their_own_ids(base: str) -> None:
    venue = base.rpartition("/")[2]
    history = BinanceHistory(venue, APIS[venue], base, SystemClock(), aggregate=True)
    while len(newest := await history.trades("BTCUSDT", 0, 0, 50)) < 50:
        pass
    ids = [int(trade.trade_id) for trade in newest]
    assert ids == list(range(ids[0], ids[0] + 50))
    assert await history.trades("BTCUSDT", ids[10], 0, 20) == newest[10:30]
    since = await history.trades("BTCUSDT", 0, newest[5].venue_time_ns, 3)
    assert since[0].venue_time_ns >= newest[5].venue_time_ns
    await history.close()


@both
async def test_older_trades_than_the_newest_are_had_too(history: BinanceHistory) -> None:
    (first,) = await history.trades("BTCUSDT", 0, 0, 1)
    number = int(first.trade_id)
    last = number
    while last < number + 1_000:
        (newest,) = await history.trades("BTCUSDT", 0, 0, 1)
        last = int(newest.trade_id)
    older = await history.trades("BTCUSDT", number, 0, 10)
    assert older[0] == first
    assert [int(trade.trade_id) for trade in older] == list(range(number, number + 10))


@both
async def test_candles_are_oldest_first(history: BinanceHistory) -> None:
    await check_candles(history, "BTCUSDT", "7m")


@both
async def test_errors_of_books_are_typed(history: BinanceHistory, raw: RawClient) -> None:
    await check_book_errors(history, raw, "BTCUSDT", "NOPEUSDT", "depth")
