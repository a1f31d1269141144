"""Common to the examples: arguments, environment and Ctrl-C."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

import grpc
from venuemesh_client import Client

Example = Callable[[Client, str, str], Awaitable[None]]


def run(example: Example) -> None:
    """Run an example with the venue and the symbol of the command line. The gateway is
    VENUEMESH_GATEWAY, by default that of a mesh on this machine; the token is VENUEMESH_TOKEN."""
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} VENUE SYMBOL")
    try:
        asyncio.run(_run(example, *sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(1)
    except grpc.aio.AioRpcError as error:
        sys.exit(error.details())
    except ValueError as error:
        sys.exit(str(error))


async def _run(example: Example, venue: str, symbol: str) -> None:
    gateway = os.environ.get("VENUEMESH_GATEWAY", "127.0.0.1:8081")
    async with Client(gateway, os.environ.get("VENUEMESH_TOKEN", "")) as client:
        await example(client, venue, symbol)
