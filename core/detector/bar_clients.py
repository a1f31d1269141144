"""Calls the processes Bars and History for bars."""

from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple, Protocol

import grpc
from venuemesh.bars.v1 import bars_pb2, bars_pb2_grpc
from venuemesh.history.v1 import history_pb2, history_pb2_grpc

from kit.base.errors import UnknownService
from kit.base.service_channels import ServiceChannels

BARS, HISTORY = "bars", "history"
"""Kinds of processes."""
CALL_SECONDS_MAX = 10.0
UPDATE_INTERVAL_MS = 50


class BarSeries(NamedTuple):
    """The bars of an instrument."""

    venue: str
    symbol: str
    interval: str


class BarsUnavailable(Exception):
    """Bars or History does not answer."""


class BarSource(Protocol):
    """A source of live and recorded bars. Raises BarsUnavailable."""

    def live(self, series: BarSeries) -> AsyncGenerator[Sequence[bars_pb2.Bar], None]:
        """Changed bars, from now on."""

    async def recorded(
        self, series: BarSeries, times_ns: range, count: int, newest_first: bool = False
    ) -> Sequence[bars_pb2.Bar]:
        """Up to ``count`` recorded bars that open in this range."""


class BarClients:
    """The BarSource of the mesh."""

    def __init__(self, channels: ServiceChannels) -> None:
        """``channels``: of BARS and HISTORY."""
        self._channels = channels

    async def live(self, series: BarSeries) -> AsyncGenerator[Sequence[bars_pb2.Bar], None]:
        stub = bars_pb2_grpc.BarsStub(await self._channel(BARS))
        request = bars_pb2.SubscribeRequest(
            venue=series.venue,
            symbol=series.symbol,
            intervals=[series.interval],
            update_interval_ms=UPDATE_INTERVAL_MS,
        )
        call = stub.Subscribe(request)
        try:
            async for response in call:
                yield response.bars
        except grpc.aio.AioRpcError as error:
            raise _away(BARS, error) from error
        finally:
            call.cancel()

    async def recorded(
        self, series: BarSeries, times_ns: range, count: int, newest_first: bool = False
    ) -> Sequence[bars_pb2.Bar]:
        newest, oldest = history_pb2.SORT_ORDER_NEWEST_FIRST, history_pb2.SORT_ORDER_OLDEST_FIRST
        request = history_pb2.ListBarsRequest(
            venue=series.venue,
            symbol=series.symbol,
            interval=series.interval,
            range=history_pb2.TimeRange(start_time_ns=times_ns.start, end_time_ns=times_ns.stop),
            order=newest if newest_first else oldest,
            page_size=count,
        )
        stub = history_pb2_grpc.HistoryStub(await self._channel(HISTORY))
        try:
            return (await stub.ListBars(request, timeout=CALL_SECONDS_MAX)).bars
        except grpc.aio.AioRpcError as error:
            raise _away(HISTORY, error) from error

    async def _channel(self, kind: str) -> grpc.aio.Channel:
        try:
            return await self._channels.channel(kind)
        except UnknownService as error:
            raise BarsUnavailable(error.message) from error


def _away(kind: str, error: grpc.aio.AioRpcError) -> BarsUnavailable:
    return BarsUnavailable(f"{kind} does not answer: {error.details() or error.code().name}")
