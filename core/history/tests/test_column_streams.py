"""Read and ReadBars over gRPC, as the process serves them."""

import asyncio

import grpc
import numpy as np
import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2, history_pb2_grpc

from conftest import free_port
from core.history.book_store import HistoricalBookStore
from core.history.column_responses import ColumnResponses
from core.history.coverage_store import CoverageStore
from core.history.list_store import ListStore
from core.history.service import HistoryServicer
from core.history.tests.recorded import (
    START_NS,
    SYMBOL,
    VENUE,
    Bar,
    Trade,
    record_bars,
    record_trades,
)
from kit.base import errors, rpc
from kit.base.database import Database
from kit.marketdata.model.batches import Batch
from kit.storage.archive import codec
from kit.storage.archive.archive import Archive
from tests.support.waiting import WAIT_SECONDS_MAX

READERS_MAX = 1


@pytest.fixture
async def database(postgres_url):
    database = Database(postgres_url)
    yield database
    await database.close()


@pytest.fixture
async def reading(postgres_url, database):
    archive = Archive(postgres_url)
    yield ColumnResponses(archive, database, READERS_MAX)
    await archive.close()


@pytest.fixture
async def stub(database, reading):
    servicer = HistoryServicer(
        ListStore(database), HistoricalBookStore(database), CoverageStore(database), reading, None
    )
    server = rpc.server()
    service = history_pb2.DESCRIPTOR.services_by_name["History"]
    rpc.serve(server, service, servicer, raw=("Read", "ReadBars"))
    address = f"127.0.0.1:{free_port()}"
    server.add_insecure_port(address)
    await server.start()
    async with rpc.channel(address) as channel:
        yield history_pb2_grpc.HistoryStub(channel)
    await server.stop(None)


def asked(**fields):
    fields = {"venue": VENUE, "channel": types_pb2.CHANNEL_TRADES, **fields}
    return history_pb2.ReadRequest(**fields)


async def reason(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in call:
            pass
    return errors.reason_of(caught.value)


async def test_trades_come_in_batches(database, stub):
    trades = [Trade(number, venue_time_ns=START_NS + number) for number in range(1, 30)]
    await record_trades(database, trades)
    batches = [batch async for answer in stub.Read(asked()) for batch in answer.batches]
    ids = [trade_id for batch in batches for trade_id in batch.trades.trade_id]
    assert ids == list(range(1, 30))
    assert batches[0].venue == VENUE
    assert (batches[0].cursor.epoch, batches[0].cursor.sequence) == (1, 1)


async def test_bars_come_in_columns(database, stub):
    await record_trades(database, [Trade(1)])
    await record_bars(database, [Bar("1m", number * 60) for number in range(1, 9)])
    request = history_pb2.ReadBarsRequest(venue=VENUE, symbol=SYMBOL, interval="1m")
    request.range.start_time_ns, request.range.end_time_ns = 120, 360
    (answer,) = [answer async for answer in stub.ReadBars(request)]
    assert list(answer.bars.open_time_ns) == [120, 180, 240, 300]
    close = answer.bars.close[0] / 10**answer.bars.price_scale
    assert close == 1.7


async def test_invalid_requests_are_rejected(database, stub):
    await record_trades(database, [Trade(1)])
    backwards = history_pb2.TimeRange(start_time_ns=2, end_time_ns=1)
    for request, expected in (
        (asked(channel=0), "BAD_REQUEST"),
        (asked(channel=types_pb2.CHANNEL_REPAIRS), "BAD_REQUEST"),
        (asked(range=backwards), "BAD_REQUEST"),
        (asked(venue="kraken"), "UNKNOWN_VENUE"),
        (asked(venue="\0"), "UNKNOWN_INSTRUMENT"),
        (asked(symbols=["NONE"]), "UNKNOWN_INSTRUMENT"),
        (asked(channel=types_pb2.CHANNEL_FRAMES, symbols=[SYMBOL]), "BAD_REQUEST"),
        (asked(channel=types_pb2.CHANNEL_FRAMES, venue="kraken"), "UNKNOWN_SERVICE"),
    ):
        assert await reason(stub.Read(request)) == expected
    bars = {"venue": VENUE, "symbol": SYMBOL, "interval": "1m"}
    for fields, expected in (
        ({"interval": "7m"}, "BAD_REQUEST"),
        ({"as_of_time_ns": -1}, "BAD_REQUEST"),
        ({"symbol": "NONE"}, "UNKNOWN_INSTRUMENT"),
    ):
        request = history_pb2.ReadBarsRequest(**bars | fields)
        assert await reason(stub.ReadBars(request)) == expected


@pytest.mark.parametrize(("start", "end"), [(0, 0), (0, 9), (3, 12), (17, 0), (4, 5)])
async def test_frames_are_read_in_the_order_of_receipt(database, stub, start, end):
    times = list(range(1, 21))
    await record_trades(database, [Trade(1)])
    async with database.transaction() as connection:
        for sequence, some in enumerate(np.array_split(times, 7), 1):
            batch = Batch(venue=VENUE, channel=types_pb2.CHANNEL_FRAMES)
            batch.instruments.add()
            for time_ns in some.tolist():
                batch.frames.instrument.append(0)
                batch.frames.frame.append(b"%d" % time_ns)
                batch.frames.connection.append(1)
                batch.frames.received_time_ns.append(time_ns)
            kind, data = codec.pack(batch.SerializeToString())
            await connection.execute(
                "INSERT INTO frame_rows (venue, epoch, sequence, first_received_time_ns,"
                " last_received_time_ns, frame_count, codec, batch)"
                " VALUES (%s, 1, %s, %s, %s, %s, %s, %s)",
                [VENUE, sequence, int(some[0]), int(some[-1]), len(some), int(kind), data],
            )
    span = history_pb2.TimeRange(start_time_ns=start, end_time_ns=end)
    call = stub.Read(asked(channel=types_pb2.CHANNEL_FRAMES, range=span))
    batches = [batch async for answer in call for batch in answer.batches]
    found = [
        pair
        for batch in batches
        for pair in zip(batch.frames.frame, batch.frames.received_time_ns, strict=True)
    ]
    assert found == [(b"%d" % t, t) for t in times if start <= t < (end or 99)]
    assert [batch.cursor.sequence for batch in batches] == list(range(1, len(batches) + 1))


async def test_an_empty_range_has_nothing(database, stub):
    await record_trades(database, [Trade(1)])
    empty = history_pb2.TimeRange(start_time_ns=START_NS, end_time_ns=START_NS)
    assert [answer async for answer in stub.Read(asked(range=empty))] == []


async def test_reader_that_leaves_frees_a_slot(database, reading):
    await record_trades(database, [Trade(number) for number in range(1, 5)])
    first = reading.batches(asked())
    assert await anext(first)
    with pytest.raises(errors.TooManySubscribers):
        await anext(reading.batches(asked()))
    await first.aclose()
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        assert [message async for message in reading.batches(asked())]
