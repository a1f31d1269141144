"""Asks the other detectors about the strategies that they run."""

import asyncio
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from venuemesh.detector.v1 import detector_pb2, detector_pb2_grpc

from core.detector.instance_shares import InstanceShares
from core.detector.store import InstanceKey
from kit.base import telemetry
from kit.base.errors import StoreUnavailable
from kit.base.paging import whole_list
from kit.events import peers

CALL_SECONDS_MAX = 2.0

Answer = TypeVar("Answer", bound=Message)

_log = telemetry.logger("detector")


class PeerDetectors:
    """The other detectors, as far as they answer."""

    def __init__(self, shares: InstanceShares) -> None:
        self._shares = shares

    async def statuses(self) -> dict[InstanceKey, detector_pb2.StrategyStatus]:
        """Of the strategies that the others run, as far as they answer."""
        kind = detector_pb2.ListStrategiesResponse
        answers = await asyncio.gather(
            *(
                self._ask(member, "ListStrategies", detector_pb2.ListStrategiesRequest(), kind)
                for member in self._shares.others
            )
        )
        found = [one for answer in answers if answer is not None for one in answer.strategies]
        return {InstanceKey(one.strategy, one.venue, one.symbol): one for one in found}

    async def explain(
        self, key: InstanceKey, request: detector_pb2.ExplainRequest
    ) -> detector_pb2.ExplainResponse | None:
        """The answer of the detector that runs an instance; None: no other one answers."""
        return await self._of_holder(key, "Explain", request, detector_pb2.ExplainResponse)

    async def evaluations(
        self, key: InstanceKey, request: detector_pb2.GetEvaluationsRequest
    ) -> detector_pb2.GetEvaluationsResponse | None:
        """The answer of the detector that runs an instance; None: no other one answers."""
        kind = detector_pb2.GetEvaluationsResponse
        return await self._of_holder(key, "GetEvaluations", request, kind)

    async def _of_holder(
        self, key: InstanceKey, method: str, request: Message, kind: type[Answer]
    ) -> Answer | None:
        try:
            member = await self._shares.holder(key)
        except StoreUnavailable:
            return None
        return None if member is None else await self._ask(member, method, request, kind)

    @staticmethod
    async def _ask(member: str, method: str, request: Message, kind: type[Answer]) -> Answer | None:
        channel = peers.channel(member)
        call = getattr(detector_pb2_grpc.DetectorStub(channel), method)
        options = {"metadata": (peers.FORWARDED,), "timeout": CALL_SECONDS_MAX}
        try:
            is_list = kind is detector_pb2.ListStrategiesResponse
            answer: Answer = await (
                whole_list(call, request, **options) if is_list else call(request, **options)
            )
        except grpc.aio.AioRpcError as error:
            _log.debug("detector not reachable", extra={"member": member, "detail": str(error)})
            return None
        finally:
            await channel.close()
        return answer
