"""The gRPC service Bars."""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import grpc
from venuemesh.bars.v1 import bars_pb2, bars_pb2_grpc

from core.bars.bar_record import BarRecord
from core.bars.peer_aggregators import PeerAggregators
from core.bars.settings import BarsSettings
from core.bars.subscribers import AggregatorChanged, BarSubscribers
from kit.base.clock import Clock
from kit.base.errors import BadRequest
from kit.base.intervals import BY_NAME
from kit.base.paging import page_of
from kit.events import peers

UPDATE_INTERVAL_MS = 250
UPDATE_INTERVAL_MS_MIN = 50
UPDATE_INTERVAL_MS_MAX = 60_000

Context = grpc.aio.ServicerContext[Any, Any]
OpenBars = Callable[[str, str], Iterable[BarRecord]]
"""The bars of an instrument that are not final, from venue id and symbol."""


class BarsServicer(bars_pb2_grpc.BarsServicer):
    """Serves the bars that this aggregator makes, and forwards calls for others to the aggregator
    that makes them."""

    def __init__(
        self,
        subscribers: BarSubscribers,
        open_bars: OpenBars,
        peers: PeerAggregators,
        settings: BarsSettings,
        clock: Clock,
    ) -> None:
        self._subscribers = subscribers
        self._open_bars = open_bars
        self._peers = peers
        self._settings = settings
        self._clock = clock

    async def Subscribe(
        self, request: bars_pb2.SubscribeRequest, context: Context
    ) -> AsyncIterator[bars_pb2.SubscribeResponse]:
        interval_ms = self._checked(request)
        # The instrument may be silent for long: accept the call before its first bar.
        await context.send_initial_metadata(())
        is_forwarded = peers.is_forwarded(context)
        while True:
            if self._peers.is_ours(request):
                try:
                    async for response in self._shown(request, interval_ms):
                        yield response
                except AggregatorChanged:
                    continue
            elif is_forwarded:
                # The aggregator that forwarded the call looks for the owner again.
                return
            else:
                async for response in self._peers.subscribe(request):
                    yield response

    async def ListIntervals(
        self, request: bars_pb2.ListIntervalsRequest, context: Context
    ) -> bars_pb2.ListIntervalsResponse:
        # By their place, as they are not in the order of their names.
        names = list(enumerate(self._names(request.venue, request.symbol)))
        page, token = page_of(request, names, lambda numbered: [numbered[0]])
        intervals = [name for _, name in page]
        return bars_pb2.ListIntervalsResponse(intervals=intervals, next_page_token=token)

    async def _shown(
        self, request: bars_pb2.SubscribeRequest, interval_ms: int
    ) -> AsyncIterator[bars_pb2.SubscribeResponse]:
        venue_id, symbol = request.venue, request.symbol
        open_bars = self._open_bars(venue_id, symbol)
        with self._subscribers.admit(venue_id, symbol, request.intervals, open_bars) as reader:
            async for bars in reader.updates(interval_ms, self._clock):
                yield bars_pb2.SubscribeResponse(bars=bars)

    def _checked(self, request: bars_pb2.SubscribeRequest) -> int:
        """The update interval of a valid request, ms. Raises BadRequest."""
        for field in ("venue", "symbol"):
            if not getattr(request, field):
                raise BadRequest(f"{field} is empty", field=field, value="", allowed="not empty")
        names = self._names(request.venue, request.symbol)
        for name in request.intervals:
            if name not in names:
                raise BadRequest(
                    f"interval {name!r} is not made for this instrument",
                    field="intervals",
                    value=name,
                    allowed=", ".join(names),
                )
        interval_ms = request.update_interval_ms or UPDATE_INTERVAL_MS
        if not UPDATE_INTERVAL_MS_MIN <= interval_ms <= UPDATE_INTERVAL_MS_MAX:
            raise BadRequest(
                f"update_interval_ms {interval_ms} is out of range",
                field="update_interval_ms",
                value=interval_ms,
                allowed=f"0, or {UPDATE_INTERVAL_MS_MIN} to {UPDATE_INTERVAL_MS_MAX}",
            )
        return interval_ms

    def _names(self, venue_id: str, symbol: str) -> list[str]:
        """The intervals of the bars of an instrument: of time and of other kinds."""
        return [*BY_NAME, *(spec.text for spec in self._settings.specs(venue_id, symbol))]
