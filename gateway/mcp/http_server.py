"""The socket of the HTTP server, which is served once somebody connects.

A mesh that no model uses has neither the SDK in memory nor its import at start. Who connects first
waits for it, in the queue of the socket.
"""

import asyncio
import importlib
import socket
from typing import Any

from kit.base import telemetry
from kit.base.errors import SettingError

MODULE = "gateway.mcp.protocol_server"
QUEUE = 512

_log = telemetry.logger("mcp")


def listen(host: str, port: int) -> socket.socket:
    """Raises SettingError if the port is in use."""
    try:
        listening = socket.create_server((host, port), backlog=QUEUE)
    except OSError:
        allowed = "is in use; stop what uses it or change it"
        raise SettingError("mcp.http_port", port, allowed) from None
    listening.setblocking(False)
    return listening


async def first_connection(listening: socket.socket) -> None:
    """Return when somebody connects, without accepting it."""
    loop, arrived = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(listening, arrived.set)
    try:
        await arrived.wait()
    finally:
        loop.remove_reader(listening)


async def load() -> Any:
    """The module of the server, imported beside the event loop, which goes on with heartbeats."""
    _log.info("loading")
    return await asyncio.to_thread(importlib.import_module, MODULE)
