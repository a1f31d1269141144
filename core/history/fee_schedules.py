"""What venues charge in their usual tier, as the catalog states it."""

from decimal import Decimal

import grpc
from venuemesh.catalog.v1 import catalog_pb2, catalog_pb2_grpc

from kit.accounting.costed_orders import FeeRates
from kit.base import errors, rpc, telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.directory import REGISTRY
from kit.base.errors import UnknownVenue

CALL_SECONDS_MAX = 5.0
AWAY_SECONDS = 30
"""How long a catalog that does not answer is not asked again."""

_log = telemetry.logger("history.fees")


class FeeSchedules:
    """Asks the catalog once for each venue."""

    def __init__(self, registry: str, clock: Clock) -> None:
        self._clock = clock
        self._asked_again_ns = clock.monotonic_ns()
        self._channel = rpc.channel(registry, service_id=REGISTRY)
        self._catalog = catalog_pb2_grpc.CatalogStub(self._channel)
        self._known: dict[str, FeeRates | None] = {}

    async def of(self, venue: str) -> FeeRates | None:
        """The rates of a venue, or None if they are not known."""
        if venue not in self._known and self._clock.monotonic_ns() >= self._asked_again_ns:
            request = catalog_pb2.GetVenueRequest(venue=venue)
            try:
                answer = await self._catalog.GetVenue(request, timeout=CALL_SECONDS_MAX)
            except grpc.aio.AioRpcError as error:
                if errors.reason_of(error) != UnknownVenue.reason:
                    _log.warning("the catalog does not answer", extra={"venue": venue})
                    wait_ns = AWAY_SECONDS * NANOSECONDS_PER_SECOND
                    self._asked_again_ns = self._clock.monotonic_ns() + wait_ns
                    return None
                self._known[venue] = None
            else:
                self._known[venue] = _rates(answer.venue)
        return self._known.get(venue)

    async def close(self) -> None:
        await self._channel.close()


def _rates(venue: catalog_pb2.Venue) -> FeeRates | None:
    if not venue.HasField("fee_schedule"):
        return None
    return FeeRates(Decimal(venue.fee_schedule.maker), Decimal(venue.fee_schedule.taker))
