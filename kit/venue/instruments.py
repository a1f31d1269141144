"""What a venue lists, fetched once and kept."""

import asyncio
from collections.abc import Mapping

from venuemesh.common.v1 import types_pb2

from kit.errors import UnknownInstrument
from kit.venue.contract import History


class Instruments:
    """The instruments of one venue, by native symbol."""

    def __init__(self, venue_id: str, history: History) -> None:
        self._venue_id = venue_id
        self._history = history
        self._listed: dict[str, types_pb2.Instrument] = {}
        self._fetching = asyncio.Lock()

    async def all(self) -> Mapping[str, types_pb2.Instrument]:
        """By symbol, ascending. Raises VenueUnavailable when they were never had."""
        async with self._fetching:
            if not self._listed:
                rows = await self._history.instruments()
                self._listed = {row.symbol: row for row in sorted(rows, key=lambda row: row.symbol)}
        return self._listed

    async def require(self, symbol: str) -> types_pb2.Instrument:
        """One of them. Raises UnknownInstrument."""
        listed = await self.all()
        if symbol not in listed:
            raise UnknownInstrument(
                f"{self._venue_id} does not list {symbol!r}", venue=self._venue_id, symbol=symbol
            )
        return listed[symbol]
