"""A whole venue process: 200 symbols at 20,000 events/s, from its socket to its gRPC server.

A simulated exchange in a separate process runs 200 markets. The venue's process subscribes to all
of them, maintains and proves their books, and one reader gets every batch. Measured are the
processor time of the venue's process with all its threads, and its unshared memory.
"""

import asyncio
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.wire.v1 import wire_pb2

from benchmarks.crowd import SYMBOLS, VENUE, instruments
from benchmarks.options import Options
from benchmarks.processes import family_cpu_seconds, family_megabytes, measured_port, spawned
from benchmarks.report import Figure, Report
from kit.base import rpc
from kit.base.clock import SystemClock
from kit.simulator.app import Simulator
from kit.simulator.dialect import Dialect, find_dialects
from kit.simulator.settings import SimulatorSettings

MARKET_EVENTS_PER_SECOND = 16_000
"""Trades and changes of best prices; with the updates of books 20,000 messages come of it."""
CHANNELS = (types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_QUOTES, types_pb2.CHANNEL_BOOK)
PROVEN_SECONDS_MAX = 400.0
"""Each book takes one call, and the venue allows two a second."""
LOOK_AGAIN_SECONDS = 3.0
SECONDS = 15.0
WAIT_SECONDS = 60
_SUBSCRIBE = market_data_pb2.DESCRIPTOR.services_by_name["MarketData"].methods_by_name["Subscribe"]


def run(options: Options) -> Report:
    """Events per second, share of a core, memory."""
    found = [asyncio.run(_run()) for _ in range(options.runs)]
    rates, shares, megabytes, proven = map(list, zip(*found, strict=True))
    figures = [
        Figure("events over the socket", "events/s", rates, "about 20,000"),
        Figure("share of a core", "%", shares, "under 100"),
        Figure("memory of the process", "MB", megabytes, "under 200"),
        Figure("until all books are proven", "s", proven),
    ]
    return Report("busy: 200 symbols, one venue process over socket and gRPC", figures)


async def _run() -> tuple[float, float, float, float]:
    folder = Path(tempfile.mkdtemp(prefix="venuemesh-bench-"))
    exchange_port, port = measured_port(), measured_port()
    environment = {
        **os.environ,
        "VENUEMESH_DATA_DIR": str(folder),
        "VENUEMESH_WORLD": "simulate",
        "VENUEMESH_REGISTRY": "127.0.0.1:1",
        "VENUEMESH_SIMULATOR_URL": f"http://127.0.0.1:{exchange_port}",
        f"VENUEMESH_VENUES_{VENUE.upper()}_PORT": str(port),
    }
    try:
        async with (
            spawned(["benchmarks.busy", str(exchange_port)], environment),
            spawned(["ops.cli", "venue", VENUE], environment) as venue,
            rpc.channel(f"127.0.0.1:{port}") as channel,
        ):
            await asyncio.wait_for(channel.channel_ready(), WAIT_SECONDS)
            return await _measure(channel, venue.pid)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _measure(channel: grpc.aio.Channel, pid: int) -> tuple[float, float, float, float]:
    reader = _Reader()
    reading = asyncio.create_task(reader.read(channel))
    try:
        began = time.perf_counter()
        while await _proven(channel) < SYMBOLS:
            if time.perf_counter() - began > PROVEN_SECONDS_MAX:
                raise ValueError(f"not all books are proven after {PROVEN_SECONDS_MAX} s")
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        proven_s = time.perf_counter() - began
        started, rows, used = time.perf_counter(), reader.rows, family_cpu_seconds(pid)
        await asyncio.sleep(SECONDS)
        seconds = time.perf_counter() - started
        rate = (reader.rows - rows) / seconds
        share = 100 * (family_cpu_seconds(pid) - used) / seconds
        return rate, share, family_megabytes(pid), proven_s
    finally:
        reading.cancel()


class _Reader:
    """Takes every batch, and counts."""

    def __init__(self) -> None:
        self.rows = 0

    async def read(self, channel: grpc.aio.Channel) -> None:
        request = market_data_pb2.SubscribeRequest(
            venue=VENUE, channels=CHANNELS, start_at=market_data_pb2.START_AT_EARLIEST
        )
        async for response in rpc.raw_stream(channel, _SUBSCRIBE)(request):
            self.rows += sum(map(_rows, wire_pb2.BatchFrames.FromString(response).batches))


async def _proven(channel: grpc.aio.Channel) -> int:
    """Number of proven books; 0 before the start of the venue."""
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    try:
        listed = await stub.ListInstruments(market_data_pb2.ListInstrumentsRequest(venue=VENUE))
        states = [
            await stub.GetOrderBook(
                market_data_pb2.GetOrderBookRequest(venue=VENUE, symbol=one.symbol, depth=1)
            )
            for one in listed.instruments
        ]
    except grpc.aio.AioRpcError:
        return 0
    return sum(one.state == market_data_pb2.BOOK_STATE_PROVEN for one in states)


def _rows(batch: bytes) -> int:
    header = wire_pb2.BatchHeader.FromString(batch)
    kind = header.WhichOneof("columns")
    return len(getattr(header, kind).instrument) if kind else 0


def _crowded() -> Dialect:
    """The venue's dialect with 200 other markets."""
    dialect = find_dialects()[VENUE]()
    dialect.instruments = instruments(dialect.instruments[0])
    return dialect


async def exchange(port: int) -> None:
    """The simulated exchange, until it is killed."""
    chosen = SimulatorSettings(port=port, events_per_second=MARKET_EVENTS_PER_SECOND)
    simulator = Simulator("simulate", chosen, {VENUE: _crowded}, SystemClock())
    await simulator.start("127.0.0.1")
    await simulator.run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(exchange(int(sys.argv[1])))
