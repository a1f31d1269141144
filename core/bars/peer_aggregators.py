"""Forwards subscriptions to the aggregator that makes the bars."""

from collections.abc import AsyncIterator, Callable

import grpc
from venuemesh.bars.v1 import bars_pb2, bars_pb2_grpc

from core.bars.shards import shard_of
from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.errors import StoreUnavailable
from kit.events import peers
from kit.events.shared_leases import SharedLeases

LOOK_AGAIN_SECONDS = 0.25

Owns = Callable[[str, str], bool]
"""Whether this aggregator makes the bars of an instrument, from venue id and symbol."""

_log = telemetry.logger("bars")


class PeerAggregators:
    """The other aggregators, by the leases that they hold."""

    def __init__(self, leases: SharedLeases, owns: Owns, clock: Clock) -> None:
        self._leases = leases
        self._owns = owns
        self._clock = clock

    def is_ours(self, request: bars_pb2.SubscribeRequest) -> bool:
        """Whether this aggregator makes the requested bars."""
        return self._owns(request.venue, request.symbol)

    async def subscribe(
        self, request: bars_pb2.SubscribeRequest
    ) -> AsyncIterator[bars_pb2.SubscribeResponse]:
        """Responses of the owner. Ends when the owner changes or there is none."""
        member = await self._owner(request)
        if member is not None:
            channel = peers.channel(member)
            try:
                stub = bars_pb2_grpc.BarsStub(channel)
                async for response in stub.Subscribe(request, metadata=(peers.FORWARDED,)):
                    yield response
            except grpc.aio.AioRpcError as error:
                _log.debug("owner not reachable", extra={"member": member, "detail": str(error)})
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
