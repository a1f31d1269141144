"""An order's way: from a client's call of PlaceOrder to bytes on the venue's socket.

A venue's process takes orders over gRPC as in a mesh, with its journal on this machine's disk. The
exchange is a pretended one; between the two stands a relay in the client's own process, which notes
by the same clock when the bytes of an order come from the venue's process. Orders rest far from the
market, come one after another at half the pace that the venue allows, and are cancelled at the end.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Self

import grpc
import numpy as np
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.tradeflow.v1 import orders_pb2, trade_flow_pb2, trade_flow_pb2_grpc

from benchmarks.options import Options
from benchmarks.processes import measured_port, spawned
from benchmarks.report import Figure, Report
from kit import rpc
from kit.orders.keys import development_signer
from kit.venue.contract import Place
from kit.venue.discovery import require

VENUE, SYMBOL, ACCOUNT = "binance", "BTCUSDT", "demo"
ORDER_MARK = b"POST /binance/api/v3/order"
ORDERS = 200
WARM_UP = 20
SIZE = "0.01"
TICK = Decimal("0.01")
READY_SECONDS_MAX = 60.0
LOOK_AGAIN_SECONDS = 0.2
APPROVED_NS = 60 * 10**9


def run(options: Options) -> Report:
    """Percentiles, ms."""
    found = [asyncio.run(_run()) for _ in range(options.runs)]
    to_socket, answered = ([one[part] for one in found] for part in (0, 1))
    figures = [
        Figure("p50, call to venue's socket", "ms", _percentiles(to_socket, 50), "under 1.5"),
        Figure("p99, call to venue's socket", "ms", _percentiles(to_socket, 99), "under 5"),
        Figure("p50, call to answer", "ms", _percentiles(answered, 50)),
        Figure("p99, call to answer", "ms", _percentiles(answered, 99)),
    ]
    note = f"{ORDERS} orders a run, one after another, journal synced before each is sent"
    return Report("orders: PlaceOrder to bytes on the venue's socket", figures, [note])


def _percentiles(runs: list[list[float]], number: int) -> list[float]:
    return [float(np.percentile(ages, number)) for ages in runs]


async def _run() -> tuple[list[float], list[float]]:
    folder = Path(tempfile.mkdtemp(prefix="venuemesh-bench-"))
    exchange_port, relay_port, port = (measured_port() for _ in range(3))
    environment = {
        **os.environ,
        "VENUEMESH_DATA_DIR": str(folder),
        "VENUEMESH_WORLD": "simulate",
        "VENUEMESH_REGISTRY": "127.0.0.1:1",
        "VENUEMESH_SIMULATOR_PORT": str(exchange_port),
        "VENUEMESH_SIMULATOR_URL": f"http://127.0.0.1:{relay_port}",
        f"VENUEMESH_VENUES_{VENUE.upper()}_PORT": str(port),
    }
    try:
        async with (
            _Relay(exchange_port, relay_port) as relay,
            spawned(["ops.cli", "run", "simulator"], environment),
            spawned(["ops.cli", "venue", VENUE], environment),
            rpc.channel(f"127.0.0.1:{port}") as channel,
        ):
            await asyncio.wait_for(channel.channel_ready(), READY_SECONDS_MAX)
            return await _place_all(channel, folder, relay)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _place_all(
    channel: grpc.aio.Channel, folder: Path, relay: "_Relay"
) -> tuple[list[float], list[float]]:
    flow = trade_flow_pb2_grpc.TradeFlowStub(channel)
    price = await _far_price(channel)
    await _ready(flow)
    signer = development_signer(folder)
    pause = 2 / require(VENUE)(Place("simulate", "http://127.0.0.1:1")).limits.orders_per_second
    to_socket: list[float] = []
    answered: list[float] = []
    for number in range(WARM_UP + ORDERS):
        content = orders_pb2.OrderContent(
            venue=VENUE,
            account=ACCOUNT,
            symbol=SYMBOL,
            side=types_pb2.SIDE_BUY,
            type=orders_pb2.ORDER_TYPE_LIMIT,
            size=SIZE,
            price=price,
        )
        approved = signer.approve(content, f"bench-{number}", time.time_ns() + APPROVED_NS)
        request = trade_flow_pb2.PlaceOrderRequest(venue=VENUE, approved=approved)
        started = time.perf_counter()
        order = (await flow.PlaceOrder(request)).order
        ended = time.perf_counter()
        if order.state != orders_pb2.ORDER_STATE_OPEN:
            raise ValueError(f"not open: {order}")
        if number >= WARM_UP:
            to_socket.append((relay.last_order - started) * 1e3)
            answered.append((ended - started) * 1e3)
        await asyncio.sleep(pause)
    await flow.CancelAllOrders(trade_flow_pb2.CancelAllOrdersRequest(venue=VENUE, account=ACCOUNT))
    return to_socket, answered


async def _far_price(channel: grpc.aio.Channel) -> str:
    """Where an order rests."""
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    request = market_data_pb2.GetOrderBookRequest(venue=VENUE, symbol=SYMBOL, depth=1)
    async for _ in _tries():
        try:
            book = await stub.GetOrderBook(request)
        except grpc.aio.AioRpcError:
            continue
        if book.bids:
            return str((Decimal(book.bids[0].price) * Decimal("0.9")).quantize(TICK))
    raise ValueError("no book")


async def _ready(flow: "trade_flow_pb2_grpc.TradeFlowAsyncStub") -> None:
    request = trade_flow_pb2.ListAccountsRequest(venue=VENUE)
    async for _ in _tries():
        accounts = (await flow.ListAccounts(request)).accounts
        if [one.state for one in accounts] == [trade_flow_pb2.ACCOUNT_STATE_READY]:
            return
    raise ValueError("the account is not ready")


async def _tries() -> AsyncIterator[None]:
    for _ in range(round(READY_SECONDS_MAX / LOOK_AGAIN_SECONDS)):
        yield
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


class _Relay:
    """Passes bytes between the venue's process and the exchange."""

    def __init__(self, exchange_port: int, port: int) -> None:
        self.last_order = 0.0
        """When the newest order came, by the performance counter."""
        self._exchange_port = exchange_port
        self._port = port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._exchange_port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(
            self._pass(reader, forth, watched=True), self._pass(back, writer, watched=False)
        )

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, watched: bool
    ) -> None:
        try:
            while data := await reader.read(65_536):
                if watched and ORDER_MARK in data:
                    self.last_order = time.perf_counter()
                writer.write(data)
        except OSError:
            pass
        writer.close()
