"""Follows the trades and the repairs of all venues, shows the bars and stores them.

Several loops share what is followed. ``_hold`` keeps the leases of our shards; ``_consume`` reads
entries; ``_publish`` shows what has changed; ``_persist`` writes it, together with the positions;
``_remake`` makes days anew; ``_look`` finds new venues and tells the streams what is done. What is
written is always the whole effect of the streams up to its positions, so that a process that was
killed, or the one that takes its shards over, goes on from there as if nothing had happened.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from google.protobuf.message import DecodeError
from venuemesh.common.v1 import types_pb2

from core.bars.board import Board
from core.bars.changes import Changes
from core.bars.coverage import Span
from core.bars.factory import Factory
from core.bars.following import Following
from core.bars.instrument import Instrument
from core.bars.leases import Leases
from core.bars.record import BarRecord, event_record, record
from core.bars.remaker import Remaker
from core.bars.rows import MalformedBatch
from core.bars.settings import BarsSettings
from core.bars.shards import SHARDS, shard_of, shards_for
from core.bars.store import LeaseLost, Store
from core.bars.stored import restored
from core.bars.venue import Venue
from kit.base import telemetry
from kit.base.backoff import delays
from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND, Clock
from kit.base.cursor import START, Cursor, StreamKey, channel_name
from kit.base.database import TROUBLE, Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.base.telemetry import Meter, OncePerKind
from kit.marketdata.delivery.streams import RedisStreams, StreamEntry
from kit.marketdata.model.batches import Batch, newest_received_ns

CONSUMER = "bars"
STREAMS_TROUBLE = "redis"
RECORD_TROUBLE = "record"
LOOK_SECONDS = 1.0
"""How often new streams are looked for, and the lag is measured."""
REMAKE_SECONDS = 0.5
"""How often days that are wanted are looked for."""
CLAIMS_PER_LEASE = 4
"""How often a lease is renewed while it lasts."""
BLOCK_MS = 500

_log = telemetry.logger("bars")


class Aggregator:
    """The bars of the instruments in our shards."""

    def __init__(
        self,
        settings: BarsSettings,
        world: str,
        streams: RedisStreams,
        leases: Leases,
        database: Database,
        board: Board,
        meter: Meter,
        troubles: DegradedReasons,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._factory = Factory(settings, world)
        self._streams = streams
        self._leases = leases
        self._database = database
        self._board = board
        self._meter = meter
        self._troubles = troubles
        self._clock = clock
        self._kept_ns = settings.kept_seconds * NANOSECONDS_PER_SECOND
        self._malformed = OncePerKind(_log)
        self._remaker = Remaker(database, board, meter)
        self._shards = meter.gauge("shards", "Shards whose bars are made here")
        board.standing = self.standing
        self._forget()

    async def run(self) -> None:
        """Endless. Begins anew when another aggregator has taken a shard over."""
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
                        self._remake,
                    ):
                        group.create_task(loop())
            except* LeaseLost as lost:
                _log.warning("begin anew", extra={"detail": str(lost.exceptions[0])})
                self._board.owner_changed(range(SHARDS))

    async def leave(self) -> None:
        """Let others take over at once: the process ends."""
        try:
            await self._leases.leave(self._following.shards)
        except StoreUnavailable as error:
            _log.debug("the leases are left to run out", extra={"detail": error.message})

    def owns(self, venue_id: str, symbol: str) -> bool:
        """Whether the bars of this instrument are made here."""
        return shard_of(venue_id, symbol) in self._following.shards

    def standing(self, venue_id: str, symbol: str) -> list[BarRecord]:
        """The bars of an instrument that are not final: of time as of the last fold, of other kinds
        as of now."""
        instrument = self._following.instrument(venue_id, symbol)
        if instrument is None:
            return []
        bars = [record(venue_id, bar) for bar in instrument.bars.values() if not bar.final]
        return [*bars, *_standing_events(venue_id, instrument)]

    def _forget(self) -> None:
        self._store = Store(self._database, self._leases.member)
        self._following = Following(self._factory.new_venue)
        self._changes = Changes()
        self._venue_ids: set[str] = set()
        # Whoever needs both takes saving first.
        self._saving = asyncio.Lock()
        self._folding = asyncio.Lock()
        self._room = asyncio.Event()
        self._known = asyncio.Event()
        self._shards.set(0)

    async def _hold(self) -> None:
        """Keep the leases of the shards that are ours, and take or give what is not as it should
        be."""
        wanted: set[int] = set()
        while True:
            owned = frozenset(self._following.shards)
            try:
                members, granted = await self._leases.claim(wanted | owned)
                self._troubles.clear(STREAMS_TROUBLE)
            except StoreUnavailable as error:
                self._troubles.report(STREAMS_TROUBLE, error.message)
                await self._clock.sleep(self._leases.lease_seconds / CLAIMS_PER_LEASE)
                continue
            wanted, before = shards_for(self._leases.member, members), wanted
            await self._give_up(owned - granted, save=False)
            await self._give_up(owned - wanted, save=True)
            await self._adopt((granted & wanted) - owned)
            self._shards.set(len(self._following.shards))
            if wanted == before:
                await self._clock.sleep(self._leases.lease_seconds / CLAIMS_PER_LEASE)

    async def _adopt(self, shards: Collection[int]) -> None:
        if not shards:
            return
        try:
            venues = await self._store.acquire(
                shards, self._factory.make_venue, self._factory.read_instrument, self._kept_ns
            )
        except StoreUnavailable as error:
            self._troubles.report(TROUBLE, error.message)
            return
        self._troubles.clear(TROUBLE)
        self._following.adopt(shards, venues)
        for venue_id in self._venue_ids:
            self._following.follow(venue_id)
        self._known.set()
        _log.info("shards taken", extra={"shards": sorted(shards)})

    async def _give_up(self, shards: Collection[int], save: bool) -> None:
        """Let go of shards. Those that another holds already are not saved."""
        if not shards:
            return
        if save:
            async with self._stored():
                self._drop(shards)
            await self._leases.release(shards)
        else:
            async with self._saving, self._folding:
                self._drop(shards)
        _log.info("shards given up", extra={"shards": sorted(shards)})

    def _drop(self, shards: Collection[int]) -> None:
        self._following.give_up(shards)
        self._changes.drop(shards)
        self._store.forget(shards)
        self._board.owner_changed(shards)

    async def _look(self) -> None:
        """Find new venues, measure the lag, and let the streams be trimmed."""
        while True:
            try:
                waiting = 0
                for key in await self._streams.keys():
                    if key.channel == types_pb2.CHANNEL_TRADES:
                        waiting += await self._lag(key)
                self._meter.waiting(waiting)
                self._troubles.clear(STREAMS_TROUBLE)
                # The slowest shard of any aggregator counts. Redis may have lost an earlier commit.
                await self._streams.commit(CONSUMER, await self._store.done())
            except StoreUnavailable as error:
                if error.metadata.get("store") == TROUBLE:
                    _log.debug("not committed", extra={"detail": error.message})
                else:
                    self._troubles.report(STREAMS_TROUBLE, error.message)
            await self._clock.sleep(LOOK_SECONDS)

    async def _lag(self, key: StreamKey) -> int:
        """Entries that wait, of the newest epoch. A stream that is new is followed from now on."""
        self._venue_ids.add(key.venue)
        if self._following.follow(key.venue):
            self._known.set()
        newest = await self._streams.last(key) or START
        position = self._following.positions().get(key, START)
        taken = position.sequence if newest.epoch == position.epoch else 0
        # A stream that has lost its end stands behind the position for a while.
        return max(0, newest.sequence - taken)

    async def _consume(self) -> None:
        waits = delays()
        while True:
            while not (after := self._following.positions()):
                self._known.clear()
                await self._known.wait()
            try:
                entries = await self._streams.read(after, self._settings.read_entries_max, BLOCK_MS)
            except StoreUnavailable as error:
                self._troubles.report(STREAMS_TROUBLE, error.message)
                await self._clock.sleep(next(waits))
                continue
            waits = delays()
            self._troubles.clear(STREAMS_TROUBLE)
            for entry in entries:
                self._take(entry, after[entry.key])
            self._following.join()
            while self._is_full():
                self._room.clear()
                await self._room.wait()

    def _take(self, entry: StreamEntry, read_after: Cursor) -> None:
        """Give an entry to those that have not had it. A shard that was taken over while the
        entries were read may stand before the first of them; it has to wait for the next read."""
        behind = [
            venue
            for venue in self._following.of(entry.key.venue)
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
            self._meter.gap(_reason(gap))
        if count and entry.key.channel == types_pb2.CHANNEL_TRADES:
            age_ns = self._clock.time_ns() - newest_received_ns(batch)
            self._meter.lag(age_ns / NANOSECONDS_PER_MILLISECOND)

    @staticmethod
    def _give(venue: Venue, entry: StreamEntry, batch: Batch) -> tuple[int, list[types_pb2.Gap]]:
        if entry.key == venue.repairs_key:
            return venue.take_repairs(entry.cursor, batch), []
        lost = venue.gap_before(entry.cursor, batch)
        gaps = [lost, *batch.gaps] if lost else list(batch.gaps)
        return venue.take(entry.cursor, batch, gaps), gaps

    def _is_full(self) -> bool:
        room = self._settings.waiting_bars_max - len(self._changes)
        if sum(venue.waits_at_most for venue in self._following) <= room:
            return False
        return sum(venue.waits_for_fold() for venue in self._following) > room

    async def _publish(self) -> None:
        while True:
            await self._clock.sleep(self._settings.publish_interval_ms / 1000)
            if self._board.is_watched:
                async with self._folding:
                    await self._restore_late()
                    self._fold()
                for venue_id, symbol in self._board.watched_events():
                    instrument = self._following.instrument(venue_id, symbol)
                    if instrument is not None:
                        standing = _standing_events(venue_id, instrument)
                        self._board.show_standing(venue_id, symbol, standing)

    async def _persist(self) -> None:
        while True:
            await self._clock.sleep(self._settings.store_interval_ms / 1000)
            async with self._saving:
                await self._save()
                async with self._folding:
                    for venue in self._following:
                        venue.evict(self._kept_ns, busy=self._changes.bars)

    async def _save(self) -> None:
        """Store everything up to now. The caller holds the lock."""
        async with self._folding:
            await self._restore_late()
            # No entry can be taken between these two: neither of them waits for anything.
            self._fold()
            venues, shards = self._following, self._following.shards
            snapshot = self._changes.snapshot(venues, shards, self._store)
        self._room.set()
        if snapshot is None:
            return
        for delay_seconds in delays():
            try:
                await self._store.save(snapshot, self._clock.time_ns())
            except StoreUnavailable as error:
                self._troubles.report(TROUBLE, error.message)
                await self._clock.sleep(delay_seconds)
            else:
                self._troubles.clear(TROUBLE)
                return

    @asynccontextmanager
    async def _stored(self) -> AsyncIterator[Changes]:
        """Everything up to now is stored, and nothing is folded meanwhile."""
        async with self._saving:
            while True:
                await self._save()
                async with self._folding:
                    if not len(self._changes):
                        yield self._changes
                        return

    async def _remake(self) -> None:
        while True:
            try:
                busy = await self._remaker.step(self._following, self._store, self._stored)
                self._troubles.clear(RECORD_TROUBLE)
            except StoreUnavailable as error:
                busy = False
                self._troubles.report(RECORD_TROUBLE, error.message)
            if not busy:
                await self._clock.sleep(REMAKE_SECONDS)

    async def _restore_late(self) -> None:
        """Read the bars that late trades concern and that are no longer in memory."""
        waits = delays()
        while needed := self._unloaded():
            for venue, instrument, spans in needed:
                try:
                    rows = await self._store.load_bars(venue.venue_id, instrument.symbol, spans)
                except StoreUnavailable as error:
                    self._troubles.report(TROUBLE, error.message)
                    await self._clock.sleep(next(waits))
                else:
                    self._troubles.clear(TROUBLE)
                    bars = [restored(row, instrument) for row in rows]
                    venue.restore(instrument, bars, spans)

    def _unloaded(self) -> list[tuple[Venue, Instrument, list[Span]]]:
        return [
            (venue, instrument, spans)
            for venue in self._following
            for instrument in venue.changed
            if (spans := instrument.unloaded(venue.horizon_ns))
        ]

    def _fold(self) -> None:
        """Make bars of all that has come, and show them."""
        for venue in self._following:
            venue_id = venue.venue_id
            self._changes.add_instruments(venue_id, venue.changed)
            self._board.show(self._changes.add_bars(venue_id, venue.fold()))
            self._board.show(self._changes.add_events(venue_id, venue.settle()))


def _standing_events(venue_id: str, instrument: Instrument) -> list[BarRecord]:
    if instrument.events is None:
        return []
    standing = instrument.events.standing(instrument.scale)
    return [event_record(venue_id, instrument, event) for event in standing]


def _reason(gap: types_pb2.Gap) -> str:
    """Its name in lower case; a reason of a later version is "other"."""
    if gap.reason not in types_pb2.GapReason.values():
        return "other"
    return types_pb2.GapReason.Name(gap.reason).removeprefix("GAP_REASON_").lower()
