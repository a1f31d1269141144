"""The spot markets of all venues, from which the rates of assets are known."""

import asyncio
from typing import NamedTuple

import grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import UnknownService
from kit.base.paging import whole_list
from kit.base.service_channels import ServiceChannels

CALL_SECONDS_MAX = 5.0
KEPT_NS = 600 * NANOSECONDS_PER_SECOND
"""How long a list is used."""
PAGE_SIZE = 1_000


class SpotPair(NamedTuple):
    """A spot market."""

    venue: str
    symbol: str
    base: str
    quote: str


class _List(NamedTuple):
    pairs: list[SpotPair]
    time_ns: int


class SpotPairs:
    """Asks the processes of venues when it is asked."""

    def __init__(self, channels: ServiceChannels, clock: Clock) -> None:
        self._channels = channels
        self._clock = clock
        self._lists: dict[str, _List] = {}
        self._asking = asyncio.Lock()

    async def known(self) -> list[SpotPair]:
        """The markets of the venues that answer."""
        async with self._asking:
            venues = self._channels.names()
            for venue in self._lists.keys() - set(venues):
                del self._lists[venue]
            await asyncio.gather(*(self._list(venue) for venue in venues))
        return [pair for _, found in sorted(self._lists.items()) for pair in found.pairs]

    async def _list(self, venue: str) -> None:
        known, now_ns = self._lists.get(venue), self._clock.monotonic_ns()
        if known is not None and now_ns - known.time_ns < KEPT_NS:
            return
        request = market_data_pb2.ListInstrumentsRequest(venue=venue, page_size=PAGE_SIZE)
        try:
            stub = market_data_pb2_grpc.MarketDataStub(await self._channels.channel(venue))
            answer = await whole_list(stub.ListInstruments, request, timeout=CALL_SECONDS_MAX)
        except (UnknownService, grpc.aio.AioRpcError):
            # Its markets of before are better than none.
            return
        pairs = [
            SpotPair(venue, one.symbol, one.base, one.quote)
            for one in answer.instruments
            if one.kind == types_pb2.INSTRUMENT_KIND_SPOT
        ]
        if pairs or not answer.instruments:
            self._lists[venue] = _List(pairs, now_ns if pairs else 0)
