"""What is newest of every instrument of every venue: its terms and its best prices, in memory.

Each venue process is read directly, because a gap must end what was known before it, and
because only its own stream says once a second that nothing has happened.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.registry.v1 import registry_pb2

from kit.base import backoff, rpc, telemetry
from kit.base.clock import Clock
from kit.base.cursor import START, Cursor
from kit.base.directory import VENUE, ServiceDirectory
from kit.base.numbers import to_decimal
from kit.base.paging import whole_list
from kit.marketdata.model.batches import Batch

CALL_SECONDS_MAX = 30.0
LIST_AGAIN_SECONDS = 300.0
"""Changes of instruments come with the stream; this finds one that was missed."""
PAGE_SIZE = 1_000
RETRY_SECONDS_MAX = 5.0
CHANNELS = (types_pb2.CHANNEL_QUOTES, types_pb2.CHANNEL_STATUS)

_log = telemetry.logger("market_snapshots")


@dataclass(frozen=True, slots=True)
class QuoteSnapshot:
    """The best prices of an instrument."""

    bid: Decimal
    ask: Decimal
    changed_time_ns: int
    """When they were received, ns since the Unix epoch."""
    confirmed_time_ns: int
    """When the venue process last said that nothing has changed since, ns since the Unix epoch."""
    cursor: Cursor
    """Of the batch that they came with."""


@dataclass(frozen=True, slots=True)
class InstrumentSnapshot:
    """The terms of an instrument."""

    instrument: types_pb2.Instrument
    time_ns: int
    """When they were read, ns since the Unix epoch."""


@dataclass(frozen=True, slots=True)
class _Row:
    bid: Decimal
    ask: Decimal
    received_time_ns: int
    cursor: Cursor


class VenueSnapshot:
    """The newest data of one venue."""

    def __init__(self) -> None:
        self.instruments: dict[str, InstrumentSnapshot] = {}
        self._rows: dict[str, _Row] = {}
        self._confirmed_time_ns = 0
        self._cursor = START

    def quote(self, symbol: str) -> QuoteSnapshot | None:
        """The best prices; None while they are not known."""
        row = self._rows.get(symbol)
        if row is None:
            return None
        confirmed_ns = max(row.received_time_ns, self._confirmed_time_ns)
        return QuoteSnapshot(row.bid, row.ask, row.received_time_ns, confirmed_ns, row.cursor)

    def list(self, instruments: Iterable[types_pb2.Instrument], read_time_ns: int) -> None:
        """Take the listed instruments. What the stream has said later stays."""
        later = {
            symbol: known
            for symbol, known in self.instruments.items()
            if known.time_ns > read_time_ns
        }
        listed = {one.symbol: InstrumentSnapshot(one, read_time_ns) for one in instruments}
        self.instruments = listed | later

    def forget(self) -> None:
        """The stream has ended: prices may have changed unseen."""
        self._rows.clear()
        self._confirmed_time_ns, self._cursor = 0, START

    def apply(self, batch: Batch) -> None:
        """Take the next batch of the stream."""
        if batch.channel == types_pb2.CHANNEL_STATUS:
            self._apply_status(batch)
        elif batch.channel == types_pb2.CHANNEL_QUOTES:
            self._apply_quotes(batch)

    def _apply_status(self, batch: Batch) -> None:
        rows = batch.status
        for instrument, time_ns in zip(rows.definition, rows.received_time_ns, strict=True):
            self.instruments[instrument.symbol] = InstrumentSnapshot(instrument, time_ns)

    def _apply_quotes(self, batch: Batch) -> None:
        cursor = Cursor.of(batch.cursor)
        if self._cursor != START and not cursor.follows(self._cursor):
            self._rows.clear()
        self._cursor = cursor
        for gap in batch.gaps:
            if gap.symbol:
                self._rows.pop(gap.symbol, None)
            else:
                self._rows.clear()
        rows = batch.quotes
        # Of the rows of one instrument only the last one counts.
        newest = {place: row for row, place in enumerate(rows.instrument)}
        for place, row in newest.items():
            entry = batch.instruments[place]
            self._rows[entry.symbol] = _Row(
                to_decimal(rows.bid_price[row], entry.price_scale),
                to_decimal(rows.ask_price[row], entry.price_scale),
                rows.received_time_ns[row],
                cursor,
            )
        self._confirmed_time_ns = batch.published_time_ns


class MarketSnapshots:
    """The newest data of all venues in the registry."""

    def __init__(self, directory: ServiceDirectory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._venues: dict[str, VenueSnapshot] = {}
        self._reading: dict[str, tuple[str, asyncio.Task[None]]] = {}

    def quote(self, venue: str, symbol: str) -> QuoteSnapshot | None:
        """The best prices; None while they are not known."""
        found = self._venues.get(venue)
        return None if found is None else found.quote(symbol)

    def instrument(self, venue: str, symbol: str) -> InstrumentSnapshot | None:
        """The terms; None while they are not known, and for a symbol that is not listed."""
        found = self._venues.get(venue)
        return None if found is None else found.instruments.get(symbol)

    async def run(self) -> None:
        """Follow the registry and read each venue. Runs forever."""
        async with asyncio.TaskGroup() as group:
            async for services in self._directory.watch(VENUE):
                self._follow([service.instance for service in services], group)

    def _follow(
        self, instances: Sequence[registry_pb2.ServiceInstance], group: asyncio.TaskGroup
    ) -> None:
        """Read the first instance of each venue, also when it has moved."""
        for instance in {one.name: one for one in reversed(instances)}.values():
            address, task = self._reading.get(instance.name, ("", None))
            if address == instance.address:
                continue
            if task is not None:
                task.cancel()
            task = group.create_task(self._read(instance), name=f"read {instance.service_id}")
            self._reading[instance.name] = instance.address, task

    async def _read(self, instance: registry_pb2.ServiceInstance) -> None:
        snapshot = self._venues[instance.name] = VenueSnapshot()
        async with rpc.channel(instance.address, service_id=instance.service_id) as channel:
            reader = _VenueReader(
                instance.name, market_data_pb2_grpc.MarketDataStub(channel), snapshot, self._clock
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(reader.list_instruments())
                group.create_task(reader.stream())


@dataclass(frozen=True, slots=True)
class _VenueReader:
    """Reads one venue process, again when it was away."""

    venue: str
    stub: "market_data_pb2_grpc.MarketDataAsyncStub"
    snapshot: VenueSnapshot
    clock: Clock

    async def list_instruments(self) -> None:
        """List the instruments now and then. Runs forever."""
        waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        while True:
            request = market_data_pb2.ListInstrumentsRequest(venue=self.venue, page_size=PAGE_SIZE)
            read_ns = self.clock.time_ns()
            try:
                found = await whole_list(
                    self.stub.ListInstruments, request, timeout=CALL_SECONDS_MAX
                )
            except grpc.aio.AioRpcError as error:
                self._failed(error)
                await self.clock.sleep(next(waits))
                continue
            self.snapshot.list(found.instruments, read_ns)
            waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
            await self.clock.sleep(LIST_AGAIN_SECONDS)

    async def stream(self) -> None:
        """Follow prices and changes of instruments. Runs forever."""
        waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        request = market_data_pb2.SubscribeRequest(venue=self.venue, channels=CHANNELS)
        while True:
            try:
                async for response in self.stub.Subscribe(request):
                    waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
                    for batch in response.batches:
                        self.snapshot.apply(batch)
            except grpc.aio.AioRpcError as error:
                self._failed(error)
            finally:
                self.snapshot.forget()
            await self.clock.sleep(next(waits))

    def _failed(self, error: grpc.aio.AioRpcError) -> None:
        _log.debug("not read", extra={"venue": self.venue, "detail": error.details()})
