"""Follows the trades and repairs of all venues, publishes the bars and stores them.

Several loops share the followed venues: ``_hold`` keeps the leases of this aggregator's shards,
``_consume`` reads entries, ``_publish`` sends changes to subscribers, ``_persist`` stores changes
together with the stream positions, ``_rebuild_days`` rebuilds days, and ``_look`` finds new venues
and commits stored positions to Redis. A transaction always holds the whole effect of the streams up
to its positions. So a process that was killed, or an aggregator that takes its shards over, resumes
without loss.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from venuemesh.common.v1 import types_pb2

from core.bars.bar_record import BarRecord, event_bar_record, time_bar_record
from core.bars.batch_trades import MalformedBatch
from core.bars.coverage import Span
from core.bars.database_rows import bar_of_row
from core.bars.day_rebuilder import DayRebuilder
from core.bars.instrument_bars import InstrumentBars
from core.bars.owned_shards import OwnedShards
from core.bars.shards import SHARDS, shard_of
from core.bars.store import BarStore
from core.bars.subscribers import BarSubscribers
from core.bars.unsaved_changes import UnsavedChanges
from core.bars.venue_bars import VenueBars
from core.bars.venue_bars_factory import VenueBarsFactory
from kit.base import telemetry
from kit.base.backoff import delays
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.cursor import START, Cursor, StreamKey, channel_name, gap_reason_name
from kit.base.database import POSTGRESQL, Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.base.telemetry import LogDeduplicator, Meter
from kit.events.leases import LeaseLost
from kit.events.shared_leases import LEASES, SharedLeases
from kit.marketdata.delivery.redis_streams import RedisStreams, StreamEntry
from kit.marketdata.model.batches import Batch, newest_received_ns

CONSUMER = "bars"
REDIS_REASON = "redis"
RECORD_REASON = "record"
LOOK_SECONDS = 1.0
"""Interval of the search for new streams and of the measurement of lag."""
REBUILD_SECONDS = 0.5
"""Interval of the search for days to rebuild."""
BLOCK_MS = 500

_log = telemetry.logger("bars")


@dataclass(frozen=True, slots=True)
class BackendConnections:
    """The servers that an aggregator uses."""

    streams: RedisStreams
    leases: SharedLeases
    database: Database


class Aggregator:
    """Makes the bars of the instruments in the shards that it holds."""

    def __init__(
        self,
        factory: VenueBarsFactory,
        connections: BackendConnections,
        subscribers: BarSubscribers,
        meter: Meter,
        degraded_reasons: DegradedReasons,
        clock: Clock,
    ) -> None:
        self._factory = factory
        self._settings = factory.settings
        self._streams = connections.streams
        self._leases = connections.leases
        self._database = connections.database
        self._subscribers = subscribers
        self._meter = meter
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self._kept_ns = factory.settings.kept_seconds * NANOSECONDS_PER_SECOND
        self._malformed = LogDeduplicator(_log)
        self._rebuilder = DayRebuilder(connections.database, subscribers, meter)
        self._shards = meter.gauge("shards", "Shards that this aggregator holds")
        self._forget()

    async def run(self) -> None:
        """Run until cancelled. Starts again from the database when a shard is lost."""
        while True:
            self._forget()
            try:
                async with asyncio.TaskGroup() as group:
                    for loop in (
                        self._hold,
                        self._look,
                        self._consume,
                        self._publish,
                        self._persist,
                        self._rebuild_days,
                    ):
                        group.create_task(loop())
            except* LeaseLost as lost:
                _log.warning(
                    "lease lost; starting again", extra={"detail": str(lost.exceptions[0])}
                )
                self._subscribers.owner_changed(range(SHARDS))

    async def leave(self) -> None:
        """Release the leases, so that other aggregators take over at once."""
        try:
            await self._leases.leave()
        except StoreUnavailable as error:
            _log.debug("leases not released; they expire", extra={"detail": error.message})

    def owns(self, venue_id: str, symbol: str) -> bool:
        """Whether this aggregator makes the bars of an instrument."""
        return shard_of(venue_id, symbol) in self._venues.shards

    def open_bars(self, venue_id: str, symbol: str) -> list[BarRecord]:
        """The bars of an instrument that are not final: time bars as of the last roll-up."""
        instrument = self._venues.instrument(venue_id, symbol)
        if instrument is None:
            return []
        bars = [time_bar_record(venue_id, bar) for bar in instrument.bars.values() if not bar.final]
        return [*bars, *_open_event_bars(venue_id, instrument)]

    def _forget(self) -> None:
        self._store = BarStore(self._database, self._leases)
        self._venues = OwnedShards(self._factory.new_venue)
        self._changes = UnsavedChanges()
        self._venue_ids: set[str] = set()
        # Lock order: saving before rolling up.
        self._saving = asyncio.Lock()
        self._rolling_up = asyncio.Lock()
        self._room = asyncio.Event()
        self._known = asyncio.Event()
        self._shards.set(0)

    async def _hold(self) -> None:
        """Renew the leases, take the shards that are due to this aggregator, and release the
        others."""
        while True:
            try:
                due = await self._leases.claim()
                owned, held = frozenset(self._venues.shards), self._leases.held
                await self._give_up(owned - held, save=False)
                await self._give_up(owned & held - due, save=True)
                await self._adopt(held & due - owned)
                self._degraded_reasons.clear(POSTGRESQL)
                self._degraded_reasons.set(LEASES, self._leases.problem)
            except StoreUnavailable as error:
                # The leases stay until another aggregator takes them, which needs the database too.
                self._degraded_reasons.report(POSTGRESQL, error.message)
            self._shards.set(len(self._venues.shards))
            await self._clock.sleep(self._leases.claim_interval_seconds)

    async def _adopt(self, shards: Collection[int]) -> None:
        if not shards:
            return
        venues = await self._store.load_shards(
            shards, self._factory.make_venue, self._factory.read_instrument, self._kept_ns
        )
        self._venues.adopt(shards, venues)
        for venue_id in self._venue_ids:
            self._venues.follow(venue_id)
        self._known.set()
        _log.info("shards acquired", extra={"shards": sorted(shards)})

    async def _give_up(self, shards: Collection[int], save: bool) -> None:
        """Release shards. Do not save those that another aggregator holds already."""
        if not shards:
            return
        if save:
            async with self._all_stored():
                self._drop(shards)
            await self._leases.release(shards)
        else:
            async with self._saving, self._rolling_up:
                self._drop(shards)
        _log.info("shards released", extra={"shards": sorted(shards)})

    def _drop(self, shards: Collection[int]) -> None:
        self._venues.give_up(shards)
        self._changes.drop(shards)
        self._store.forget(shards)
        self._subscribers.owner_changed(shards)

    async def _look(self) -> None:
        """Find new venues, measure lag, and commit positions so that streams can be trimmed."""
        while True:
            try:
                waiting = 0
                for key in await self._streams.keys():
                    if key.channel == types_pb2.CHANNEL_TRADES:
                        waiting += await self._lag(key)
                self._meter.waiting(waiting)
                self._degraded_reasons.clear(REDIS_REASON)
                # The slowest shard of all aggregators counts. Committed each time, as Redis may
                # have lost an earlier commit.
                await self._streams.commit(CONSUMER, await self._store.done())
            except StoreUnavailable as error:
                if error.metadata.get("store") == POSTGRESQL:
                    _log.debug("not committed", extra={"detail": error.message})
                else:
                    self._degraded_reasons.report(REDIS_REASON, error.message)
            await self._clock.sleep(LOOK_SECONDS)

    async def _lag(self, key: StreamKey) -> int:
        """Entries of the newest epoch that are not read yet. Follows the venue if it is new."""
        self._venue_ids.add(key.venue)
        if self._venues.follow(key.venue):
            self._known.set()
        newest = await self._streams.last(key) or START
        position = self._venues.positions().get(key, START)
        taken = position.sequence if newest.epoch == position.epoch else 0
        # A stream that has lost its end is behind the position for a while.
        return max(0, newest.sequence - taken)

    async def _consume(self) -> None:
        waits = delays()
        while True:
            while not (after := self._venues.positions()):
                self._known.clear()
                await self._known.wait()
            try:
                entries = await self._streams.read(after, self._settings.read_entries_max, BLOCK_MS)
            except StoreUnavailable as error:
                self._degraded_reasons.report(REDIS_REASON, error.message)
                await self._clock.sleep(next(waits))
                continue
            waits = delays()
            self._degraded_reasons.clear(REDIS_REASON)
            for entry in entries:
                self._take(entry, after[entry.key])
            self._venues.join()
            while self._is_full():
                self._room.clear()
                await self._room.wait()

    def _take(self, entry: StreamEntry, read_after: Cursor) -> None:
        """Apply an entry to the venues that have not had it. A shard that was acquired while the
        entries were read may be at an earlier position; it waits for the next read."""
        behind = [
            venue
            for venue in self._venues.of(entry.key.venue)
            if read_after <= venue.positions[entry.key] < entry.cursor
        ]
        if not behind:
            return
        try:
            batch = Batch.FromString(entry.batch)
            for venue in behind:
                taken = self._give(venue, entry, batch)
        except (DecodeError, MalformedBatch) as error:
            gap = [venue.skip(entry.key, entry.cursor, str(error)) for venue in behind][-1]
            taken = 0, [gap]
            self._meter.count("malformed_batches_total")
            self._malformed.warning(str(error), str(entry.cursor), stream=str(entry.key))
        count, gaps = taken
        self._meter.batch(channel_name(entry.key.channel), count)
        for gap in gaps:
            self._meter.gap(gap_reason_name(gap.reason))
        if count and entry.key.channel == types_pb2.CHANNEL_TRADES:
            age_ns = self._clock.time_ns() - newest_received_ns(batch)
            self._meter.lag(age_ns)

    @staticmethod
    def _give(
        venue: VenueBars, entry: StreamEntry, batch: Batch
    ) -> tuple[int, list[types_pb2.Gap]]:
        if entry.key == venue.repairs_key:
            return venue.take_repairs(entry.cursor, batch), []
        lost = venue.gap_before(entry.cursor, batch)
        gaps = [lost, *batch.gaps] if lost else list(batch.gaps)
        return venue.take(entry.cursor, batch, gaps), gaps

    def _is_full(self) -> bool:
        room = self._settings.waiting_bars_max - len(self._changes)
        if sum(venue.waiting_partials_max for venue in self._venues) <= room:
            return False
        return sum(venue.waiting_partials() for venue in self._venues) > room

    async def _publish(self) -> None:
        while True:
            await self._clock.sleep(self._settings.publish_interval_ms / 1000)
            if self._subscribers.is_watched:
                async with self._rolling_up:
                    await self._restore_late()
                    self._roll_up()
                for venue_id, symbol in self._subscribers.watched_events():
                    instrument = self._venues.instrument(venue_id, symbol)
                    if instrument is not None:
                        open_bars = _open_event_bars(venue_id, instrument)
                        self._subscribers.show_open(venue_id, symbol, open_bars)

    async def _persist(self) -> None:
        while True:
            await self._clock.sleep(self._settings.store_interval_ms / 1000)
            async with self._saving:
                await self._save()
                async with self._rolling_up:
                    for venue in self._venues:
                        venue.evict(self._kept_ns, busy=self._changes.bars)

    async def _save(self) -> None:
        """Store all changes up to now. The caller holds the lock for saving."""
        async with self._rolling_up:
            await self._restore_late()
            # Neither of the next calls awaits anything, so no entry comes between them.
            self._roll_up()
            venues, shards = self._venues, self._venues.shards
            snapshot = self._changes.snapshot(venues, shards, self._store)
        self._room.set()
        if snapshot is None:
            return
        for delay_seconds in delays():
            try:
                await self._store.save(snapshot, self._clock.time_ns())
            except StoreUnavailable as error:
                self._degraded_reasons.report(POSTGRESQL, error.message)
                await self._clock.sleep(delay_seconds)
            else:
                self._degraded_reasons.clear(POSTGRESQL)
                return

    @asynccontextmanager
    async def _all_stored(self) -> AsyncIterator[UnsavedChanges]:
        """A context in which all changes are stored and no bars change."""
        async with self._saving:
            while True:
                await self._save()
                async with self._rolling_up:
                    if not len(self._changes):
                        yield self._changes
                        return

    async def _rebuild_days(self) -> None:
        while True:
            try:
                busy = await self._rebuilder.step(self._venues, self._store, self._all_stored)
                self._degraded_reasons.clear(RECORD_REASON)
            except StoreUnavailable as error:
                busy = False
                self._degraded_reasons.report(RECORD_REASON, error.message)
            if not busy:
                await self._clock.sleep(REBUILD_SECONDS)

    async def _restore_late(self) -> None:
        """Load the bars that late trades change and that are no longer in memory."""
        waits = delays()
        while needed := self._unloaded():
            for venue, instrument, spans in needed:
                try:
                    rows = await self._store.load_bars(venue.venue_id, instrument.symbol, spans)
                except StoreUnavailable as error:
                    self._degraded_reasons.report(POSTGRESQL, error.message)
                    await self._clock.sleep(next(waits))
                else:
                    self._degraded_reasons.clear(POSTGRESQL)
                    bars = [bar_of_row(row, instrument) for row in rows]
                    venue.restore(instrument, bars, spans)

    def _unloaded(self) -> list[tuple[VenueBars, InstrumentBars, list[Span]]]:
        return [
            (venue, instrument, spans)
            for venue in self._venues
            for instrument in venue.changed
            if (spans := instrument.unloaded(venue.horizon_ns))
        ]

    def _roll_up(self) -> None:
        """Make bars of all trades received so far, and publish the changed ones."""
        for venue in self._venues:
            venue_id = venue.venue_id
            self._changes.add_instruments(venue_id, venue.changed)
            self._subscribers.show(self._changes.add_bars(venue_id, venue.roll_up()))
            self._subscribers.show(self._changes.add_events(venue_id, venue.settle()))


def _open_event_bars(venue_id: str, instrument: InstrumentBars) -> list[BarRecord]:
    if instrument.events is None:
        return []
    open_bars = instrument.events.open_bars(instrument.scale)
    return [event_bar_record(venue_id, instrument, event) for event in open_bars]
