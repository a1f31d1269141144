"""Calls of tools through the door for models: rate on one core, and memory over many calls.

The process ``mcp`` and its client are two processes; a server in that of the client answers in
place of the gateway, with a page of trades. Calls run side by side, without a handshake. The rate
is per processor time of ``mcp``: what its client needs does not count.
"""

import asyncio
import os
import shutil
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import uvloop
from aiohttp import web
from aiohttp.test_utils import TestServer

from benchmarks.options import Options
from benchmarks.processes import (
    family_cpu_seconds,
    family_megabytes,
    measured_port,
    spawned,
)
from benchmarks.report import Figure, Report

CALLS = 10_000
WARM_UP_CALLS = 1_000
CALLERS = 8
ROWS = 50
READY_SECONDS_MAX = 60.0
LOOK_AGAIN_SECONDS = 0.1
HTTP_OK = 200
VERSION = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientCapabilities": {},
}
TOOL = "history_list_trades"
HEADERS = {
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": VERSION,
    "mcp-method": "tools/call",
    "mcp-name": TOOL,
}
ARGUMENTS = {"venue": "binance", "symbol": "BTCUSDT", "start_time": "-1h"}
TRADES = [
    {
        "trade_id": str(number),
        "price": "58281.61",
        "size": "0.00479",
        "side": "SIDE_BUY",
        "venue_time_ns": str(1_795_550_545_348_000_000 + number),
        "received_time_ns": str(1_795_550_545_678_029_077 + number),
    }
    for number in range(ROWS)
]

Figures = dict[str, float]


def run(options: Options) -> Report:
    """Calls per second of processor time, and MiB."""
    runs = [uvloop.run(_run()) for _ in range(options.runs)]
    figures = [
        Figure("calls on one core", "calls/s", [one["rate"] for one in runs], "at least 300"),
        Figure("calls with the client", "calls/s", [one["wall_rate"] for one in runs]),
        Figure("memory after the calls", "MiB", [one["memory"] for one in runs]),
        Figure(f"growth over {CALLS} calls", "MiB", [one["growth"] for one in runs], "under 2"),
    ]
    note = f"{CALLS} calls of {TOOL}, {ROWS} rows each, {CALLERS} at a time"
    return Report("mcp: calls of tools", figures, [note])


async def _run() -> Figures:
    folder = Path(tempfile.mkdtemp(prefix="venuemesh-bench-"))
    port, http_port = measured_port(), measured_port()
    application = web.Application()
    application.router.add_get("/v1/{path:.*}", _page)
    try:
        async with TestServer(application) as gateway:
            environment = {
                **os.environ,
                "VENUEMESH_DATA_DIR": str(folder),
                "VENUEMESH_REGISTRY": "127.0.0.1:1",
                "VENUEMESH_MCP_PORT": str(port),
                "VENUEMESH_MCP_HTTP_PORT": str(http_port),
                "VENUEMESH_MCP_GATEWAY": f"http://127.0.0.1:{gateway.port}",
            }
            async with spawned(["ops.cli", "run", "mcp"], environment) as process:
                return await _measure(process.pid, f"http://127.0.0.1:{http_port}/mcp")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _page(request: web.Request) -> web.Response:
    return web.json_response({"trades": TRADES, "next_page_token": "more"})


async def _measure(pid: int, url: str) -> Figures:
    async with aiohttp.ClientSession(headers=HEADERS) as client:
        await _until_served(client, url)
        await _call_many(client, url, WARM_UP_CALLS)
        memory, used_s, started_s = family_megabytes(pid), family_cpu_seconds(pid), time.monotonic()
        await _call_many(client, url, CALLS)
        wall_s = time.monotonic() - started_s
        used_s = family_cpu_seconds(pid) - used_s
        after = family_megabytes(pid)
    return {
        "rate": CALLS / used_s,
        "wall_rate": CALLS / wall_s,
        "memory": after,
        "growth": after - memory,
    }


async def _call_many(client: aiohttp.ClientSession, url: str, calls: int) -> None:
    numbers = count()

    async def caller() -> None:
        while next(numbers) < calls:
            result = await _call(client, url)
            rows = result["structuredContent"]["answer"]["trades"]["rows"]
            assert len(rows) == ROWS, result

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def _call(client: aiohttp.ClientSession, url: str) -> Any:
    params = {"name": TOOL, "arguments": ARGUMENTS, "_meta": META}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    async with client.post(url, data=msgspec.json.encode(message)) as response:
        assert response.status == HTTP_OK, await response.text()
        return msgspec.json.decode(await response.read())["result"]


async def _until_served(client: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(READY_SECONDS_MAX):
        while True:
            try:
                await _call(client, url)
                return
            except aiohttp.ClientError:
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
