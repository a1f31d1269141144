"""The connector on a simulated Binance, through the real kit."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from kit.conformance.connector_under_test import ConnectorUnderTest, connector
from kit.connector.contract.venue import Environment
from venues.binance.catalog import VENUES


@asynccontextmanager
async def connected(
    base: str, symbols: Iterable[str], **options: str
) -> AsyncIterator[ConnectorUnderTest]:
    """With every book proven. What is lost stays lost. ``base`` ends with the venue's id."""
    address, _, venue_id = base.rpartition("/")
    venue = VENUES[venue_id](Environment("simulate", address, options))
    async with connector(venue, symbols, refills=False) as made:
        await made.until(made.synchronized, "synchronized books")
        yield made
