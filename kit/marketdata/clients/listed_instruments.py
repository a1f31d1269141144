"""The instruments of venues, as their processes list them."""

import asyncio
from collections.abc import Collection, Mapping
from typing import NamedTuple

import grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc

from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import UnknownService
from kit.base.paging import whole_list
from kit.base.service_channels import ServiceChannels

CALL_SECONDS_MAX = 10.0
FIND_SECONDS_MAX = 3.0
"""How long a venue is waited for that is not registered."""
LIST_AGAIN_SECONDS = 60.0
"""Terms may have changed."""
MISSING_AGAIN_NS = 30 * NANOSECONDS_PER_SECOND
"""How often a venue is asked for an instrument that it does not list."""
PAGE_SIZE = 1_000

_log = telemetry.logger("instruments")


class ListedInstrument(NamedTuple):
    """The terms of an instrument."""

    instrument: types_pb2.Instrument
    time_ns: int
    """When they were listed, ns since the Unix epoch."""


class _List(NamedTuple):
    encoded: Mapping[str, bytes]
    """By symbol. There are thousands."""
    time_ns: int
    monotonic_ns: int


class ListedInstruments:
    """Keeps the list of each venue that was asked for."""

    def __init__(self, channels: ServiceChannels, seconds_max: float, clock: Clock) -> None:
        """``seconds_max``: how long a list is waited for. It is kept also if it comes later."""
        self._channels = channels
        self._seconds_max = seconds_max
        self._clock = clock
        self._lists: dict[str, _List] = {}
        self._listing: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Read the lists again now and then. Runs forever."""
        while True:
            await self._clock.sleep(LIST_AGAIN_SECONDS)
            for venue in tuple(self._lists):
                await self._list_once(venue)

    async def find(self, venue: str, symbol: str) -> ListedInstrument | None:
        """An instrument; None if the venue does not list it, or does not answer in time."""
        known = await self._newest(venue, [symbol])
        if known is None or symbol not in known.encoded:
            return None
        instrument = types_pb2.Instrument.FromString(known.encoded[symbol])
        return ListedInstrument(instrument, known.time_ns)

    async def unlisted(self, venue: str, symbols: Collection[str]) -> list[str]:
        """Those that the venue does not list, in order; none while its list is not known."""
        known = await self._newest(venue, symbols) if symbols else None
        return [] if known is None else sorted(set(symbols) - known.encoded.keys())

    async def _newest(self, venue: str, symbols: Collection[str]) -> _List | None:
        """The list of a venue, read again where one of the symbols may have been added."""
        if self._is_due(venue, symbols):
            try:
                async with asyncio.timeout(self._seconds_max):
                    # Who waits no longer does not end the call for the next one.
                    await asyncio.shield(self._list_once(venue))
            except TimeoutError:
                pass
        return self._lists.get(venue)

    def _is_due(self, venue: str, symbols: Collection[str]) -> bool:
        known = self._lists.get(venue)
        if known is None:
            return True
        age_ns = self._clock.monotonic_ns() - known.monotonic_ns
        return age_ns >= MISSING_AGAIN_NS and any(one not in known.encoded for one in symbols)

    def _list_once(self, venue: str) -> asyncio.Task[None]:
        """The call that runs, or a new one."""
        task = self._listing.get(venue)
        if task is None:
            task = self._listing[venue] = asyncio.create_task(self._list(venue))
            task.add_done_callback(lambda _: self._listing.pop(venue))
        return task

    async def _list(self, venue: str) -> None:
        request = market_data_pb2.ListInstrumentsRequest(venue=venue, page_size=PAGE_SIZE)
        time_ns, monotonic_ns = self._clock.time_ns(), self._clock.monotonic_ns()
        try:
            stub = market_data_pb2_grpc.MarketDataStub(
                await self._channels.channel(venue, FIND_SECONDS_MAX)
            )
            answer = await whole_list(stub.ListInstruments, request, timeout=CALL_SECONDS_MAX)
        except (UnknownService, grpc.aio.AioRpcError) as error:
            _log.info("not listed", extra={"venue": venue, "detail": str(error)})
            return
        encoded = {one.symbol: one.SerializeToString() for one in answer.instruments}
        if encoded:
            # A process that has just started has no list yet.
            self._lists[venue] = _List(encoded, time_ns, monotonic_ns)
