"""REST through ccxt's unified methods."""

from collections.abc import AsyncIterator

import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.errors import BadRequest, NotSupported, UnknownInstrument, VenueUnavailable
from kit.conformance.simulated_exchange import SimulatedExchange, exchange
from kit.connector.contract.venue import VenueHistory
from kit.simulator.dialect import find_dialects
from venues.ccxt.tests.connecting import venue

SYMBOL = "BTC/USDT"


@pytest.fixture
async def simulated() -> AsyncIterator[SimulatedExchange]:
    async with exchange("binance", find_dialects()["binance"], 500) as running:
        yield running


@pytest.fixture
async def history(simulated: SimulatedExchange) -> AsyncIterator[VenueHistory]:
    asked = venue("binance", f"{simulated.url}/binance").history
    await asked.instruments()
    yield asked
    await asked.close()


async def test_instruments_have_unified_symbols_and_exact_steps(history: VenueHistory) -> None:
    listed = {one.symbol: one for one in await history.instruments()}
    bitcoin = listed[SYMBOL]
    assert (bitcoin.venue, bitcoin.unified_symbol) == ("ccxt_binance", SYMBOL)
    assert (bitcoin.base, bitcoin.quote) == ("BTC", "USDT")
    assert (bitcoin.price_tick, bitcoin.size_step) == ("0.01", "0.00001")
    assert bitcoin.kind == types_pb2.INSTRUMENT_KIND_SPOT
    assert bitcoin.status == types_pb2.INSTRUMENT_STATUS_TRADING


async def test_a_halted_market_is_listed_as_halted(
    simulated: SimulatedExchange, history: VenueHistory
) -> None:
    simulated.order("halt", "BTCUSDT")
    listed = {one.symbol: one for one in await history.instruments()}
    assert listed[SYMBOL].status == types_pb2.INSTRUMENT_STATUS_HALTED


async def test_a_book_has_both_sides(history: VenueHistory) -> None:
    book = await history.book(SYMBOL)
    assert book.last_sequence > 0
    assert book.bids.count[0] > 10
    assert book.bids.price.unscaled[0] > 0


async def test_the_newest_trades_are_oldest_first(history: VenueHistory) -> None:
    trades = await history.trades(SYMBOL, 0, 0, 20)
    ids = [int(trade.trade_id) for trade in trades]
    assert ids == list(range(ids[0], ids[0] + 20))
    assert trades[0].side in (types_pb2.SIDE_BUY, types_pb2.SIDE_SELL)
    again = await history.trades(SYMBOL, ids[5], 0, 3)
    assert [int(trade.trade_id) for trade in again] == ids[5:8]
    assert again[0].price == trades[5].price


async def test_an_id_that_is_too_old_is_not_answered_with_newer_ones(history: VenueHistory) -> None:
    with pytest.raises(VenueUnavailable, match="newest trades only"):
        await history.trades(SYMBOL, 1, 0, 10)


async def test_candles_are_oldest_first(history: VenueHistory) -> None:
    candles = await history.candles(SYMBOL, "1m", 0, 5)
    opens = [candle.open_time_ns for candle in candles]
    assert len(opens) == 5
    assert opens == sorted(opens)
    with pytest.raises(BadRequest, match="7m"):
        await history.candles(SYMBOL, "7m", 0, 5)


async def test_refusals_are_our_errors(simulated: SimulatedExchange, history: VenueHistory) -> None:
    with pytest.raises(UnknownInstrument):
        await history.trades("NO/WHERE", 0, 0, 1)
    simulated.order("rest_html", path="depth")
    with pytest.raises(VenueUnavailable):
        await history.book(SYMBOL)


async def test_methods_missing_in_ccxt_are_errors(
    history: VenueHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(history._exchange.api.has, "fetchTrades", False)
    with pytest.raises(NotSupported, match="fetchTrades"):
        await history.trades(SYMBOL, 0, 0, 1)
