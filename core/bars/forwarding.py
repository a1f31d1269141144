"""Subscriptions to bars that another aggregator makes: passed on to it, and what comes back."""

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
"""Metadata of a call that another aggregator passes on. It is not passed on once more."""
LOOK_AGAIN_SECONDS = 0.25

Owns = Callable[[str, str], bool]
"""Whether the bars of an instrument, of venue id and symbol, are made here."""

_log = telemetry.logger("bars")


class Others:
    """The other aggregators. A member's name ends with @ and its address."""

    def __init__(self, leases: Leases, owns: Owns, clock: Clock) -> None:
        self._leases = leases
        self._owns = owns
        self._clock = clock

    def is_ours(self, request: bars_pb2.SubscribeRequest) -> bool:
        """Whether the bars are made here."""
        return self._owns(request.venue, request.symbol)

    @staticmethod
    def sent(context: grpc.aio.ServicerContext[Any, Any]) -> bool:
        """Whether another aggregator has passed this call on."""
        return FORWARDED in [tuple(item) for item in context.invocation_metadata() or ()]

    async def subscribe(
        self, request: bars_pb2.SubscribeRequest
    ) -> AsyncIterator[bars_pb2.SubscribeResponse]:
        """What the owner shows. Ends when it is the owner no longer, or when there is none yet."""
        address = await self._owner(request)
        if address is not None:
            channel = rpc.channel(address)
            try:
                stub = bars_pb2_grpc.BarsStub(channel)
                async for response in stub.Subscribe(request, metadata=(FORWARDED,)):
                    yield response
            except grpc.aio.AioRpcError as error:
                _log.debug("the owner is away", extra={"address": address, "detail": str(error)})
            finally:
                await channel.close()
        await self._clock.sleep(LOOK_AGAIN_SECONDS)

    async def _owner(self, request: bars_pb2.SubscribeRequest) -> str | None:
        try:
            member = await self._leases.holder(shard_of(request.venue, request.symbol))
        except StoreUnavailable as error:
            _log.debug("the owner is not known", extra={"detail": error.message})
            return None
        if member is None or member == self._leases.member:
            return None
        return member.rpartition("@")[2]
