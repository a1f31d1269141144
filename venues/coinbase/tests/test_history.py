"""REST calls against the simulated Coinbase: exact numbers, oldest first, on both APIs."""

from collections.abc import AsyncIterator

import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.clock import SystemClock
from tests.support.history_suite import check_book_errors, check_candles
from tests.support.raw_client import RawClient
from venues.coinbase.history import CoinbaseAdvancedHistory, CoinbaseExchangeHistory
from venues.coinbase.simulator.tests.running import running

MINUTE_NS = 60_000_000_000
History = CoinbaseAdvancedHistory | CoinbaseExchangeHistory


@pytest.fixture
async def base() -> AsyncIterator[str]:
    async with running("simulate", events_per_second=2_000) as base:
        yield base


@pytest.fixture(params=[CoinbaseAdvancedHistory, CoinbaseExchangeHistory])
async def history(base: str, request: pytest.FixtureRequest) -> AsyncIterator[History]:
    history = request.param("coinbase", base, SystemClock())
    yield history
    await history.close()


@pytest.fixture
async def some_trades(history: History, raw: RawClient) -> list:
    """At least 50, of a market that goes on."""
    websocket = await raw.connect()
    await websocket.send_json(
        {"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["matches"]}
    )
    for _ in range(52):
        await websocket.receive()
    return await history.trades("BTC-USD", 0, 0, 50)


async def test_instruments(history: History) -> None:
    found = {one.symbol: one for one in await history.instruments()}
    bitcoin = found["BTC-USD"]
    assert (bitcoin.base, bitcoin.quote, bitcoin.unified_symbol) == ("BTC", "USD", "BTC/USD")
    assert (bitcoin.price_tick, bitcoin.size_step) == ("0.01", "0.00000001")
    assert bitcoin.notional_min == "1"
    assert bitcoin.kind == types_pb2.INSTRUMENT_KIND_SPOT
    assert bitcoin.status == types_pb2.INSTRUMENT_STATUS_TRADING


async def test_a_book(history: History) -> None:
    book = await history.book("BTC-USD")
    assert book.bids.count.tolist() == [len(book.bids.price)]
    assert len(book.asks.price) > 50
    assert book.received_time_ns


async def test_the_newest_trades_are_oldest_first(some_trades: list) -> None:
    ids = [int(trade.trade_id) for trade in some_trades]
    assert ids == list(range(ids[0], ids[0] + 50))
    assert all(trade.side for trade in some_trades)


async def test_trades_from_an_id_are_exact(history: History, some_trades: list) -> None:
    first = int(some_trades[5].trade_id)
    assert await history.trades("BTC-USD", first, 0, 20) == some_trades[5:25]
    assert await history.trades("BTC-USD", first + 10**6, 0, 20) == []


async def test_trades_from_a_time(history: History, some_trades: list) -> None:
    start_ns = some_trades[20].venue_time_ns
    found = await history.trades("BTC-USD", 0, start_ns, 10)
    assert found == [one for one in some_trades if one.venue_time_ns >= start_ns][:10]
    oldest = await history.trades("BTC-USD", 0, start_ns - 60 * MINUTE_NS, 10)
    assert oldest[-1].venue_time_ns < start_ns
    assert await history.trades("BTC-USD", 0, start_ns + 60 * MINUTE_NS, 10) == []


async def test_candles_are_oldest_first(history: History) -> None:
    await check_candles(history, "BTC-USD", "1s")
    (newest,) = await history.candles("BTC-USD", "1m", 0, 1)
    start_ns = newest.open_time_ns - 699 * MINUTE_NS
    assert len(await history.candles("BTC-USD", "1m", start_ns, 700)) == 700


async def test_candles_are_exact(history: History, raw: RawClient) -> None:
    (candle,) = await history.candles("DOGE-USD", "1d", 0, 1)
    stats = await raw.get("/products/DOGE-USD/ticker")
    assert len(candle.close.partition(".")[2]) <= 5
    assert candle.close
    assert stats["price"].startswith(candle.close[:4])


async def test_errors_of_books_are_typed(history: History, raw: RawClient) -> None:
    await check_book_errors(history, raw, "BTC-USD", "NOPE-USD", "book")
