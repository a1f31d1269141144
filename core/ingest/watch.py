"""Whether the process that is read still lives, and whether the other one is ready to be read."""

from collections.abc import Mapping

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc

from core.ingest.twins import Instance, VenueReplicas
from kit.base import rpc, telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.cursor import Cursor, StreamKey
from kit.base.errors import VenueUnavailable

LOOK_S = 0.25
ANSWER_S = 1.0
TEACH_AGAIN_S = 1.0
CHANNEL_STATUS = types_pb2.CHANNEL_STATUS

_log = telemetry.logger("ingest.watch")


class Watch:
    """Beside one run of a feed. Of a venue with one process it does nothing."""

    def __init__(
        self, instance: Instance, twins: VenueReplicas, silence_s: float, clock: Clock
    ) -> None:
        self._instance = instance
        self._twins = twins
        self._silence_s = silence_s
        self._clock = clock
        self._heard_ns = clock.monotonic_ns()
        self._taught_ns = 0

    def heard(self) -> None:
        """Something has come."""
        self._heard_ns = self._clock.monotonic_ns()

    async def run(self, channel: grpc.aio.Channel, newest: Mapping[StreamKey, Cursor]) -> None:
        """Until the process that is read hangs; then raises VenueUnavailable. ``newest``: of what
        is written."""
        while True:
            await self._clock.sleep(LOOK_S)
            if not self._twins.others(self._instance):
                continue
            if self._passed_s(self._heard_ns) > self._silence_s and not await _answers(channel):
                raise VenueUnavailable("it hangs", venue=self._instance.service_id)
            if self._passed_s(self._taught_ns) > TEACH_AGAIN_S:
                self._taught_ns = self._clock.monotonic_ns()
                await self._teach(max(cursor.epoch for cursor in newest.values()))

    async def _teach(self, epoch: int) -> None:
        """One that numbers below what is written hears of it, as its own writer would tell it."""
        for instance in self._twins.deposed(epoch):
            _log.info("numbers too low", extra={"service_id": instance.service_id})
            cursor = Cursor(epoch, 0).message()
            request = market_data_pb2.SubscribeRequest(
                channels=[CHANNEL_STATUS],
                resume_after=[types_pb2.ChannelCursor(channel=CHANNEL_STATUS, cursor=cursor)],
            )
            async with rpc.channel(instance.address) as channel:
                stub = market_data_pb2_grpc.MarketDataStub(channel)
                call = stub.Subscribe(request, metadata=[rpc.STREAM_WRITER], timeout=ANSWER_S)
                try:
                    await call.read()
                except grpc.aio.AioRpcError as error:
                    _log.debug("told", extra={"detail": error.details()})

    def _passed_s(self, since_ns: int) -> float:
        return (self._clock.monotonic_ns() - since_ns) / NANOSECONDS_PER_SECOND


async def _answers(channel: grpc.aio.Channel) -> bool:
    """Whether the process does anything at all."""
    try:
        check = health_pb2_grpc.HealthStub(channel).Check
        await check(health_pb2.HealthCheckRequest(), timeout=ANSWER_S)
    except grpc.aio.AioRpcError:
        return False
    return True
