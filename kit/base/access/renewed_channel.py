"""A gRPC channel whose new calls show the present certificate of this process.

gRPC reads the certificate of a channel once. A channel that lives longer than its certificate could
not connect again after it had lost its connection.
"""

from collections.abc import Callable, Sequence
from typing import Any, Self

import grpc

from kit.base.access.transport import MeshTls

OpenChannel = Callable[[grpc.ChannelCredentials], grpc.aio.Channel]


class RenewedChannel(grpc.aio.Channel):
    """Opens a new connection when the certificate has changed. Calls that run stay on theirs."""

    def __init__(self, tls: MeshTls, open_channel: OpenChannel) -> None:
        self._tls = tls
        self._open = open_channel
        self._shown = tls.shown
        self._channels = [open_channel(self._shown.channel_credentials())]

    def unary_unary(self, *arguments: Any, **options: Any) -> Any:
        return self._renewed("unary_unary", arguments, options)

    def unary_stream(self, *arguments: Any, **options: Any) -> Any:
        return self._renewed("unary_stream", arguments, options)

    def stream_unary(self, *arguments: Any, **options: Any) -> Any:
        return self._renewed("stream_unary", arguments, options)

    def stream_stream(self, *arguments: Any, **options: Any) -> Any:
        return self._renewed("stream_stream", arguments, options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        # Earlier ones may still have calls. There is one for each renewal.
        for channel in self._channels:
            await channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._present().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._present().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._present().channel_ready()

    def _present(self) -> grpc.aio.Channel:
        shown = self._tls.shown
        if shown is not self._shown:
            self._shown = shown
            self._channels.append(self._open(shown.channel_credentials()))
        return self._channels[-1]

    def _renewed(self, kind: str, arguments: Sequence[Any], options: dict[str, Any]) -> Any:
        channel = self._present()
        multicallable = getattr(channel, kind)(*arguments, **options)

        def call(*request: Any, **call_options: Any) -> Any:
            nonlocal channel, multicallable
            present = self._present()
            if present is not channel:
                channel = present
                multicallable = getattr(channel, kind)(*arguments, **options)
            return multicallable(*request, **call_options)

        return call
