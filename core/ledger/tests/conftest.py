"""Fixtures for tests of the ledger."""

import asyncio

import grpc
import pytest
from venuemesh.marketdata.v1 import market_data_pb2_grpc
from venuemesh.tradeflow.v1 import trade_flow_pb2_grpc

from core.ledger import execution_collector
from core.ledger.tests.books import Books
from core.ledger.tests.collectors import Instruments, RestartedCollector, Venue
from core.ledger.tests.stores import STORES, TIGERBEETLE, stores_of, tigerbeetle_process
from kit.base.database import Database


@pytest.fixture(scope="session")
def tigerbeetle():
    """The address of a TigerBeetle, which the ledgers of all tests share."""
    with tigerbeetle_process() as process:
        asyncio.run(process.start())
        yield process.address


@pytest.fixture(params=STORES)
def store_address(request):
    """The address of a TigerBeetle, or ""; the test is run with each store."""
    return request.getfixturevalue("tigerbeetle") if request.param == TIGERBEETLE else ""


@pytest.fixture
async def books(postgres_url, store_address):
    database = Database(postgres_url)
    async with stores_of(database, store_address) as stores:
        yield Books.of(database, stores)
    await database.close()


@pytest.fixture
async def venue():
    return Venue()


@pytest.fixture
async def instruments():
    return Instruments()


@pytest.fixture
async def intake(venue, instruments, postgres_url, monkeypatch):
    monkeypatch.setattr(execution_collector, "LIST_EVERY_SECONDS", 0.05)
    database = Database(postgres_url)
    server = grpc.aio.server()
    trade_flow_pb2_grpc.add_TradeFlowServicer_to_server(venue, server)
    market_data_pb2_grpc.add_MarketDataServicer_to_server(instruments, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield RestartedCollector(database, channel)
    await server.stop(None)
    await database.close()
