"""Latency of a cancel while questions and backfill use up their share of the request budget.

For each venue: its execution client and its history, with the budgets of a venue process, in this
process, and the simulated exchange in another. A relay between the two holds every answer back for
ANSWER_DELAY_S and records when the bytes of a cancel arrive. Callers ask for balances, fills and
past candles, each again as soon as it has its answer. The cancelled orders do not exist, which
changes nothing on the way to the venue.
"""

import asyncio
import os
import random
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from benchmarks.options import Options
from benchmarks.orders_relay import Relay
from benchmarks.processes import measured_port, spawned
from benchmarks.report import Figure, Report
from benchmarks.venues import VENUES
from kit.base.errors import VenuemeshError
from kit.connector.contract.discovery import require
from kit.connector.contract.venue import Environment, Venue
from kit.connector.orders.execution_client import CcxtExecutionClient
from kit.execution.contract import Credentials, OrderKey, Transport
from kit.simulator import demo_accounts

ACCOUNT = "demo"
CANCELS = 30
CALLERS = 20
ANSWER_DELAY_S = 0.25
READY_SECONDS_MAX = 60.0
ARRIVAL_SECONDS_MAX = 60.0
LOOK_AGAIN_SECONDS = 0.2
FIRST_VENUE_ORDER_ID = 9 * 10**17
TRANSPORTS: tuple[Transport, ...] = ("websocket", "rest")
PERCENTILES = {50: "", 99: "under 200"}


def run(options: Options) -> Report:
    """Percentiles, ms."""
    runs = [uvloop.run(_run()) for _ in range(options.runs)]
    figures = [
        Figure(
            f"{name}: p{number}",
            "ms",
            [float(np.percentile(found[name], number)) for found in runs],
            target,
        )
        for name in runs[0]
        for number, target in PERCENTILES.items()
    ]
    note = f"{CANCELS} cancels a run and way, answers of the venue after {ANSWER_DELAY_S} s"
    return Report("cancels: call to bytes on the venue's socket, under load", figures, [note])


async def _run() -> dict[str, list[float]]:
    folder = Path(tempfile.mkdtemp(prefix="venuemesh-bench-"))
    exchange_port, relay_port = measured_port(), measured_port()
    url = f"http://127.0.0.1:{relay_port}"
    environment = {
        **os.environ,
        "VENUEMESH_DATA_DIR": str(folder),
        "VENUEMESH_WORLD": "simulate",
        "VENUEMESH_REGISTRY": "127.0.0.1:1",
        "VENUEMESH_SIMULATOR_PORT": str(exchange_port),
        "VENUEMESH_SIMULATOR_URL": url,
    }
    try:
        async with (
            Relay(exchange_port, relay_port, ANSWER_DELAY_S) as relay,
            spawned(["ops.cli", "run", "simulator"], environment),
        ):
            return {
                f"{venue_id}, {transport}": await _measure(venue_id, transport, url, relay)
                for venue_id in VENUES
                for transport in TRANSPORTS
            }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _measure(venue_id: str, transport: Transport, url: str, relay: Relay) -> list[float]:
    place = Environment("simulate", url, transport=transport, limits_requests=True)
    venue = require(venue_id)(place)
    symbol = await _first_symbol(venue)
    ages = []
    pauses = random.Random(venue_id)
    async with _client(venue) as client, _load(venue, client, symbol):
        for number in range(CANCELS):
            # On average one per token: more of them would wait for the venue's rate.
            await asyncio.sleep(pauses.uniform(0.5, 1.5) / venue.limits.orders_per_second)
            order_id = str(FIRST_VENUE_ORDER_ID + time.time_ns() % 10**17)
            key = OrderKey(symbol, f"{time.time_ns():032x}", order_id)
            arrival = relay.expect(key.client_order_id.encode(), order_id.encode())
            started = time.perf_counter()
            cancelling = asyncio.create_task(client.cancel(key))
            waited: set[asyncio.Future[Any]] = {cancelling, arrival}
            await asyncio.wait(
                waited,
                timeout=ARRIVAL_SECONDS_MAX,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not arrival.done():
                raise ValueError(f"{venue_id}: cancel {number} was not sent")
            ages.append((arrival.result() - started) * 1e3)
            await cancelling
    return ages


@asynccontextmanager
async def _client(venue: Venue) -> AsyncIterator[CcxtExecutionClient]:
    """The execution client of a venue, with its own share of the venue's budget, connected."""
    secrets = demo_accounts.credentials(venue.venue_id, ACCOUNT)
    assert secrets is not None
    assert venue.execution_client is not None
    assert venue.request_budget is not None
    limits = venue.limits
    budget = venue.request_budget.sibling(limits.orders_per_second, limits.orders_at_once)
    client: Any = venue.execution_client(Credentials(ACCOUNT, secrets), budget)
    following = asyncio.create_task(_follow(client))
    try:
        if client.socket is not None:
            await asyncio.wait_for(client.socket.ready.wait(), READY_SECONDS_MAX)
        await client.open_orders()
        yield client
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await client.close()
        await venue.history.close()


@asynccontextmanager
async def _load(venue: Venue, client: CcxtExecutionClient, symbol: str) -> AsyncIterator[None]:
    """Callers that use up what the request budgets grant to questions and backfill."""
    calls: list[Callable[[], Awaitable[object]]] = [
        client.balances,
        lambda: anext(client.fills(symbol, time.time_ns())),
        lambda: venue.history.candles(symbol, "1m", time.time_ns() - 3600 * 10**9, 10),
        lambda: venue.history.candles(symbol, "1m", time.time_ns() - 7200 * 10**9, 10),
    ]
    callers = [asyncio.create_task(_repeat(call)) for call in calls for _ in range(CALLERS // 2)]
    try:
        yield
    finally:
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)


async def _repeat(call: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await call()
        except VenuemeshError:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)


async def _follow(client: CcxtExecutionClient) -> None:
    async for _ in client.follow():
        pass


async def _first_symbol(venue: Venue) -> str:
    ends = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < ends:
        try:
            return (await venue.history.instruments())[0].symbol
        except VenuemeshError:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
    raise ValueError(f"{venue.venue_id}: no instruments")
