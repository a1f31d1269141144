"""Latency of an order: from a client's call of PlaceOrder to bytes on the venue's socket.

A venue's process takes orders over gRPC as in a mesh, with its journal on this machine's disk, once
over the exchange's order websocket and once by REST. The exchange is simulated. A relay between the
two, in the client's process, records the time of an order's bytes with the same clock. Orders rest
far from the market, come one after another at half the pace that the venue allows, and are
cancelled at the end. In the same run bare ccxt places the same orders through the same relay, from
its own call on: without gRPC, approval, checks and journal.
"""

import asyncio
import os
import shutil
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import grpc
import msgspec
import numpy as np
import uvloop
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.tradeflow.v1 import accounts_pb2, orders_pb2, trade_flow_pb2, trade_flow_pb2_grpc

from benchmarks.options import ROOT, Options
from benchmarks.orders_relay import Relay
from benchmarks.processes import measured_port, spawned
from benchmarks.report import Figure, Report
from kit.base import rpc
from kit.connector.contract.discovery import require
from kit.connector.contract.venue import Environment
from kit.execution.approval.keys import INSPECTOR_KEY_ID, inspector_key
from kit.execution.approval.signing import ApprovalSigner, MeshScope
from kit.simulator import demo_accounts

VENUE, SYMBOL, ACCOUNT = "binance", "BTCUSDT", "demo"
ORDERS = 60
WARM_UP = 10
SIZE = "0.01"
TICK = Decimal("0.01")
READY_SECONDS_MAX = 60.0
LOOK_AGAIN_SECONDS = 0.2
APPROVED_NS = 60 * 10**9
PEER = ROOT / "benchmarks" / "peers" / "ccxt_orders.py"
METHODS = {"websocket": "createOrderWs", "rest": "createOrder"}
"""Methods of bare ccxt, by transport."""
TARGETS = {50: "under 1.5", 99: "under 5"}


@dataclass(frozen=True, slots=True)
class Ages:
    """Times of the orders of one run over one transport, ms."""

    to_socket: list[float]
    """Time from the call to the venue's socket."""
    answered: list[float]
    """Time from the call to its answer."""
    bare: list[float]
    """Time from ccxt's call to the venue's socket."""


def run(options: Options) -> Report:
    """Percentiles, ms."""
    # Whoever approves orders is a process of the mesh, and those run so.
    runs = [uvloop.run(_run()) for _ in range(options.runs)]
    figures = []
    for transport, method in METHODS.items():
        ages = [found[transport] for found in runs]
        for number, target in TARGETS.items():
            name = f"{transport}: p{number}, "
            ours = [one.to_socket for one in ages]
            whole, bare = [one.answered for one in ages], [one.bare for one in ages]
            figures += [
                _figure(f"{name}call to venue's socket", ours, number, target),
                _figure(f"{name}call to answer", whole, number),
                _figure(f"{name}bare ccxt, {method} to venue's socket", bare, number),
            ]
    note = f"{ORDERS} orders a run and way, one after another, journal synced before each is sent"
    return Report("orders: PlaceOrder to bytes on the venue's socket", figures, [note])


def _figure(name: str, runs: list[list[float]], number: int, target: str = "") -> Figure:
    return Figure(name, "ms", [float(np.percentile(ages, number)) for ages in runs], target)


