"""REST calls against the simulated OKX: exact numbers, oldest first."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.clock import SystemClock
from kit.base.errors import VenueUnavailable
from tests.support.history_suite import check_book_errors, check_candles
from tests.support.raw_client import RawClient
from venues.okx.history import OkxHistory
from venues.okx.instruments import instrument
from venues.okx.simulator.tests.running import running

SYMBOL = "BTC-USDT"
DAY_NS = 86_400_000_000_000


@pytest.fixture
async def base() -> AsyncIterator[str]:
    async with running("simulate", events_per_second=4_000) as base:
        yield base


@pytest.fixture
async def history(base: str) -> AsyncIterator[OkxHistory]:
    history = OkxHistory("okx", "spot", base, SystemClock())
    yield history
    await history.close()


async def test_instruments(history: OkxHistory) -> None:
    found = {one.symbol: one for one in await history.instruments()}
    bitcoin = found[SYMBOL]
    assert (bitcoin.venue, bitcoin.unified_symbol) == ("okx", "BTC/USDT")
    assert (bitcoin.base, bitcoin.quote, bitcoin.contract_size) == ("BTC", "USDT", "1")
    assert (bitcoin.price_tick, bitcoin.size_step) == ("0.1", "0.00000001")
    assert (bitcoin.size_min, bitcoin.notional_min) == ("0.00000001", "")
    assert bitcoin.kind == types_pb2.INSTRUMENT_KIND_SPOT
    assert bitcoin.status == types_pb2.INSTRUMENT_STATUS_TRADING


async def test_swaps_have_contracts() -> None:
    async with running("simulate", "okx_futures", events_per_second=100) as base:
        history = OkxHistory("okx_futures", "swap", base, SystemClock())
        found = {one.symbol: one for one in await history.instruments()}
        await history.close()
    ether = found["ETH-USDT-SWAP"]
    assert (ether.unified_symbol, ether.base, ether.quote) == ("ETH/USDT:USDT", "ETH", "USDT")
    assert (ether.contract_size, ether.size_step) == ("0.1", "0.01")
    assert ether.kind == types_pb2.INSTRUMENT_KIND_PERPETUAL
    assert len(found) == 5


def test_an_instrument_that_is_not_open_yet_has_no_contract() -> None:
    info = {"instType": "SWAP", "instId": "NEW-USDT-SWAP", "state": "preopen"}
    market = {"info": info, "symbol": "NEW-USDT-SWAP", "base": "", "quote": ""}
    found = instrument("okx_futures", market)
    assert (found.symbol, found.contract_size) == ("NEW-USDT-SWAP", "")
    assert found.status == types_pb2.INSTRUMENT_STATUS_HALTED


async def test_a_book_is_as_deep_as_its_channel(history: OkxHistory, raw: RawClient) -> None:
    websocket = await raw.connect("/ws/v5/public")
    argument = {"channel": "books", "instId": SYMBOL}
    await websocket.send_json({"op": "subscribe", "args": [argument]})
    assert (await websocket.receive_json())["event"] == "subscribe"
    (reported,) = (await websocket.receive_json())["data"]
    book = await history.book(SYMBOL)
    assert 300 < book.bids.count[0] <= 400
    assert book.last_sequence >= reported["seqId"]
    assert len(book.asks.price) == book.asks.count[0]


async def trades_are_there(history: OkxHistory, count: int) -> list[int]:
    """The ids of the newest, when there are so many."""
    while True:
        found = await history.trades(SYMBOL, 0, 0, 500)
        if len(found) >= count:
            return [int(trade.trade_id) for trade in found]


async def test_trades_from_an_id_take_as_many_calls_as_it_needs(history: OkxHistory) -> None:
    ids = await trades_are_there(history, 260)
    assert ids == list(range(ids[0], ids[-1] + 1))
    found = await history.trades(SYMBOL, ids[5], 0, 250)
    assert [int(trade.trade_id) for trade in found] == ids[5:255]
    more = await history.trades(SYMBOL, ids[0], 0, 1_000)
    assert [int(trade.trade_id) for trade in more][: len(ids)] == ids
    assert await history.trades(SYMBOL, ids[-1] + 10**6, 0, 10) == []


async def test_trades_from_a_time(history: OkxHistory) -> None:
    await trades_are_there(history, 50)
    newest = await history.trades(SYMBOL, 0, 0, 50)
    start_ns = newest[20].venue_time_ns
    found = await history.trades(SYMBOL, 0, start_ns, 10)
    assert all(trade.venue_time_ns >= start_ns for trade in found)
    first = next(trade for trade in newest if trade.venue_time_ns >= start_ns)
    assert found[0] == first
    assert await history.trades(SYMBOL, 0, 1, 10) == []


async def test_candles_are_oldest_first(history: OkxHistory) -> None:
    await check_candles(history, SYMBOL, "8h", count=400)
    (day,) = await history.candles(SYMBOL, "1d", 0, 1)
    assert day.open_time_ns % DAY_NS == 0


async def test_errors_of_books_are_typed(history: OkxHistory, raw: RawClient) -> None:
    await check_book_errors(history, raw, SYMBOL, "NO-SUCH", "books")


class Odd:
    """ccxt's client, which gives this answer to whatever is asked."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __getattr__(self, name: str) -> Any:
        async def ask(*arguments: object) -> Any:
            return self._answer

        return ask


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"data": None},
        {"data": [{}]},
        {"data": ["row"]},
        {"data": [{"tradeId": "1", "px": "many", "sz": "1", "side": "buy", "ts": "1"}]},
        {"data": [["1", "1", "1"]]},
    ],
)
async def test_an_answer_that_cannot_be_read_is_our_error(answer: Any) -> None:
    history = OkxHistory("okx", "spot", None, SystemClock())
    history._rest._exchange = Odd(answer)
    for asking in (
        history.book(SYMBOL),
        history.trades(SYMBOL, 5, 0, 10),
        history.trades(SYMBOL, 0, 5, 10),
        history.candles(SYMBOL, "1m", 0, 10),
        history.candles(SYMBOL, "1m", 5, 10),
    ):
        with pytest.raises(VenueUnavailable):
            await asking


async def test_instruments_that_cannot_be_read_are_our_error() -> None:
    history = OkxHistory("okx", "spot", None, SystemClock())
    history._rest._exchange = Odd([{"info": {}}])
    with pytest.raises(VenueUnavailable):
        await history.instruments()


async def test_no_answer_is_no_book() -> None:
    history = OkxHistory("okx", "spot", None, SystemClock())
    history._rest._exchange = Odd({"data": []})
    with pytest.raises(VenueUnavailable):
        await history.book(SYMBOL)
    assert await history.trades(SYMBOL, 0, 0, 10) == []
