"""Queries market data of strategies from the process History."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, TypeAlias

import grpc
from venuemesh.history.v1 import history_pb2_grpc

from core.detector.bar_clients import HISTORY, BarsUnavailable
from kit.base.errors import UnknownService
from kit.base.intervals import SECOND, BarInterval
from kit.base.service_channels import ServiceChannels
from kit.features.market_inputs import InputRow, InputSeries
from kit.strategy.recorded_inputs import RecordedInputs

if TYPE_CHECKING:
    HistoryStub: TypeAlias = history_pb2_grpc.HistoryAsyncStub


class InputClients:
    """The process History of the mesh. Raises BarsUnavailable."""

    def __init__(self, channels: ServiceChannels) -> None:
        """``channels``: of HISTORY."""
        self._channels = channels

    async def rows(
        self, series: InputSeries, interval: BarInterval, after_ns: int, until_ns: int
    ) -> AsyncIterator[InputRow]:
        try:
            recorded = RecordedInputs(await self._stub(), interval)
            async for row in recorded.rows(series, after_ns, until_ns):
                yield row
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.NOT_FOUND:
                raise _away(error) from error

    async def book(self, series: InputSeries, time_ns: int) -> InputRow | None:
        try:
            return await RecordedInputs(await self._stub(), SECOND).book(series, time_ns)
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return None
            raise _away(error) from error

    async def _stub(self) -> "HistoryStub":
        try:
            return history_pb2_grpc.HistoryStub(await self._channels.channel(HISTORY))
        except UnknownService as error:
            raise BarsUnavailable(error.message) from error


def _away(error: grpc.aio.AioRpcError) -> BarsUnavailable:
    return BarsUnavailable(f"{HISTORY} does not answer: {error.details() or error.code().name}")
