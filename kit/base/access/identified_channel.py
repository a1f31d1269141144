"""A gRPC channel whose calls show who makes them, and for which request.

An interceptor would do it too, but passes each message of a stream through one more generator.
"""

from collections.abc import Sequence
from typing import Any, Self

import grpc

from kit.base.access.credentials import CredentialSource
from kit.base.request_id import REQUEST_ID, current_request_id
from kit.base.tracing import spans

Metadata = Sequence[tuple[str, str | bytes]]


class IdentifiedChannel(grpc.aio.Channel):
    """A channel that adds credentials, and the id of the request that is served, to each call."""

    def __init__(self, channel: grpc.aio.Channel, credentials: CredentialSource | None) -> None:
        self._channel = channel
        self._credentials = credentials

    def unary_unary(self, *arguments: Any, **options: Any) -> Any:
        return self._identified(self._channel.unary_unary(*arguments, **options))

    def unary_stream(self, *arguments: Any, **options: Any) -> Any:
        return self._identified(self._channel.unary_stream(*arguments, **options))

    def stream_unary(self, *arguments: Any, **options: Any) -> Any:
        return self._identified(self._channel.stream_unary(*arguments, **options))

    def stream_stream(self, *arguments: Any, **options: Any) -> Any:
        return self._identified(self._channel.stream_stream(*arguments, **options))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._channel.close()

    async def close(self, grace: float | None = None) -> None:
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()

    def _identified(self, multicallable: Any) -> Any:
        def call(*request: Any, metadata: Metadata | None = None, **options: Any) -> Any:
            request_id = current_request_id()
            shown = (
                *(self._credentials.metadata if self._credentials else ()),
                *(((REQUEST_ID, request_id),) if request_id else ()),
                *spans.outgoing(),
                *(metadata or ()),
            )
            return multicallable(*request, metadata=shown, **options)

        return call
