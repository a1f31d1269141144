"""Forwards subscriptions to the aggregator that makes the bars."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from venuemesh.bars.v1 import bars_pb2, bars_pb2_grpc

from core.bars.leases import Leases
from core.bars.shards import shard_of
from kit.base import rpc, telemetry
from kit.base.clock import Clock
from kit.base.errors import StoreUnavailable

FORWARDED = ("venuemesh-bars-forwarded", "1")
"""Metadata of a forwarded call, which is not forwarded again."""
LOOK_AGAIN_SECONDS = 0.25

Owns = Callable[[str, str], bool]
"""Whether this aggregator makes the bars of an instrument, from venue id and symbol."""

_log = telemetry.logger("bars")


class PeerAggregators:
    """The other aggregators. The name of a lease member is its service id, @ and its address."""

    def __init__(self, leases: Leases, owns: Owns, clock: Clock) -> None:
        self._leases = leases
        self._owns = owns
        self._clock = clock

    def is_ours(self, request: bars_pb2.SubscribeRequest) -> bool:
        """Whether this aggregator makes the requested bars."""
        return self._owns(request.venue, request.symbol)

    @staticmethod
    def is_forwarded(context: grpc.aio.ServicerContext[Any, Any]) -> bool:
        """Whether another aggregator forwarded this call."""
        return FORWARDED in [tuple(item) for item in context.invocation_metadata() or ()]

    async def subscribe(
        self, request: bars_pb2.SubscribeRequest
    ) -> AsyncIterator[bars_pb2.SubscribeResponse]:
        """Responses of the owner. Ends when the owner changes or there is none."""
        member = await self._owner(request)
        if member is not None:
            service_id, _, address = member.rpartition("@")
            channel = rpc.channel(address, service_id=service_id)
            try:
                stub = bars_pb2_grpc.BarsStub(channel)
                async for response in stub.Subscribe(request, metadata=(FORWARDED,)):
                    yield response
            except grpc.aio.AioRpcError as error:
                _log.debug("owner not reachable", extra={"address": address, "detail": str(error)})
            finally:
                await channel.close()
        await self._clock.sleep(LOOK_AGAIN_SECONDS)

    async def _owner(self, request: bars_pb2.SubscribeRequest) -> str | None:
        try:
            member = await self._leases.holder(shard_of(request.venue, request.symbol))
        except StoreUnavailable as error:
            _log.debug("owner not known", extra={"detail": error.message})
            return None
        if member is None or member == self._leases.member:
            return None
        return member
