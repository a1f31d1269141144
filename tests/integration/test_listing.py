"""A venue process whose exchange changes its list of instruments."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.registry.v1 import registry_pb2

from conftest import free_port
from kit.base.runtime import METRICS_PORT_OFFSET
from kit.base.settings import MeshSettings
from kit.conformance.simulated_exchange import SimulatedExchange, exchange
from kit.connector.contract import discovery
from kit.connector.contract.venue import Environment
from kit.connector.process.app import VenueProcess
from kit.connector.process.settings import VenueSettings
from kit.execution.settings import OrdersSettings
from kit.simulator.dialect import find_dialects
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

VENUE = "binance"
STATUS = types_pb2.CHANNEL_STATUS
DEGRADED = registry_pb2.SERVICE_STATE_DEGRADED
SERVING = registry_pb2.SERVICE_STATE_SERVING


@asynccontextmanager
async def process(simulated: SimulatedExchange, data: Path) -> AsyncIterator[VenueProcess]:
    """A venue process in this one, which looks every second."""
    mesh = MeshSettings(data_dir=str(data), simulator_url=simulated.url, registry="127.0.0.1:1")
    port = free_port()
    while port + METRICS_PORT_OFFSET > 65_535:
        port = free_port()
    own = VenueSettings(port=port, instruments_refresh_s=1.0)
    venue = discovery.require(VENUE)(Environment("simulate", simulated.url, {}))
    made = VenueProcess(venue, mesh, own, OrdersSettings())
    task = asyncio.create_task(made.run())
    try:
        await until(lambda: task.done() or reported(made))
        yield made
    finally:
        made.runtime.stop()
        await task


def reported(venue: VenueProcess) -> list[tuple[str, int]]:
    """Symbol and change of each row of STATUS that is held."""
    publications = [publication for _, publication in venue.feed_handler.hub.ring(STATUS).after(0)]
    return [
        (definition.symbol, change)
        for publication in publications
        for change, definition in zip(
            publication.message.status.change, publication.message.status.definition, strict=True
        )
    ]


@pytest.fixture
async def simulated() -> AsyncIterator[SimulatedExchange]:
    async with exchange(VENUE, find_dialects()[VENUE]) as made:
        yield made


async def test_an_empty_list_is_degraded_and_nothing_is_delisted(
    simulated: SimulatedExchange, tmp_path: Path
) -> None:
    async with process(simulated, tmp_path) as venue:
        meter = venue.runtime.meter
        await until(lambda: meter.state == SERVING and venue.feed.connected)
        before = reported(venue)
        simulated.order("empty_market_list", count=0)
        await until(lambda: meter.state == DEGRADED)
        assert "lists no instruments" in meter.detail
        assert len(await venue.feed_handler.instruments.all()) == len(simulated.symbols)
        simulated.clear()
        await until(lambda: meter.state == SERVING)
        assert reported(venue) == before


async def test_the_process_survives_a_delisting(
    simulated: SimulatedExchange, tmp_path: Path
) -> None:
    symbol = simulated.symbols[0]
    async with process(simulated, tmp_path) as venue:
        await until(venue.feed_handler.book_manager.in_doubt_count)
        await until(lambda: not venue.feed_handler.book_manager.in_doubt_count())
        simulated.order("delist", symbol)

        def details() -> set[str]:
            return {one.detail for one in venue.control.subscriptions() if one.symbol == symbol}

        await until(lambda: details() == {"delisted"})
        simulated.order("list", symbol)
        await until(lambda: details() == {""})
        book = venue.feed_handler.book_manager.books[symbol]
        seen = book.last_sequence
        await until(lambda: book.last_sequence > seen and not book.wanted_since_ns)
        # It can be taken off while it is not listed, too.
        simulated.order("delist", symbol)
        await until(lambda: details() == {"delisted"})
        assert symbol not in await venue.control.update([], [symbol])


async def test_a_restart_is_a_gap_of_status_too(
    simulated: SimulatedExchange, tmp_path: Path
) -> None:
    async with process(simulated, tmp_path) as venue:
        assert STATUS in venue.feed_handler.subscriptions.channels
        checkpoint = venue.feed_handler.hub.cursor(STATUS).sequence + 2
        await until(lambda: venue.feed_handler.hub.cursor(STATUS).sequence >= checkpoint)
    async with process(simulated, tmp_path) as venue:
        _, first = next(venue.feed_handler.hub.ring(STATUS).after(0))
        assert [gap.reason for gap in first.message.gaps] == [types_pb2.GAP_REASON_RESTART]
