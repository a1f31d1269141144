"""The example of the documentation in Python, run as it stands there."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE

from gateway.push.updates import Update
from gateway.service_contracts import ROOT
from kit.base.access.roles import Role
from tests.support.waiting import WAIT_SECONDS_MAX, until

LINES_MAX = 20
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
ADDRESS = "http://127.0.0.1:8081/ws"
DOCUMENT = (ROOT / "docs" / "WEBSOCKET.md").read_text()


def example(language):
    """The only program in a language."""
    (found,) = [text for name, text in BLOCK.findall(DOCUMENT) if name == language]
    assert len(found.splitlines()) <= LINES_MAX
    return found


def trade(number):
    row = {"symbol": "BTCUSDT", "price": f"{number}.5", "size": "0.1"}
    return Update([row], "BTCUSDT", (1, number))


async def test_the_example_in_python_prints_trades_and_resumes(websockets):
    program = example("python")
    assert ADDRESS in program
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-u", "-c", program.replace(ADDRESS, websockets.url)),
        env={**os.environ, "VENUEMESH_TOKEN": websockets.token(Role.VIEWER)[0]},
        stdout=PIPE,
    )
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await until(lambda: websockets.feeds.opened)
            feed = websockets.feeds.opened[0]
            feed.put(trade(1))
            assert await process.stdout.readline() == b"1.5 0.1\n"
            # It connects again, and continues after its cursor.
            for connection in tuple(websockets.server._connections):
                connection._transport.disconnect()
            feed.put(trade(2))
            assert await process.stdout.readline() == b"2.5 0.1\n"
    finally:
        process.kill()
        await process.wait()


def test_the_example_for_a_page_is_short():
    assert "new WebSocket" in example("js")
