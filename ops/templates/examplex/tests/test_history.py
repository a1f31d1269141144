"""REST calls to the simulated Examplex that the cards do not make."""

from collections.abc import AsyncIterator

import pytest

from kit.base.errors import BadRequest, UnknownInstrument
from kit.conformance.simulated_exchange import SimulatedExchange, exchange
from kit.connector.contract.venue import Environment, VenueHistory
from ops.templates.examplex.catalog import VENUE_ID, spot
from ops.templates.examplex.simulator import examplex


@pytest.fixture
async def simulated() -> AsyncIterator[SimulatedExchange]:
    async with exchange(VENUE_ID, examplex) as simulated:
        yield simulated


@pytest.fixture
async def history(simulated: SimulatedExchange) -> AsyncIterator[VenueHistory]:
    venue = spot(Environment("simulate", simulated.url))
    yield venue.history
    await venue.history.close()


async def test_trades_can_be_had_from_an_id_and_from_a_time(history: VenueHistory) -> None:
    newest = await history.trades("BTC-USD", 0, 0, 20)
    middle = newest[10]
    by_id = await history.trades("BTC-USD", int(middle.trade_id), 0, 5)
    by_time = await history.trades("BTC-USD", 0, middle.venue_time_ns, 5)
    assert by_id[0].trade_id == middle.trade_id
    assert by_time[0].venue_time_ns >= middle.venue_time_ns
    assert [len(by_id), len(by_time)] == [5, 5]


async def test_candles_begin_where_they_are_asked_to(history: VenueHistory) -> None:
    newest = await history.candles("BTC-USD", "5m", 0, 6)
    again = await history.candles("BTC-USD", "5m", newest[2].open_time_ns, 3)
    assert [one.open_time_ns for one in again] == [one.open_time_ns for one in newest[2:5]]


async def test_a_book_is_sorted_best_first(history: VenueHistory) -> None:
    book = await history.book("BTC-USD")
    bids, asks = book.bids.price.unscaled.tolist(), book.asks.price.unscaled.tolist()
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]


async def test_what_there_is_not_is_an_error_that_says_so(history: VenueHistory) -> None:
    with pytest.raises(UnknownInstrument):
        await history.book("NOPE-USD")
    with pytest.raises(BadRequest):
        await history.candles("BTC-USD", "7m", 0, 5)


async def test_a_halted_market_is_listed_as_halted(
    simulated: SimulatedExchange, history: VenueHistory
) -> None:
    before = {one.symbol: one.status for one in await history.instruments()}
    simulated.order("halt", "ETH-USD")
    after = {one.symbol: one.status for one in await history.instruments()}
    assert {symbol for symbol in before if before[symbol] != after[symbol]} == {"ETH-USD"}
