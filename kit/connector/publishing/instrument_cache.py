"""The instruments that a venue lists, cached between requests."""

import asyncio
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from kit.base.errors import UnknownInstrument, VenueUnavailable
from kit.connector.contract.venue import VenueHistory

Instrument = types_pb2.Instrument
Listed = Mapping[str, Instrument]
"""By native symbol, ascending."""
NONE: Listed = {}


class InstrumentDifference(NamedTuple):
    """A change of an instrument, and the instrument after it."""

    change: "batch_pb2.StatusChange.ValueType"
    instrument: Instrument


class InstrumentCache:
    """The instruments of one venue, by native symbol."""

    def __init__(self, venue_id: str, history: VenueHistory) -> None:
        self._venue_id = venue_id
        self._history = history
        self._listed: Listed = NONE
        self._fetching = asyncio.Lock()

    async def all(self) -> Listed:
        """The cached list; requested when there is none. Raises VenueUnavailable, RateLimited."""
        if not self._listed:
            async with self._fetching:
                if not self._listed:
                    self._listed = await self._fetch()
        return self._listed

    async def refresh(self) -> Listed:
        """Request the list again. When that fails, the cached list stays: raises VenueUnavailable,
        also for an empty list, and RateLimited."""
        async with self._fetching:
            self._listed = await self._fetch()
        return self._listed

    def known(self, symbol: str) -> Instrument | None:
        """A cached instrument, or None when it is not listed or no list was received yet."""
        return self._listed.get(symbol)

    def symbols(self) -> Collection[str]:
        """The cached symbols; none while no list was received yet."""
        return self._listed.keys()

    async def require(self, symbol: str) -> Instrument:
        """One instrument. Raises UnknownInstrument, VenueUnavailable, RateLimited."""
        listed = await self.all()
        if symbol not in listed:
            raise UnknownInstrument(
                f"{self._venue_id} does not list {symbol!r}", venue=self._venue_id, symbol=symbol
            )
        return listed[symbol]

    async def _fetch(self) -> Listed:
        rows = await self._history.instruments()
        if not rows:
            # No exchange lists nothing: the exchange is failing, or the response is something else.
            message = f"{self._venue_id} lists no instruments"
            raise VenueUnavailable(message, venue=self._venue_id, detail="empty list")
        return {row.symbol: row for row in sorted(rows, key=lambda row: row.symbol)}


def differences(before: Listed, now: Listed) -> Iterator[InstrumentDifference]:
    """The changes from one list to the next, by symbol. An instrument with the status DELISTED
    counts as not listed."""
    for symbol in sorted({*before, *now}):
        old, new = _if_listed(before.get(symbol)), _if_listed(now.get(symbol))
        if new is None:
            if old is not None:
                gone = Instrument()
                gone.CopyFrom(now.get(symbol, old))
                gone.status = types_pb2.INSTRUMENT_STATUS_DELISTED
                yield InstrumentDifference(batch_pb2.STATUS_CHANGE_DELISTED, gone)
        elif old is None:
            yield InstrumentDifference(batch_pb2.STATUS_CHANGE_LISTED, new)
        elif old != new:
            yield from _changes(old, new)


def _if_listed(instrument: Instrument | None) -> Instrument | None:
    if instrument is None or instrument.status == types_pb2.INSTRUMENT_STATUS_DELISTED:
        return None
    return instrument


def _changes(old: Instrument, new: Instrument) -> Iterator[InstrumentDifference]:
    other_terms = Instrument()
    other_terms.CopyFrom(old)
    other_terms.status = new.status
    if old.status != new.status and new.status in STATUS_CHANGES:
        yield InstrumentDifference(STATUS_CHANGES[new.status], new)
        if other_terms == new:
            return
    yield InstrumentDifference(batch_pb2.STATUS_CHANGE_TERMS, new)


STATUS_CHANGES = {
    types_pb2.INSTRUMENT_STATUS_HALTED: batch_pb2.STATUS_CHANGE_HALTED,
    types_pb2.INSTRUMENT_STATUS_TRADING: batch_pb2.STATUS_CHANGE_RESUMED,
}
"""The change that leads to a status."""
