"""Connectors whose exchange ends every connection after some seconds, for many times."""

import asyncio
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import replace

import pytest
from venuemesh.common.v1 import types_pb2

from conftest import free_port
from kit.conformance.connector_under_test import ConnectorUnderTest, connector
from kit.conformance.simulated_exchange import exchange
from kit.connector.contract import discovery
from kit.connector.contract.venue import Environment, Venue
from kit.simulator.dialect import find_dialects
from tests.integration.mesh import ROOT
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

VENUES = ("binance", "binance_futures", "bybit", "coinbase", "deribit", "kraken", "okx")
LIFETIME_S = 24.0
MOVES = 2
SYMBOLS = 3
TRADES = types_pb2.CHANNEL_TRADES


@pytest.fixture(scope="module")
def simulator_url() -> Iterator[str]:
    """URL of a simulator in a separate process."""
    port = free_port()
    words = [str(port), str(LIFETIME_S), *VENUES]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.short_lived_exchanges", *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"},
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def short_lived(venue_id: str, simulator_url: str) -> Venue:
    """A venue that knows how long its connections live."""
    venue = discovery.require(venue_id)(Environment("simulate", simulator_url))
    return replace(venue, limits=replace(venue.limits, lifetime_s=LIFETIME_S))


def moves(made: ConnectorUnderTest) -> int:
    """Number of replaced connections."""
    return int(made.meter.counters.get("moved_connections_total", 0))


async def answers(url: str) -> None:
    """Wait until a server answers at the URL."""

    def asked() -> bool:
        try:
            urllib.request.urlopen(f"{url}/replay/status", timeout=5).close()
        except OSError:
            return False
        return True

    await until(asked)


async def follow(venue_id: str, simulator_url: str) -> ConnectorUnderTest:
    """Some instruments of a venue over MOVES lives of its connections and more."""
    venue = short_lived(venue_id, simulator_url)
    listed = [one.symbol for one in await venue.history.instruments()][:SYMBOLS]
    async with connector(venue, listed) as made:
        await made.until(made.synchronized, "synchronized books")
        while moves(made) < MOVES * len(venue.feed_protocols):
            await made.next_batch()
        await made.until(made.synchronized, "synchronized books")
        return made


async def test_no_event_is_missed_and_no_gap_published(simulator_url: str) -> None:
    await answers(simulator_url)
    async with asyncio.timeout(100):
        followed = await asyncio.gather(*[follow(one, simulator_url) for one in VENUES])
    for venue_id, made in zip(VENUES, followed, strict=True):
        assert made.all_gaps == [], venue_id
        assert made.meter.reconnects_total == 0, venue_id
        assert made.skipped == 0, venue_id
        for symbol in made.subscriptions.symbols:
            times = [columns.venue_time_ns[row] for columns, row in made.rows(TRADES, symbol)]
            assert times == sorted(times), (venue_id, symbol)
            check_ids(venue_id, made, symbol)


def check_ids(venue_id: str, made: ConnectorUnderTest, symbol: str) -> None:
    """Every trade once, and where they are counted none left out."""
    rows = list(made.rows(TRADES, symbol))
    assert len(rows) > MOVES
    texts = [columns.trade_id_text[row] for columns, row in rows if columns.trade_id_text]
    if texts:
        assert len(texts) == len(set(texts)) == len(rows), (venue_id, symbol)
        return
    ids = [columns.trade_id[row] for columns, row in rows]
    if venue_id in ("binance", "coinbase", "kraken"):
        assert ids == list(range(ids[0], ids[0] + len(ids))), (venue_id, symbol)
    assert ids == sorted(set(ids)), (venue_id, symbol)


@pytest.mark.parametrize(
    ("venue_id", "fault"), [("binance", "server_shutdown"), ("okx", "service_upgrade")]
)
async def test_a_venue_that_announces_its_end_is_left_in_time(venue_id: str, fault: str) -> None:
    async with exchange(venue_id, find_dialects()[venue_id], events_per_second=100) as simulated:
        venue = discovery.require(venue_id)(Environment("simulate", simulated.url))
        async with connector(venue, simulated.symbols[:SYMBOLS]) as made:
            await made.until(made.synchronized, "synchronized books")
            lines = simulated.connections
            simulated.order(fault, simulated.symbols[0], "trades", seconds=10)
            await made.until(lambda: moves(made), "a move")
            await made.until(lambda: simulated.connections == lines, "the end of the old one")
            count = made.row_count(TRADES, simulated.symbols[0])
            await made.until(
                lambda: made.row_count(TRADES, simulated.symbols[0]) > count + 5, "more trades"
            )
            assert made.all_gaps == []
            assert made.meter.reconnects_total == 0
            assert made.synchronized()
