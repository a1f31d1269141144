"""Reads recorded bars from the process History."""

import grpc
from venuemesh.bars.v1 import bars_pb2
from venuemesh.history.v1 import history_pb2, history_pb2_grpc

from kit.base.errors import UnknownService
from kit.base.service_channels import ServiceChannels

HISTORY = "history"
"""The kind of the process."""
CALL_SECONDS_MAX = 10.0
BARS_MAX = 10_000


class BarsUnavailable(Exception):
    """History does not answer."""


class RecordedBars:
    """The recorded bars of all instruments."""

    def __init__(self, channels: ServiceChannels) -> None:
        """``channels``: of HISTORY."""
        self._channels = channels

    async def opened_in(
        self, venue: str, symbol: str, interval: str, times_ns: range
    ) -> list[bars_pb2.Bar]:
        """Up to BARS_MAX final bars that open in this range, oldest first. Raises
        BarsUnavailable."""
        request = history_pb2.ListBarsRequest(
            venue=venue,
            symbol=symbol,
            interval=interval,
            range=history_pb2.TimeRange(start_time_ns=times_ns.start, end_time_ns=times_ns.stop),
            order=history_pb2.SORT_ORDER_OLDEST_FIRST,
            page_size=BARS_MAX,
        )
        try:
            stub = history_pb2_grpc.HistoryStub(await self._channels.channel(HISTORY))
            response = await stub.ListBars(request, timeout=CALL_SECONDS_MAX)
        except UnknownService as error:
            raise BarsUnavailable(error.message) from error
        except grpc.aio.AioRpcError as error:
            raise BarsUnavailable(error.details() or error.code().name) from error
        return [bar for bar in response.bars if bar.final]
