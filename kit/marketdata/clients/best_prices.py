"""The best prices of now, from the order books of the venue processes."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

import grpc
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc

from kit.base.clock import Clock
from kit.base.errors import UnknownService
from kit.base.service_channels import ServiceChannels

CALLS_MAX = 16
"""Of one venue, at a time."""
EXACT = (market_data_pb2.BOOK_STATE_PROVEN, market_data_pb2.BOOK_STATE_UNPROVEN)

InstrumentKey: TypeAlias = tuple[str, str]
"""Venue and symbol."""
Book: TypeAlias = market_data_pb2.GetOrderBookResponse


@dataclass(frozen=True, slots=True)
class BestPrices:
    """The top of a book, as its venue process has answered. Times are ns since the Unix epoch."""

    asked_time_ns: int
    """The book was as it is here at this time or later."""
    answered_time_ns: int = 0
    """0: no answer came in time."""
    book: Book = field(default_factory=Book)

    @property
    def bid(self) -> Decimal | None:
        """None if it is not known: the book may be wrong, or has no bid."""
        return self._best(self.book.bids)

    @property
    def ask(self) -> Decimal | None:
        """None if it is not known: the book may be wrong, or has no ask."""
        return self._best(self.book.asks)

    @property
    def state_name(self) -> str:
        """How good the book is, as "proven" or "unproven"; "" if it may be wrong."""
        if self.book.state not in EXACT:
            return ""
        name = market_data_pb2.BookState.Name(self.book.state)
        return name.removeprefix("BOOK_STATE_").lower()

    def _best(self, levels: Iterable[market_data_pb2.Level]) -> Decimal | None:
        if self.book.state not in EXACT:
            return None
        return next((Decimal(level.price) for level in levels), None)


class BestPriceClient:
    """Asks the processes of venues."""

    def __init__(self, channels: ServiceChannels, seconds_max: float, clock: Clock) -> None:
        """``seconds_max``: how long an answer is waited for."""
        self._channels = channels
        self._seconds_max = seconds_max
        self._clock = clock
        self._calls = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(CALLS_MAX))

    async def of(self, instruments: Iterable[InstrumentKey]) -> dict[InstrumentKey, BestPrices]:
        """The prices of instruments, which are asked for at the same time, each once."""
        wanted = sorted(set(instruments))
        found = await asyncio.gather(*(self._ask(*instrument) for instrument in wanted))
        return dict(zip(wanted, found, strict=True))

    async def _ask(self, venue: str, symbol: str) -> BestPrices:
        request = market_data_pb2.GetOrderBookRequest(venue=venue, symbol=symbol, depth=1)
        asked_ns = self._clock.time_ns()
        try:
            async with asyncio.timeout(self._seconds_max), self._calls[venue]:
                channel = await self._channels.channel(venue)
                asked_ns = self._clock.time_ns()
                stub = market_data_pb2_grpc.MarketDataStub(channel)
                book = await stub.GetOrderBook(request, timeout=self._seconds_max)
        except (TimeoutError, UnknownService, grpc.aio.AioRpcError):
            return BestPrices(asked_ns)
        return BestPrices(asked_ns, self._clock.time_ns(), book)
