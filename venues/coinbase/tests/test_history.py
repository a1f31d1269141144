"""REST calls against the pretend Coinbase: exact numbers, oldest first, on both APIs."""

from collections.abc import AsyncIterator

import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.clock import SystemClock
from kit.base.errors import BadRequest, RateLimited, UnknownInstrument, VenueUnavailable
from tests.support.raw_client import RawClient, raw_client
from venues.coinbase.history import AdvancedHistory, ExchangeHistory
from venues.coinbase.simulator.tests.running import running

MINUTE_NS = 60_000_000_000
History = AdvancedHistory | ExchangeHistory


@pytest.fixture
async def base() -> AsyncIterator[str]:
    async with running("simulate", events_per_second=2_000) as base:
        yield base


@pytest.fixture
async def raw(base: str) -> AsyncIterator[RawClient]:
    async with raw_client(base) as client:
        yield client


@pytest.fixture(params=[AdvancedHistory, ExchangeHistory])
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
    newest = await history.candles("BTC-USD", "1m", 0, 10)
    starts = [candle.open_time_ns for candle in newest]
    assert starts == list(range(starts[0], starts[0] + 10 * MINUTE_NS, MINUTE_NS))
    again = await history.candles("BTC-USD", "1m", starts[0] + 1, 3)
    assert [candle.open_time_ns for candle in again] == starts[1:4]
    many = await history.candles("BTC-USD", "1m", starts[-1] - 699 * MINUTE_NS, 700)
    assert len(many) == 700
    with pytest.raises(BadRequest):
        await history.candles("BTC-USD", "1s", 0, 1)


async def test_candles_are_exact(history: History, raw: RawClient) -> None:
    (candle,) = await history.candles("DOGE-USD", "1d", 0, 1)
    stats = await raw.get("/products/DOGE-USD/ticker")
    assert len(candle.close.partition(".")[2]) <= 5
    assert candle.close
    assert stats["price"].startswith(candle.close[:4])


async def test_refusals_are_our_errors(history: History, raw: RawClient) -> None:
    with pytest.raises(UnknownInstrument):
        await history.book("NOPE-USD")
    for fault, error in (
        ("rest_429", RateLimited),
        ("rest_418", RateLimited),
        ("rest_html", VenueUnavailable),
        ("rest_500", VenueUnavailable),
    ):
        await raw.order(fault=fault, path="book")
        with pytest.raises(error):
            await history.book("BTC-USD")
    assert len((await history.book("BTC-USD")).bids.price)
