"""The connector against the simulated Examplex: cases of this exchange alone.

What every connector must do is in the cards of kit/conformance.
"""

from collections.abc import AsyncIterator

import pytest

from kit.conformance.connector_under_test import ConnectorUnderTest, connector
from kit.conformance.simulated_exchange import SimulatedExchange, exchange
from kit.connector.contract.venue import Environment
from ops.templates.examplex.catalog import VENUE_ID, spot
from ops.templates.examplex.simulator import examplex


@pytest.fixture
async def simulated() -> AsyncIterator[SimulatedExchange]:
    async with exchange(VENUE_ID, examplex) as simulated:
        yield simulated


@pytest.fixture
async def connected(simulated: SimulatedExchange) -> AsyncIterator[ConnectorUnderTest]:
    symbols = simulated.symbols[:2]
    async with connector(spot(Environment("simulate", simulated.url)), symbols) as connected:
        await connected.until(connected.synchronized, "synchronized books")
        yield connected


async def test_a_symbol_that_is_not_listed_takes_no_other_with_it(
    connected: ConnectorUnderTest,
) -> None:
    connected.add(["NOPE-USD", "SOL-USD"])
    await connected.until(lambda: connected.synchronized("SOL-USD"), "the book of the listed one")
    assert not connected.synchronized("NOPE-USD")
    assert connected.all_gaps == []


async def test_a_lost_update_begins_a_new_epoch(
    connected: ConnectorUnderTest, simulated: SimulatedExchange
) -> None:
    book = connected.book("BTC-USD")
    epoch = book.epoch
    simulated.order("drop", "BTC-USD", "book")
    await connected.until(lambda: book.epoch > epoch, "a new epoch")
    assert book.epoch == epoch + 1
