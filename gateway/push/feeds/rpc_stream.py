"""The streams of other processes, each opened and cancelled in the same way."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

import grpc

from kit.base.service_channels import ServiceChannels

START_SECONDS_MAX = 5.0
"""How long a process that serves the stream is waited for."""

Response = TypeVar("Response")
ResponseOut = TypeVar("ResponseOut", covariant=True)


class StreamCall(Protocol[ResponseOut]):
    """A stream of responses."""

    def __aiter__(self) -> AsyncIterator[ResponseOut]: ...

    def cancel(self) -> bool: ...


@asynccontextmanager
async def rpc_stream(
    channels: ServiceChannels,
    service: str,
    call: Callable[[grpc.aio.Channel], StreamCall[Response]],
) -> AsyncGenerator[AsyncIterator[Response], None]:
    """The responses of a call at a process of a service, until the context ends. Raises
    UnknownService."""
    running = call(await channels.channel(service, START_SECONDS_MAX))
    try:
        yield aiter(running)
    finally:
        running.cancel()
