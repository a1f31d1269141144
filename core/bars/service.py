"""Bars over gRPC."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
from venuemesh.bars.v1 import bars_pb2, bars_pb2_grpc

from core.bars.board import Board
from core.bars.intervals import BY_NAME
from kit.clock import Clock
from kit.errors import BadRequest

UPDATE_INTERVAL_MS = 250
UPDATE_INTERVAL_MS_MIN = 50
UPDATE_INTERVAL_MS_MAX = 60_000

Context = grpc.aio.ServicerContext[Any, Any]


class BarsServicer(bars_pb2_grpc.BarsServicer):
    """Serves what the board shows."""

    def __init__(self, board: Board, clock: Clock) -> None:
        self._board = board
        self._clock = clock

    async def Subscribe(
        self, request: bars_pb2.SubscribeRequest, context: Context
    ) -> AsyncIterator[bars_pb2.SubscribeResponse]:
        interval_ms = _checked(request)
        with self._board.admit(request.venue, request.symbol, request.intervals) as reader:
            # An instrument may be silent for long; the caller is told at once that it is served.
            await context.send_initial_metadata(())
            async for bars in reader.updates(interval_ms, self._clock):
                yield bars_pb2.SubscribeResponse(bars=bars)

    async def ListIntervals(
        self, request: bars_pb2.ListIntervalsRequest, context: Context
    ) -> bars_pb2.ListIntervalsResponse:
        return bars_pb2.ListIntervalsResponse(intervals=BY_NAME)


def _checked(request: bars_pb2.SubscribeRequest) -> int:
    """The update interval of a request that is right, ms. Raises BadRequest."""
    for field in ("venue", "symbol"):
        if not getattr(request, field):
            raise BadRequest(f"{field} is missing", field=field, value="", allowed="not empty")
    for name in request.intervals:
        if name not in BY_NAME:
            raise BadRequest(
                f"no interval {name!r}", field="intervals", value=name, allowed=", ".join(BY_NAME)
            )
    interval_ms = request.update_interval_ms or UPDATE_INTERVAL_MS
    if not UPDATE_INTERVAL_MS_MIN <= interval_ms <= UPDATE_INTERVAL_MS_MAX:
        raise BadRequest(
            "update_interval_ms is out of range",
            field="update_interval_ms",
            value=interval_ms,
            allowed=f"0, or {UPDATE_INTERVAL_MS_MIN} to {UPDATE_INTERVAL_MS_MAX}",
        )
    return interval_ms
