"""The prices of now, from the venues' order books."""

import asyncio
from collections.abc import Collection
from decimal import Decimal
from typing import NamedTuple

import grpc
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.registry.v1 import registry_pb2

from core.ledger.contracts import InstrumentKey
from kit.accounting.amounts import add, quotient
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.directory import VENUE, ServiceDirectory
from kit.base.service_channels import ServiceChannels

CALL_SECONDS_MAX = 2.0
CALLS_MAX = 16
"""At a time."""
INSTRUMENTS_MAX = 500
"""Of one request; the prices of others are not known."""
KEPT_NS = NANOSECONDS_PER_SECOND
"""How long a price is used again."""
EXACT_BOOKS = (market_data_pb2.BOOK_STATE_PROVEN, market_data_pb2.BOOK_STATE_UNPROVEN)


class _Price(NamedTuple):
    price: Decimal | None
    time_ns: int


class MarketPrices:
    """The middle of the best bid and ask of instruments."""

    def __init__(self, directory: ServiceDirectory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._instances: dict[str, registry_pb2.ServiceInstance] = {}
        self._channels = ServiceChannels()
        self._kept: dict[InstrumentKey, _Price] = {}
        self._calls = asyncio.Semaphore(CALLS_MAX)

    async def run(self) -> None:
        """Follow the registry. Runs forever."""
        async for services in self._directory.watch(VENUE):
            self._instances = {service.instance.name: service.instance for service in services}

    async def of(self, instruments: Collection[InstrumentKey]) -> dict[InstrumentKey, Decimal]:
        """The prices that are known."""
        wanted = sorted(set(instruments))[:INSTRUMENTS_MAX]
        now_ns = self._clock.monotonic_ns()
        self._kept = {
            instrument: found
            for instrument, found in self._kept.items()
            if now_ns - found.time_ns < KEPT_NS
        }
        missing = [instrument for instrument in wanted if instrument not in self._kept]
        asked = await asyncio.gather(*(self._ask(instrument) for instrument in missing))
        for instrument, price in zip(missing, asked, strict=True):
            self._kept[instrument] = _Price(price, now_ns)
        prices = {instrument: self._kept[instrument].price for instrument in wanted}
        return {name: price for name, price in prices.items() if price is not None}

    async def close(self) -> None:
        await self._channels.close()

    async def _ask(self, instrument: InstrumentKey) -> Decimal | None:
        instance = self._instances.get(instrument.venue)
        if instance is None:
            return None
        request = market_data_pb2.GetOrderBookRequest(
            venue=instrument.venue, symbol=instrument.symbol, depth=1
        )
        async with self._calls:
            channel = await self._channels.to(instrument.venue, instance)
            stub = market_data_pb2_grpc.MarketDataStub(channel)
            try:
                book = await stub.GetOrderBook(request, timeout=CALL_SECONDS_MAX)
            except grpc.aio.AioRpcError:
                return None
        return middle(book)


def middle(book: market_data_pb2.GetOrderBookResponse) -> Decimal | None:
    """The middle of the best bid and ask, or None if the book is not known to be right or lacks a
    side."""
    if book.state not in EXACT_BOOKS or not book.bids or not book.asks:
        return None
    return quotient(add(Decimal(book.bids[0].price), Decimal(book.asks[0].price)), Decimal(2))
