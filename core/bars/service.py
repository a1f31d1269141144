"""Bars over gRPC."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
from venuemesh.bars.v1 import bars_pb2, bars_pb2_grpc

from core.bars.board import Board, OwnerChanged
from core.bars.forwarding import Others
from core.bars.settings import BarsSettings
from kit.base.clock import Clock
from kit.base.errors import BadRequest
from kit.base.intervals import BY_NAME

UPDATE_INTERVAL_MS = 250
UPDATE_INTERVAL_MS_MIN = 50
UPDATE_INTERVAL_MS_MAX = 60_000

Context = grpc.aio.ServicerContext[Any, Any]


class BarsServicer(bars_pb2_grpc.BarsServicer):
    """Serves what the board shows, and what another aggregator's board shows where that one makes
    the bars."""

    def __init__(self, board: Board, others: Others, settings: BarsSettings, clock: Clock) -> None:
        self._board = board
        self._others = others
        self._settings = settings
        self._clock = clock

    async def Subscribe(
        self, request: bars_pb2.SubscribeRequest, context: Context
    ) -> AsyncIterator[bars_pb2.SubscribeResponse]:
        interval_ms = self._checked(request)
        # An instrument may be silent for long; the caller is told at once that it is served.
        await context.send_initial_metadata(())
        forwarded = self._others.sent(context)
        while True:
            if self._others.is_ours(request):
                try:
                    async for response in self._shown(request, interval_ms):
                        yield response
                except OwnerChanged:
                    continue
            elif forwarded:
                # Whoever has passed it on looks for the owner again.
                return
            else:
                async for response in self._others.subscribe(request):
                    yield response

    async def ListIntervals(
        self, request: bars_pb2.ListIntervalsRequest, context: Context
    ) -> bars_pb2.ListIntervalsResponse:
        names = self._names(request.venue, request.symbol)
        return bars_pb2.ListIntervalsResponse(intervals=names)

    async def _shown(
        self, request: bars_pb2.SubscribeRequest, interval_ms: int
    ) -> AsyncIterator[bars_pb2.SubscribeResponse]:
        with self._board.admit(request.venue, request.symbol, request.intervals) as reader:
            async for bars in reader.updates(interval_ms, self._clock):
                yield bars_pb2.SubscribeResponse(bars=bars)

    def _checked(self, request: bars_pb2.SubscribeRequest) -> int:
        """The update interval of a request that is right, ms. Raises BadRequest."""
        for field in ("venue", "symbol"):
            if not getattr(request, field):
                raise BadRequest(f"{field} is missing", field=field, value="", allowed="not empty")
        names = self._names(request.venue, request.symbol)
        for name in request.intervals:
            if name not in names:
                raise BadRequest(
                    f"no interval {name!r}", field="intervals", value=name, allowed=", ".join(names)
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

    def _names(self, venue_id: str, symbol: str) -> list[str]:
        """What ends the bars that are made of an instrument."""
        return [*BY_NAME, *(spec.text for spec in self._settings.specs(venue_id, symbol))]
