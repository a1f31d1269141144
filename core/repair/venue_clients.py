"""Calls the venue processes: their features, past trades and candles."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation

import grpc
from venuemesh.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc

from core.repair.record_reader import MinuteCandle
from core.repair.trade_merge import ExactTrade
from kit.base import errors, rpc, telemetry
from kit.base.directory import REGISTRY
from kit.base.errors import RateLimited, UnknownService, UnknownVenue
from kit.base.service_channels import ServiceChannels

CALL_SECONDS_MAX = 60.0
"""A venue's process keeps calls for the past back while more urgent ones wait."""
PAGE_SIZE = 1_000
NEVER = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.UNIMPLEMENTED,
}
"""Status codes after which a retry does not help."""
AWAY_SECONDS = 1.0

_log = telemetry.logger("repair.venues")

Features = catalog_pb2.Features
UNKNOWN = Features(candles_sum_trades=True)
"""Features of a venue that the catalog does not know."""


class RetryableVenueError(Exception):
    """The venue does not answer, or its rate limit is reached: retry after ``seconds``."""

    def __init__(self, why: str, seconds: float, is_limit: bool = False) -> None:
        super().__init__(why)
        self.seconds = seconds
        """How long to wait."""
        self.is_limit = is_limit
        """Whether a rate limit is the reason, which is no failure."""


class PermanentVenueError(Exception):
    """The venue does not have this; a retry does not help."""


class VenueClients:
    """The venue processes of the mesh. Calls raise RetryableVenueError and PermanentVenueError."""

    def __init__(self, channels: ServiceChannels, registry: str) -> None:
        self._channels = channels
        self._registry = rpc.channel(registry, service_id=REGISTRY)
        self._catalog = catalog_pb2_grpc.CatalogStub(self._registry)
        self._features: dict[str, Features] = {}
        self.call_counts: dict[str, int] = {}
        """Calls so far, by venue."""

    def runs(self, venue: str) -> bool:
        """Return whether a process of the venue is registered."""
        return bool(self._channels.instances(venue))

    async def features(self, venue: str) -> Features:
        """Return what its connector declares. Raises RetryableVenueError without the catalog."""
        if venue not in self._features:
            request = catalog_pb2.GetVenueRequest(venue=venue)
            try:
                answer = await self._catalog.GetVenue(request, timeout=CALL_SECONDS_MAX)
            except grpc.aio.AioRpcError as error:
                if errors.reason_of(error) != UnknownVenue.reason:
                    raise RetryableVenueError(
                        "the catalog does not answer", AWAY_SECONDS
                    ) from error
                _log.info("not in the catalog", extra={"venue": venue})
                self._features[venue] = UNKNOWN
            else:
                self._features[venue] = answer.venue.features
        return self._features[venue]

    async def trades(
        self, venue: str, symbol: str, first_id: int, start_time_ns: int
    ) -> Sequence[ExactTrade]:
        """Return one page of past trades, from an id on, or from a time on if ``first_id`` is 0."""
        request = market_data_pb2.ListTradesRequest(
            venue=venue,
            symbol=symbol,
            first_trade_id=first_id,
            start_time_ns=start_time_ns,
            page_size=PAGE_SIZE,
        )
        stub = await self._stub(venue)
        with _translated_errors(venue):
            answer = await stub.ListTrades(request, timeout=CALL_SECONDS_MAX)
            return [_trade(one) for one in answer.trades]

    async def candles(
        self, venue: str, symbol: str, start_time_ns: int, interval: str = "1m"
    ) -> dict[int, MinuteCandle]:
        """Return one page of candles by open time, oldest first."""
        request = market_data_pb2.ListCandlesRequest(
            venue=venue, symbol=symbol, interval=interval, start_time_ns=start_time_ns,
            page_size=PAGE_SIZE,
        )  # fmt: skip
        stub = await self._stub(venue)
        with _translated_errors(venue):
            answer = await stub.ListCandles(request, timeout=CALL_SECONDS_MAX)
            return {
                one.open_time_ns: MinuteCandle(
                    *map(Decimal, (one.open, one.high, one.low, one.close, one.volume))
                )
                for one in answer.candles
            }

    async def close(self) -> None:
        await self._registry.close()

    async def _stub(self, venue: str) -> "market_data_pb2_grpc.MarketDataAsyncStub":
        try:
            channel = await self._channels.channel(venue)
        except UnknownService as error:
            raise RetryableVenueError(error.message, AWAY_SECONDS) from error
        self.call_counts[venue] = self.call_counts.get(venue, 0) + 1
        return market_data_pb2_grpc.MarketDataStub(channel)


@contextmanager
def _translated_errors(venue: str) -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise _translated(error) from error
    except InvalidOperation as error:
        raise PermanentVenueError(f"{venue} returned a value that is not a number") from error


def _trade(reported: market_data_pb2.Trade) -> ExactTrade:
    numbers = Decimal(reported.price), Decimal(reported.size)
    return ExactTrade(reported.trade_id, *numbers, reported.side, reported.venue_time_ns)


def _translated(error: grpc.aio.AioRpcError) -> RetryableVenueError | PermanentVenueError:
    words = error.details() or error.code().name
    info = errors.error_info(error)
    if info is not None and info.reason == RateLimited.reason:
        seconds = int(info.metadata.get("retry_after_ms", "0") or 0) / 1000
        return RetryableVenueError(words, max(seconds, AWAY_SECONDS), is_limit=True)
    if error.code() in NEVER:
        return PermanentVenueError(words)
    return RetryableVenueError(words, AWAY_SECONDS)
