"""The STATUS channel: what the venue lists, and what changes about it while the process runs.

No venue is relied on to tell changes by itself: it is asked anew, and what is different is told. A
subscribed instrument that is not listed any more keeps its subscription for as long as anything
comes, as a list may lack it by mistake. When it is silent too, its connections let go of it, so
that they do not ask for it when they are made again. When it is listed again, it is asked for.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Protocol

from venuemesh.common.v1 import types_pb2

from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.errors import VenuemeshError
from kit.connector.contract.venue import CHANNEL_STATUS
from kit.connector.host.frame_pipeline import FramePipeline, Publisher
from kit.connector.host.instruments import (
    NONE,
    Difference,
    Instrument,
    InstrumentCache,
    Listed,
    differences,
)
from kit.marketdata.codec import encode

ROWS_MAX = 1_000
"""Of one batch."""

_log = telemetry.logger("venue.listing")


class Carrier(Protocol):
    """The connections that instruments are subscribed on; the session."""

    def add(self, symbols: Iterable[str]) -> None:
        """Subscribe to these on every wire."""

    def remove(self, symbols: Iterable[str]) -> None:
        """End these subscriptions."""


class ListingPublisher:
    """Keeps what is listed up to date, and tells what changes."""

    def __init__(
        self,
        instruments: InstrumentCache,
        pipeline: FramePipeline,
        publisher: Publisher,
        session: Carrier,
        clock: Clock,
    ) -> None:
        self.trouble = ""
        """Why the list may be old; empty: it is not."""
        self._instruments = instruments
        self._pipeline = pipeline
        self._subscriptions = pipeline.subscriptions
        self._publisher = publisher
        self._session = session
        self._clock = clock
        self._told: Listed = NONE
        self._gone_at_ns: dict[str, int] = {}
        """When a subscribed instrument was first not listed."""
        self._let_go: set[str] = set()

    async def begin(self) -> None:
        """Tell all that is listed. Raises VenueUnavailable, RateLimited."""
        self._told = NONE
        self._take(await self._instruments.all())

    async def run(self, interval_s: float) -> None:
        """Look again and again, endless."""
        while True:
            await self._clock.sleep(interval_s)
            await self.look()

    async def look(self) -> None:
        """Ask the venue what it lists now. When it does not say, what was had is kept."""
        try:
            listed = await self._instruments.refresh()
        except VenuemeshError as error:
            self._keep(error.message)
        except Exception as error:  # What is listed is the venue's own; the feed is not to end.
            self._keep(f"the list cannot be read: {error!r}")
        else:
            self.trouble = ""
            self._take(listed)

    def tell_all(self) -> None:
        """Tell all that is listed once more, to readers who know nothing."""
        self._publish(list(differences(NONE, self._told)))

    def _keep(self, why: str) -> None:
        if why != self.trouble:
            _log.warning("instruments not refreshed", extra={"detail": why})
        self.trouble = f"instruments may have changed: {why}"

    def _take(self, listed: Listed) -> None:
        found = list(differences(self._told, listed))
        self._told = listed
        self._publish(found)
        for symbol in self._subscriptions.symbols:
            instrument = listed.get(symbol)
            self._subscriptions.idle(symbol, _why_idle(instrument))
            if _why_idle(instrument) == DELISTED:
                self._gone(symbol)
            elif symbol in self._gone_at_ns:
                self._back(symbol)

    def _gone(self, symbol: str) -> None:
        if symbol not in self._gone_at_ns:
            self._gone_at_ns[symbol] = self._clock.time_ns()
        elif symbol not in self._let_go and self._silent(symbol):
            self._let_go.add(symbol)
            self._session.remove([symbol])
            self._pipeline.book_manager.suspend(symbol)
            self._pipeline.reconnected([symbol], self._subscriptions.channels, DELISTED)

    def _back(self, symbol: str) -> None:
        if symbol in self._let_go or self._silent(symbol):
            self._session.remove([symbol])
            self._pipeline.reconnected([symbol], self._subscriptions.channels, "listed again")
            self._pipeline.book_manager.resume(symbol)
            self._session.add([symbol])
        self._let_go.discard(symbol)
        del self._gone_at_ns[symbol]

    def _silent(self, symbol: str) -> bool:
        """Whether nothing has come since it is not listed."""
        newest = (
            self._subscriptions.received_time_ns(symbol, channel)
            for channel in self._subscriptions.channels
            if channel != CHANNEL_STATUS
        )
        return max(newest, default=0) < self._gone_at_ns[symbol]

    def _publish(self, found: Sequence[Difference]) -> None:
        rows = iter(found)
        while some := list(islice(rows, ROWS_MAX)):
            draft = encode.statuses(
                [one.instrument for one in some],
                [one.change for one in some],
                self._clock.time_ns(),
            )
            self._subscriptions.note(CHANNEL_STATUS, draft)
            self._publisher.publish(CHANNEL_STATUS, draft)


DELISTED, HALTED = "delisted", "halted"


def _why_idle(instrument: Instrument | None) -> str:
    if instrument is None or instrument.status == types_pb2.INSTRUMENT_STATUS_DELISTED:
        return DELISTED
    return HALTED if instrument.status == types_pb2.INSTRUMENT_STATUS_HALTED else ""
