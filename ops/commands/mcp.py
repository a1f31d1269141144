"""``./venuemesh mcp``: the tools of a mesh for a program that starts its servers itself.

Such a program, often on a desktop, writes messages to the standard input of this command and reads
the answers from its standard output.
"""

import argparse
import asyncio
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable

from kit.base.access.local_tokens import model_token
from kit.base.access.roles import Role
from ops import gateway
from ops.gateway import LOCAL_TOKEN_VALID_S, Gateway
from ops.mcp.bridge import Bridge

TOKEN_USED_S = 3_600.0
LINE_BYTES_MAX = 4 * 1024 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    gateway.add_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    """Return 0 when the input has ended."""
    found = gateway.require(chosen)
    is_named = bool(chosen.token or chosen.token_file)
    token = (lambda: found.token) if is_named else token_source(found)
    bridge = Bridge(found.url, token, _write)
    asyncio.run(bridge.run(_lines(), _tls(found)))
    return 0


def token_source(found: Gateway) -> Callable[[], str]:
    """What the calls show: on this machine a token that only reads, whatever the user could make.
    It is made again each hour."""
    data, local = found.data, found.local
    if data is None or local is None or not found.token:
        return lambda: found.token
    made, made_s = "", 0.0

    def token() -> str:
        nonlocal made, made_s
        if not made or time.monotonic() - made_s > TOKEN_USED_S:
            made = model_token(data, local.mesh_id, (Role.VIEWER,), LOCAL_TOKEN_VALID_S)
            made_s = time.monotonic()
        return made

    return token


def _write(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


async def _lines() -> AsyncIterator[bytes]:
    reader = asyncio.StreamReader(LINE_BYTES_MAX)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line


def _tls(found: Gateway) -> ssl.SSLContext | None:
    return ssl.create_default_context(cafile=found.ca_file) if found.ca_file else None
