"""The newest prices of a venue, and when they are not known."""

import asyncio
from decimal import Decimal
from typing import Self

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2, market_data_pb2_grpc
from venuemesh.registry.v1 import registry_pb2

from kit.base import rpc
from kit.base.clock import SystemClock
from kit.base.cursor import Cursor
from kit.marketdata.delivery.market_snapshots import MarketSnapshots, VenueSnapshot
from kit.marketdata.model.batches import Batch
from tests.support.waiting import until

SECOND_NS = 1_000_000_000


def quotes(sequence: int, *prices: tuple[str, int, int], gaps=(), epoch: int = 1) -> Batch:
    """A batch of the second of its number. Prices have two decimal places."""
    batch = Batch(
        venue="binance",
        channel=types_pb2.CHANNEL_QUOTES,
        cursor=Cursor(epoch, sequence).message(),
        gaps=[types_pb2.Gap(symbol=symbol) for symbol in gaps],
        published_time_ns=sequence * SECOND_NS,
    )
    for place, (symbol, bid, ask) in enumerate(prices):
        batch.instruments.add(symbol=symbol, price_scale=2)
        rows = batch.quotes
        rows.instrument.append(place)
        rows.bid_price.append(bid)
        rows.ask_price.append(ask)
        rows.received_time_ns.append(sequence * SECOND_NS - 1)
    return batch


@pytest.fixture
def snapshot() -> VenueSnapshot:
    found = VenueSnapshot()
    found.apply(quotes(1, ("BTCUSDT", 100, 101), ("ETHUSDT", 200, 201)))
    return found


def test_the_newest_prices_are_known_and_confirmed_by_each_batch(snapshot):
    snapshot.apply(quotes(2, ("BTCUSDT", 102, 103), ("BTCUSDT", 104, 105)))
    snapshot.apply(quotes(3))
    quote = snapshot.quote("BTCUSDT")
    assert quote is not None
    assert (quote.bid, quote.ask) == (Decimal("1.04"), Decimal("1.05"))
    assert quote.changed_time_ns == 2 * SECOND_NS - 1
    assert quote.confirmed_time_ns == 3 * SECOND_NS
    assert quote.cursor == Cursor(1, 2)
    assert snapshot.quote("XRPUSDT") is None


def test_a_gap_ends_what_was_known_before_it(snapshot):
    snapshot.apply(quotes(2, gaps=["ETHUSDT"]))
    assert snapshot.quote("ETHUSDT") is None
    assert snapshot.quote("BTCUSDT") is not None
    snapshot.apply(quotes(3, ("ETHUSDT", 300, 301), gaps=[""]))
    assert snapshot.quote("BTCUSDT") is None
    # Gaps are before the rows.
    assert snapshot.quote("ETHUSDT") is not None


@pytest.mark.parametrize("missing", [quotes(3), quotes(2, epoch=2)])
def test_a_missing_batch_ends_what_was_known_before_it(snapshot, missing):
    snapshot.apply(missing)
    assert snapshot.quote("BTCUSDT") is None


def test_nothing_is_known_after_the_end_of_the_stream(snapshot):
    snapshot.forget()
    assert snapshot.quote("BTCUSDT") is None
    snapshot.apply(quotes(7, ("ETHUSDT", 200, 201)))
    assert snapshot.quote("ETHUSDT") is not None
    assert snapshot.quote("BTCUSDT") is None


def test_terms_of_instruments_are_changed_by_the_stream(snapshot):
    halted = types_pb2.Instrument(symbol="BTCUSDT", status=types_pb2.INSTRUMENT_STATUS_HALTED)
    batch = Batch(channel=types_pb2.CHANNEL_STATUS, cursor=Cursor(1, 1).message())
    batch.status.definition.append(halted)
    batch.status.change.append(batch_pb2.STATUS_CHANGE_HALTED)
    batch.status.received_time_ns.append(4)
    snapshot.apply(batch)
    assert snapshot.instruments["BTCUSDT"].instrument == halted
    assert snapshot.quote("BTCUSDT") is not None


class Venue(market_data_pb2_grpc.MarketDataServicer):
    """A venue process whose stream gives what is put into a queue; None ends it."""

    def __init__(self, tick: str) -> None:
        self.batches: asyncio.Queue[Batch | None] = asyncio.Queue()
        self._instrument = types_pb2.Instrument(symbol="BTCUSDT", price_tick=tick)
        self._server = rpc.server()
        service = market_data_pb2.DESCRIPTOR.services_by_name["MarketData"]
        rpc.serve(self._server, service, self)
        self.port = rpc.listen(self._server, "127.0.0.1:0")

    async def ListInstruments(self, request, context):
        return market_data_pb2.ListInstrumentsResponse(instruments=[self._instrument])

    async def Subscribe(self, request, context):
        while (batch := await self.batches.get()) is not None:
            yield market_data_pb2.SubscribeResponse(batches=[batch])

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._server.stop(None)


class Directory:
    """A registry that lists one venue, at one address after another."""

    def __init__(self) -> None:
        self.ports: asyncio.Queue[int] = asyncio.Queue()

    async def watch(self, kind: str):
        while True:
            address = f"127.0.0.1:{await self.ports.get()}"
            instance = registry_pb2.ServiceInstance(
                service_id="binance", name="binance", address=address
            )
            yield [registry_pb2.Service(instance=instance)]


async def test_a_venue_is_followed_when_its_stream_ends_and_when_it_moves():
    directory = Directory()
    markets = MarketSnapshots(directory, SystemClock())

    def bid() -> Decimal | None:
        quote = markets.quote("binance", "BTCUSDT")
        return None if quote is None else quote.bid

    def tick() -> str:
        found = markets.instrument("binance", "BTCUSDT")
        return "" if found is None else found.instrument.price_tick

    running = asyncio.create_task(markets.run())
    try:
        async with Venue("0.01") as first, Venue("0.1") as second:
            directory.ports.put_nowait(first.port)
            first.batches.put_nowait(quotes(1, ("BTCUSDT", 100, 101)))
            await until(lambda: bid() == Decimal(1) and tick() == "0.01")
            # Prices may change unseen until the stream is there again.
            first.batches.put_nowait(None)
            await until(lambda: bid() is None)
            assert tick() == "0.01"
            first.batches.put_nowait(quotes(9, ("BTCUSDT", 200, 201)))
            await until(lambda: bid() == Decimal(2))
            directory.ports.put_nowait(second.port)
            await until(lambda: bid() is None and tick() == "0.1")
            second.batches.put_nowait(quotes(1, ("BTCUSDT", 300, 301), epoch=2))
            await until(lambda: bid() == Decimal(3))
    finally:
        running.cancel()
        await asyncio.wait([running])