async def _run() -> dict[str, Ages]:
    folder = Path(tempfile.mkdtemp(prefix="venuemesh-bench-"))
    exchange_port, relay_port = measured_port(), measured_port()
    environment = {
        **os.environ,
        "VENUEMESH_DATA_DIR": str(folder),
        "VENUEMESH_WORLD": "simulate",
        "VENUEMESH_REGISTRY": "127.0.0.1:1",
        "VENUEMESH_SIMULATOR_PORT": str(exchange_port),
        "VENUEMESH_SIMULATOR_URL": f"http://127.0.0.1:{relay_port}",
    }
    try:
        async with (
            Relay(exchange_port, relay_port) as relay,
            spawned(["ops.cli", "run", "simulator"], environment),
        ):
            return {
                transport: await _measure(transport, folder, environment, relay)
                for transport in METHODS
            }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _measure(transport: str, folder: Path, environment: dict[str, str], relay: Relay) -> Ages:
    port = measured_port()
    own = {
        **environment,
        "VENUEMESH_ORDERS_TRANSPORT": transport,
        f"VENUEMESH_VENUES_{VENUE.upper()}_PORT": str(port),
    }
    came = relay.socket if transport == "websocket" else relay.rest
    async with (
        spawned(["ops.cli", "venue", VENUE], own),
        rpc.channel(f"127.0.0.1:{port}") as channel,
    ):
        await asyncio.wait_for(channel.channel_ready(), READY_SECONDS_MAX)
        price = await _far_price(channel)
        to_socket, answered = await _place_all(channel, folder, came, transport, price)
    bare = await _place_bare(environment["VENUEMESH_SIMULATOR_URL"], transport, came, price)
    return Ages(to_socket, answered, bare)


async def _place_all(
    channel: grpc.aio.Channel, folder: Path, came: list[float], transport: str, price: str
) -> tuple[list[float], list[float]]:
    flow = trade_flow_pb2_grpc.TradeFlowStub(channel)
    await _ready(flow)
    scope, key = MeshScope("local", "simulate"), inspector_key(folder)
    signer = ApprovalSigner(INSPECTOR_KEY_ID, key, 1, scope)
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
        request_id = f"bench-{transport}-{number}"
        approved = signer.approve(content, request_id, time.time_ns() + APPROVED_NS)
        request = trade_flow_pb2.PlaceOrderRequest(venue=VENUE, approved=approved)
        before = len(came)
        started = time.perf_counter()
        order = (await flow.PlaceOrder(request)).order
        ended = time.perf_counter()
        if order.state != orders_pb2.ORDER_STATE_OPEN:
            raise ValueError(f"not open: {order}")
        if number >= WARM_UP:
            if len(came) != before + 1:
                raise ValueError(f"not one order came by {transport}")
            to_socket.append((came[-1] - started) * 1e3)
            answered.append((ended - started) * 1e3)
        await asyncio.sleep(_pause_s())
    await flow.CancelAllOrders(trade_flow_pb2.CancelAllOrdersRequest(venue=VENUE, account=ACCOUNT))
    return to_socket, answered


async def _place_bare(url: str, transport: str, came: list[float], price: str) -> list[float]:
    """The same with ccxt alone, in a separate process."""
    secrets = demo_accounts.credentials(VENUE, ACCOUNT)
    assert secrets is not None
    job = {
        "url": f"{url}/{VENUE}",
        "key": secrets["apiKey"],
        "secret": secrets["secret"],
        "method": METHODS[transport],
        "price": float(price),
        "size": float(SIZE),
        "pause_s": _pause_s(),
        "count": WARM_UP + ORDERS,
    }
    before = len(came)
    words = [sys.executable, str(PEER), msgspec.json.encode(job).decode()]
    process = await asyncio.create_subprocess_exec(*words, stdout=PIPE)
    printed, _ = await process.communicate()
    if process.returncode:
        raise ValueError("ccxt did not place its orders")
    pairs = zip(msgspec.json.decode(printed), came[before:], strict=True)
    return [(arrived - started) * 1e3 for started, arrived in pairs][WARM_UP:]


def _pause_s() -> float:
    """Half the pace that the venue allows."""
    limits = require(VENUE)(Environment("simulate", "http://127.0.0.1:1")).limits
    return 2 / limits.orders_per_second


async def _far_price(channel: grpc.aio.Channel) -> str:
    """The price of a resting order."""
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
    request = accounts_pb2.ListAccountsRequest(venue=VENUE)
    async for _ in _tries():
        accounts = (await flow.ListAccounts(request)).accounts
        if [one.state for one in accounts] == [accounts_pb2.ACCOUNT_STATE_READY]:
            return
    raise ValueError("the account is not ready")


async def _tries() -> AsyncIterator[None]:
    for _ in range(round(READY_SECONDS_MAX / LOOK_AGAIN_SECONDS)):
        yield
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
