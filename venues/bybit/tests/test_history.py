"""REST calls against the simulated Bybit: exact numbers, oldest first."""

from collections.abc import AsyncIterator

import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.clock import SystemClock
from tests.support.history_suite import check_book_errors, check_candles
from tests.support.raw_client import RawClient
from venues.bybit.history import BybitHistory
from venues.bybit.simulator.tests.running import running, subscribed


@pytest.fixture
async def base() -> AsyncIterator[str]:
    async with running("simulate", events_per_second=200) as base:
        yield base


@pytest.fixture
async def history(base: str) -> AsyncIterator[BybitHistory]:
    history = BybitHistory("bybit", base, SystemClock())
    yield history
    await history.close()


async def test_instruments(history: BybitHistory) -> None:
    found = {one.symbol: one for one in await history.instruments()}
    bitcoin = found["BTCUSDT"]
    assert (bitcoin.base, bitcoin.quote, bitcoin.unified_symbol) == ("BTC", "USDT", "BTC/USDT")
    assert (bitcoin.price_tick, bitcoin.size_step, bitcoin.notional_min) == ("0.1", "0.000001", "5")
    assert bitcoin.kind == types_pb2.INSTRUMENT_KIND_SPOT
    assert bitcoin.status == types_pb2.INSTRUMENT_STATUS_TRADING


async def test_a_book_is_as_deep_and_counts_as_its_topic(
    history: BybitHistory, raw: RawClient
) -> None:
    websocket = await subscribed(raw, "orderbook.200.BTCUSDT")
    reported = (await websocket.receive_json())["data"]
    book = await history.book("BTCUSDT")
    assert book.bids.count.tolist() == book.asks.count.tolist() == [200]
    assert reported["u"] <= book.last_sequence <= reported["u"] + 10
    assert book.bids.price.unscaled[0] > 0


async def test_the_newest_trades_are_oldest_first(history: BybitHistory, raw: RawClient) -> None:
    websocket = await subscribed(raw, "publicTrade.BTCUSDT")
    rows = (await websocket.receive_json())["data"]
    trades = await history.trades("BTCUSDT", 0, 0, 1000)
    assert 1 <= len(trades) <= 60
    ids = [int(trade.trade_id) for trade in trades]
    assert ids == sorted(ids)
    known = {trade.trade_id: trade for trade in trades}
    assert known[rows[-1]["i"]].price == rows[-1]["p"]
    assert (await history.trades("BTCUSDT", 0, 0, 1))[0].trade_id >= trades[-1].trade_id
    later = await history.trades("BTCUSDT", ids[0], 0, 1)
    assert int(later[0].trade_id) >= ids[0]
    assert await history.trades("BTCUSDT", 0, trades[-1].venue_time_ns + 10**15, 5) == []


async def test_candles_are_oldest_first(history: BybitHistory) -> None:
    await check_candles(history, "BTCUSDT", "1s")


async def test_errors_of_books_are_typed(history: BybitHistory, raw: RawClient) -> None:
    await check_book_errors(history, raw, "BTCUSDT", "NOPEUSDT", "orderbook")
