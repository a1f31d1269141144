"""Calls the venue processes: their listings and order books."""

from collections.abc import Iterable
from typing import NamedTuple

import grpc
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc

from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import UnknownInstrument, UnknownService, VenueUnavailable
from kit.base.paging import whole_list
from kit.base.service_channels import ServiceChannels

CALL_TIMEOUT_SECONDS = 5.0
PAGE_SIZE = 1_000
BOOK_DEPTH = 5_000
LIST_AGAIN_SECONDS = 30
"""A symbol that is not listed is looked for again only after this time."""

_log = telemetry.logger("venues")


class _Listed(NamedTuple):
    symbols: frozenset[str]
    time_ns: int


class VenueClients:
    """The venues in the registry."""

    def __init__(self, channels: ServiceChannels, clock: Clock) -> None:
        self._channels = channels
        self._clock = clock
        self._listed: dict[str, _Listed] = {}

    def knows(self, venue: str) -> bool:
        """Return whether the registry lists a venue."""
        return bool(self._channels.instances(venue))

    async def order_book(
        self, venue: str, symbol: str, epoch: int
    ) -> market_data_pb2.GetOrderBookResponse:
        """Return the venue's current book, up to BOOK_DEPTH levels per side. ``epoch`` is that of
        the newest entry of its stream: of two replicas of a venue, only the one whose stream is
        read can relate its book to a position of the stream.

        Raises UnknownService, VenueUnavailable, grpc.aio.AioRpcError.
        """
        request = market_data_pb2.GetOrderBookRequest(venue=venue, symbol=symbol, depth=BOOK_DEPTH)
        stub = await self._stub(venue, epoch)
        response = await stub.GetOrderBook(request, timeout=CALL_TIMEOUT_SECONDS)
        if len(self._channels.instances(venue)) > 1 and epoch not in (0, response.cursor.epoch):
            raise VenueUnavailable("the replica whose stream is read does not answer", venue=venue)
        return response

    async def require_listed(self, venue: str, symbols: Iterable[str]) -> None:
        """Raises UnknownInstrument for the first symbol that the venue does not list. While the
        venue does not answer, every symbol passes."""
        wanted = frozenset(symbols)
        if not wanted:
            return
        listed = self._listed.get(venue)
        if listed is None or (wanted - listed.symbols and self._is_old(listed)):
            listed = await self._list(venue) or listed
        if listed is None:
            return
        unknown = sorted(wanted - listed.symbols)
        if unknown:
            symbol = unknown[0]
            raise UnknownInstrument(f"{venue} does not list {symbol!r}", venue=venue, symbol=symbol)

    def _is_old(self, listed: _Listed) -> bool:
        age_ns = self._clock.monotonic_ns() - listed.time_ns
        return age_ns > LIST_AGAIN_SECONDS * NANOSECONDS_PER_SECOND

    async def _list(self, venue: str) -> _Listed | None:
        request = market_data_pb2.ListInstrumentsRequest(venue=venue, page_size=PAGE_SIZE)
        try:
            stub = await self._stub(venue)
            listed = await whole_list(stub.ListInstruments, request, timeout=CALL_TIMEOUT_SECONDS)
        except (UnknownService, grpc.aio.AioRpcError) as error:
            _log.info("not listed", extra={"venue": venue, "detail": str(error)})
            return None
        symbols = frozenset(instrument.symbol for instrument in listed.instruments)
        self._listed[venue] = _Listed(symbols, self._clock.monotonic_ns())
        return self._listed[venue]

    async def _stub(self, venue: str, epoch: int = 0) -> "market_data_pb2_grpc.MarketDataAsyncStub":
        channel = await self._channels.channel(venue, epoch=epoch)
        return market_data_pb2_grpc.MarketDataStub(channel)
