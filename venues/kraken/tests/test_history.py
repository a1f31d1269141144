"""REST calls against the simulated Kraken: exact numbers, oldest first; and trades found by id."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.clock import SystemClock
from tests.support.history_suite import check_book_errors, check_candles
from tests.support.raw_client import RawClient
from venues.kraken.history import SEARCH_STEPS_MAX, TRADES_MAX, KrakenHistory
from venues.kraken.simulator.tests.running import running, subscribe

SECOND_NS = 1_000_000_000
OPENING_NS = 1_700_000_000 * SECOND_NS


@pytest.fixture
async def base() -> AsyncIterator[str]:
    async with running("simulate", events_per_second=2_000) as base:
        yield base


@pytest.fixture
async def history(base: str) -> AsyncIterator[KrakenHistory]:
    history = KrakenHistory("kraken", base, SystemClock())
    yield history
    await history.close()


async def test_instruments(history: KrakenHistory) -> None:
    found = {one.symbol: one for one in await history.instruments()}
    bitcoin = found["BTC/USDT"]
    assert (bitcoin.base, bitcoin.quote, bitcoin.unified_symbol) == ("BTC", "USDT", "BTC/USDT")
    assert (bitcoin.price_tick, bitcoin.size_step) == ("0.1", "0.00000001")
    assert (bitcoin.size_min, bitcoin.notional_min) == ("0.00000001", "0.5")
    assert bitcoin.kind == types_pb2.INSTRUMENT_KIND_SPOT
    assert bitcoin.status == types_pb2.INSTRUMENT_STATUS_TRADING
    assert {"DOGE/USDT", "ETH/BTC"} <= found.keys()


async def test_unusual_listings_are_read(history: KrakenHistory, raw: RawClient) -> None:
    await raw.order(venue="kraken", fault="halt", symbol="BTC/USDT")
    await raw.order(venue="kraken", fault="tick_size", symbol="ETH/USDT", value="0.05")
    await raw.order(venue="kraken", fault="symbol_twice", symbol="SOL/USDT")
    found = await history.instruments()
    assert sorted(one.symbol for one in found).count("SOL/USDT") == 2
    known = {one.symbol: one for one in found}
    assert known["BTC/USDT"].status == types_pb2.INSTRUMENT_STATUS_HALTED
    assert known["ETH/USDT"].price_tick == "0.05"
    assert (await history.book("SOL/USDT")).bids.count[0]
    await raw.order(venue="kraken", fault="empty_market_list")
    assert await history.instruments() == []


async def test_a_book_has_no_number_and_short_sizes(history: KrakenHistory) -> None:
    book = await history.book("ETH/BTC")
    assert book.last_sequence == 0
    assert book.bids.count[0] > 100
    assert book.asks.count[0] > 100
    assert book.bids.size.decimals == 3
    assert book.bids.price.unscaled[0] < book.asks.price.unscaled[0]


async def test_trades_are_those_of_the_feed(history: KrakenHistory, raw: RawClient) -> None:
    websocket = await raw.connect("/v2")
    await subscribe(websocket, "trade", "BTC/USDT")
    frame: dict[str, Any] = {}
    while (frame.get("channel"), frame.get("type")) != ("trade", "update"):
        frame = await websocket.receive_json()
    (reported, *_) = frame["data"]
    (trade,) = await history.trades("BTC/USDT", reported["trade_id"], 0, 1)
    assert trade.trade_id == str(reported["trade_id"])
    assert (float(trade.price), float(trade.size)) == (reported["price"], reported["qty"])
    assert (trade.side == types_pb2.SIDE_BUY) is (reported["side"] == "buy")
    newest = await history.trades("BTC/USDT", 0, 0, 1000)
    ids = [int(one.trade_id) for one in newest]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    since = await history.trades("BTC/USDT", 0, trade.venue_time_ns, 2)
    assert since[0].trade_id == trade.trade_id


async def test_candles_are_oldest_first(history: KrakenHistory) -> None:
    await check_candles(history, "BTC/USDT", "1s")


async def test_errors_of_books_are_typed(history: KrakenHistory, raw: RawClient) -> None:
    await check_book_errors(history, raw, "BTC/USDT", "NOPE/USDT", "Depth")


class Past(KrakenHistory):
    """A history of many trades, without a venue: trades come in bursts of one time."""

    def __init__(self, first_id: int, count: int, burst: int = 3) -> None:
        super().__init__("kraken", None, SystemClock())
        self._pairs = {"BTC/USDT": "XBTUSDT"}
        self._rest._exchange = self
        self.calls = 0
        self._trades = [
            (first_id + row, OPENING_NS + (row // burst) ** 2 * SECOND_NS) for row in range(count)
        ]

    async def publicGetTrades(self, query: Mapping[str, Any]) -> Any:
        self.calls += 1
        rows = self._trades
        if "since" in query:
            rows = [row for row in rows if row[1] > query["since"]][: query["count"]]
        answer = [
            ["10.50000", "1.00000000", f"{time_ns // SECOND_NS}.0", "b", "l", "", trade_id]
            for trade_id, time_ns in rows[-query["count"] :]
        ]
        return {"error": [], "result": {"XBTUSDT": answer, "last": "0"}}


def ids(trades) -> list[int]:
    return [int(trade.trade_id) for trade in trades]


@pytest.mark.parametrize("trade_id", [1, 2, 777, 5_000, 19_999, 20_000])
async def test_a_trade_is_found_by_its_id(trade_id: int) -> None:
    past = Past(1, 20_000)
    found = await past.trades("BTC/USDT", trade_id, 0, 10)
    assert ids(found) == list(range(trade_id, min(trade_id + 10, 20_001)))
    assert past.calls <= SEARCH_STEPS_MAX


async def test_a_time_near_it_makes_the_search_short() -> None:
    past = Past(1, 20_000)
    (trade,) = await past.trades("BTC/USDT", 5_000, 0, 1)
    again = Past(1, 20_000)
    assert ids(await again.trades("BTC/USDT", 5_000, trade.venue_time_ns, 3)) == [5000, 5001, 5002]
    assert again.calls == 1


async def test_the_next_page_begins_where_the_last_ended() -> None:
    past = Past(1, 20_000)
    ends = 5_000
    await past.trades("BTC/USDT", ends - 9, 0, 10)
    past.calls = 0
    found = await past.trades("BTC/USDT", ends + 1, 0, 10)
    assert ids(found) == list(range(ends + 1, ends + 11))
    assert past.calls == 1


async def test_a_page_is_full_while_there_are_trades() -> None:
    past = Past(1, 20_000)
    found = await past.trades("BTC/USDT", 4_999, 0, TRADES_MAX)
    assert ids(found) == list(range(4_999, 4_999 + TRADES_MAX))


async def test_missing_data_is_not_found() -> None:
    past = Past(1_000, 5_000)
    assert await past.trades("BTC/USDT", 6_000, 0, 10) == []
    assert ids(await past.trades("BTC/USDT", 5, 0, 3)) == [1000, 1001, 1002]
    assert await Past(1, 0).trades("BTC/USDT", 5, 0, 3) == []
