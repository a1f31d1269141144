"""Checks that the replica that is read is alive, and that the others can take over."""

from collections.abc import Mapping

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc

from core.ingest.replicas import Replica, VenueReplicas
from kit.base import rpc, telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.cursor import Cursor, StreamKey
from kit.base.errors import VenueUnavailable

LOOK_S = 0.25
ANSWER_S = 1.0
SEND_AGAIN_S = 1.0
CHANNEL_STATUS = types_pb2.CHANNEL_STATUS

_log = telemetry.logger("ingest.watch")


class ReplicaMonitor:
    """Runs beside one run of a VenueWriter. Does nothing for a venue with one process."""

    def __init__(
        self, instance: Replica, replicas: VenueReplicas, silence_s: float, clock: Clock
    ) -> None:
        self._instance = instance
        self._replicas = replicas
        self._silence_s = silence_s
        self._clock = clock
        self._received_ns = clock.monotonic_ns()
        self._sent_ns = 0

    def received(self) -> None:
        """Note that a response has arrived."""
        self._received_ns = self._clock.monotonic_ns()

    async def run(self, channel: grpc.aio.Channel, newest: Mapping[StreamKey, Cursor]) -> None:
        """Run until the replica that is read hangs, then raise VenueUnavailable. ``newest`` are the
        last written cursors."""
        while True:
            await self._clock.sleep(LOOK_S)
            if not self._replicas.others(self._instance):
                continue
            if self._passed_s(self._received_ns) > self._silence_s and not await _answers(channel):
                raise VenueUnavailable(
                    "the process does not respond", venue=self._instance.service_id
                )
            if self._passed_s(self._sent_ns) > SEND_AGAIN_S:
                self._sent_ns = self._clock.monotonic_ns()
                await self._send_epoch(max(cursor.epoch for cursor in newest.values()))

    async def _send_epoch(self, epoch: int) -> None:
        """Send the written epoch to outdated replicas, as their own writer would."""
        for instance in self._replicas.outdated(epoch):
            _log.info("replica has an outdated epoch", extra={"service_id": instance.service_id})
            cursor = Cursor(epoch, 0).message()
            request = market_data_pb2.SubscribeRequest(
                channels=[CHANNEL_STATUS],
                resume_after=[types_pb2.ChannelCursor(channel=CHANNEL_STATUS, cursor=cursor)],
            )
            async with rpc.channel(instance.address, service_id=instance.service_id) as channel:
                stub = market_data_pb2_grpc.MarketDataStub(channel)
                call = stub.Subscribe(request, metadata=[rpc.STREAM_WRITER], timeout=ANSWER_S)
                try:
                    await call.read()
                except grpc.aio.AioRpcError as error:
                    _log.debug("a question to a replica failed", extra={"detail": error.details()})

    def _passed_s(self, since_ns: int) -> float:
        return (self._clock.monotonic_ns() - since_ns) / NANOSECONDS_PER_SECOND


async def _answers(channel: grpc.aio.Channel) -> bool:
    """Return whether the process answers a health check."""
    try:
        check = health_pb2_grpc.HealthStub(channel).Check
        await check(health_pb2.HealthCheckRequest(), timeout=ANSWER_S)
    except grpc.aio.AioRpcError:
        return False
    return True
