"""Calls the venue processes: their listings and order books."""

from collections.abc import Collection

from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc

from kit.base.clock import Clock
from kit.base.errors import UnknownInstrument, VenueUnavailable
from kit.base.service_channels import ServiceChannels
from kit.marketdata.clients.listed_instruments import ListedInstruments

CALL_TIMEOUT_SECONDS = 5.0
BOOK_DEPTH = 5_000


class VenueClients:
    """The venues in the registry."""

    def __init__(self, channels: ServiceChannels, clock: Clock) -> None:
        self._channels = channels
        self._instruments = ListedInstruments(channels, CALL_TIMEOUT_SECONDS, clock)

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

    async def require_listed(self, venue: str, symbols: Collection[str]) -> None:
        """Raises UnknownInstrument for the first symbol that the venue does not list. While the
        venue does not run or answer, every symbol passes."""
        if not self.knows(venue):
            return
        for symbol in await self._instruments.unlisted(venue, symbols):
            raise UnknownInstrument(f"{venue} does not list {symbol!r}", venue=venue, symbol=symbol)

    async def _stub(self, venue: str, epoch: int = 0) -> "market_data_pb2_grpc.MarketDataAsyncStub":
        channel = await self._channels.channel(venue, epoch=epoch)
        return market_data_pb2_grpc.MarketDataStub(channel)
