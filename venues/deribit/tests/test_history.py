"""REST calls against the simulated Deribit: exact numbers, oldest first."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from venuemesh.common.v1 import types_pb2

from kit.base.clock import SystemClock
from kit.base.errors import UnknownInstrument, VenueUnavailable
from tests.support.history_suite import check_book_errors, check_candles
from tests.support.raw_client import RawClient
from venues.deribit.history import DeribitHistory
from venues.deribit.simulator.tests.running import running, subscribed

BTC = "BTC-PERPETUAL"


@pytest.fixture
async def base() -> AsyncIterator[str]:
    async with running("simulate", events_per_second=2_000) as base:
        yield base


@pytest.fixture
async def history(base: str) -> AsyncIterator[DeribitHistory]:
    history = DeribitHistory("deribit", base, SystemClock())
    yield history
    await history.close()


async def test_instruments(history: DeribitHistory) -> None:
    found = {one.symbol: one for one in await history.instruments()}
    bitcoin, ether = found[BTC], found["ETH-PERPETUAL"]
    assert (bitcoin.base, bitcoin.quote, bitcoin.unified_symbol) == ("BTC", "USD", "BTC/USD:BTC")
    assert (bitcoin.price_tick, bitcoin.size_step, bitcoin.size_min) == ("0.5", "10", "10")
    assert (bitcoin.contract_size, bitcoin.notional_min) == ("10", "")
    assert (ether.price_tick, ether.size_step, ether.contract_size) == ("0.05", "1", "1")
    assert bitcoin.kind == types_pb2.INSTRUMENT_KIND_PERPETUAL
    assert bitcoin.status == types_pb2.INSTRUMENT_STATUS_TRADING


async def test_a_book_is_whole_and_exact(history: DeribitHistory) -> None:
    book = await history.book(BTC)
    assert book.last_sequence > 0
    assert min(book.bids.count[0], book.asks.count[0]) > 100
    assert (book.bids.price.decimals, book.bids.size.decimals) == (1, 1)
    assert all(price % 5 == 0 for price in book.bids.price.unscaled.tolist())
    assert all(size % 100 == 0 for size in book.asks.size.unscaled.tolist())


async def test_trades_are_oldest_first_and_start_at_a_number(
    history: DeribitHistory, raw: RawClient
) -> None:
    websocket = await subscribed(raw, f"trades.{BTC}.100ms")
    await websocket.receive_json()
    reported = (await websocket.receive_json())["params"]["data"]
    first = reported[0]["trade_seq"]
    trades = await history.trades(BTC, first, 0, len(reported))
    assert [int(trade.trade_id) for trade in trades] == [row["trade_seq"] for row in reported]
    assert [Decimal(trade.price) for trade in trades] == [
        Decimal(str(r["price"])) for r in reported
    ]
    assert [Decimal(trade.size) for trade in trades] == [
        Decimal(str(r["amount"])) for r in reported
    ]
    sides = {"buy": types_pb2.SIDE_BUY, "sell": types_pb2.SIDE_SELL}
    assert [trade.side for trade in trades] == [sides[row["direction"]] for row in reported]
    newest = await history.trades(BTC, 0, 0, 1000)
    numbers = [int(trade.trade_id) for trade in newest]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    later = await history.trades(BTC, 0, newest[3].venue_time_ns, 5)
    assert later[0].venue_time_ns >= newest[3].venue_time_ns
    assert int(later[0].trade_id) <= numbers[3]
    assert await history.trades(BTC, numbers[-1] + 10**6, 0, 5) == []


async def test_candles_are_oldest_first(history: DeribitHistory) -> None:
    await check_candles(history, BTC, "1s")


async def test_errors_of_books_are_typed(history: DeribitHistory, raw: RawClient) -> None:
    await check_book_errors(history, raw, BTC, "NOPE-PERPETUAL", "order_book")
    with pytest.raises(UnknownInstrument, match="NOPE-PERPETUAL"):
        await history.book("NOPE-PERPETUAL")


@asynccontextmanager
async def answering(body: str) -> AsyncIterator[DeribitHistory]:
    """A venue that always says the same."""

    async def answered(request: web.Request) -> web.Response:
        return web.Response(text=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/{path:.*}", answered)
    async with TestServer(app) as server:
        history = DeribitHistory("deribit", str(server.make_url("")).rstrip("/"), SystemClock())
        yield history
        await history.close()


@pytest.mark.parametrize(
    "body", ['{"result":', '{"result":null}', '{"result":{"bids":[[1]]}}', "<html></html>", ""]
)
async def test_an_answer_that_cannot_be_read_is_no_crash(body: str) -> None:
    async with answering(body) as history:
        with pytest.raises(VenueUnavailable):
            await history.book(BTC)
        with pytest.raises(VenueUnavailable):
            await history.trades(BTC, 1, 0, 1)
        with pytest.raises(VenueUnavailable):
            await history.candles(BTC, "1m", 0, 1)


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ({}, types_pb2.INSTRUMENT_STATUS_TRADING),
        ({"is_active": False}, types_pb2.INSTRUMENT_STATUS_HALTED),
        ({"tick_size": 5e-05}, types_pb2.INSTRUMENT_STATUS_TRADING),
        ({"tick_size": "cheap"}, None),
        ({"kind": None}, None),
    ],
)
async def test_an_instrument_that_cannot_be_read_is_no_crash(
    member: dict[str, object], expected: int | None
) -> None:
    names = {"base_currency": "BTC", "counter_currency": "USD", "settlement_currency": "BTC"}
    row = {**names, "instrument_name": "BTC-25JUN21", "kind": "future", "tick_size": 0.5}
    row |= {"settlement_period": "month", "expiration_timestamp": 1_624_608_000_000}
    body = json.dumps({"result": [row | member]})
    async with answering(body) as history:
        if expected is None:
            with pytest.raises(VenueUnavailable):
                await history.instruments()
            return
        (found,) = await history.instruments()
        assert (found.status, found.kind) == (expected, types_pb2.INSTRUMENT_KIND_FUTURE)
        assert Decimal(found.price_tick) == Decimal(str((row | member)["tick_size"]))
        assert found.unified_symbol == "BTC/USD:BTC-210625"
