"""Follows the trades streams of all venues, shows the bars and stores them.

Three loops share the venues. ``_consume`` reads entries; ``_publish`` shows what has changed;
``_persist`` writes it, together with the positions, and then tells the streams. What is written is
always the whole effect of the stream up to its position, so that a process that was killed goes on
from there as if nothing had happened.
"""

import asyncio
from collections.abc import Mapping

from google.protobuf.message import DecodeError
from venuemesh.common.v1 import types_pb2

from core.bars.board import Board
from core.bars.coverage import Span
from core.bars.instrument import Bar, Instrument
from core.bars.record import record
from core.bars.rows import MalformedBatch
from core.bars.settings import BarsSettings
from core.bars.store import CONSUMER, Snapshot, Store, instrument_row, restored
from core.bars.venue import Venue
from core.bars.watermark import Watermark
from kit import telemetry
from kit.backoff import delays
from kit.batches import Batch, newest_received_ns
from kit.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND, Clock
from kit.cursor import START, Cursor, StreamKey, channel_name
from kit.database import TROUBLE, PositionMoved
from kit.errors import StoreUnavailable
from kit.streams import Entry, Streams
from kit.telemetry import Meter, OncePerKind
from kit.troubles import Troubles

STREAMS_TROUBLE = "redis"
LOOK_SECONDS = 1.0
"""How often new streams are looked for, and the lag is measured."""
BLOCK_MS = 500

_log = telemetry.logger("bars")


class Aggregator:
    """The bars of all venues."""

    def __init__(
        self,
        settings: BarsSettings,
        world: str,
        streams: Streams,
        store: Store,
        board: Board,
        meter: Meter,
        troubles: Troubles,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._world = world
        self._streams = streams
        self._store = store
        self._board = board
        self._meter = meter
        self._troubles = troubles
        self._clock = clock
        self._kept_ns = settings.kept_seconds * NANOSECONDS_PER_SECOND
        self._malformed = OncePerKind(_log)
        board.standing = self.standing
        self._forget()

    async def run(self) -> None:
        """Endless. Begins anew when another process has taken the positions over."""
        while True:
            self._forget()
            await self._load()
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._look())
                    group.create_task(self._consume())
                    group.create_task(self._publish())
                    group.create_task(self._persist())
            except* PositionMoved as moved:
                _log.warning("begin anew", extra={"detail": str(moved.exceptions[0])})

    def standing(self, venue_id: str, symbol: str) -> list[Bar]:
        """The bars of an instrument that are not final, as of the last fold."""
        venue = self._venues.get(venue_id)
        instrument = venue.instruments.get(symbol) if venue else None
        return [bar for bar in instrument.bars.values() if not bar.final] if instrument else []

    def _forget(self) -> None:
        self._venues: dict[str, Venue] = {}
        # To the id of their venue; in the order in which they changed.
        self._changed_bars: dict[Bar, str] = {}
        self._changed_instruments: dict[Instrument, str] = {}
        self._folding = asyncio.Lock()
        self._room = asyncio.Event()
        self._known = asyncio.Event()

    async def _load(self) -> None:
        for delay_seconds in delays():
            try:
                self._venues = await self._store.load(self._make_venue, self._kept_ns)
            except StoreUnavailable as error:
                self._troubles.report(TROUBLE, error.message)
                await self._clock.sleep(delay_seconds)
            else:
                self._troubles.clear(TROUBLE)
                return

    def _make_venue(self, venue_id: str, newest_ns: int, position: Cursor) -> Venue:
        live = self._world == "live"
        watermark = Watermark(
            self._settings.lateness_ms * NANOSECONDS_PER_MILLISECOND,
            self._settings.ahead_max_ms * NANOSECONDS_PER_MILLISECOND if live else None,
            newest_ns,
        )
        return Venue(venue_id, watermark, self._world != "replay", position)

    async def _look(self) -> None:
        """Find new streams, measure the lag, and repeat commits that Redis may have lost."""
        while True:
            try:
                waiting = 0
                for key in await self._streams.keys():
                    if key.channel == types_pb2.CHANNEL_TRADES:
                        waiting += await self._lag(key)
                self._meter.waiting(waiting)
                self._troubles.clear(STREAMS_TROUBLE)
            except StoreUnavailable as error:
                self._troubles.report(STREAMS_TROUBLE, error.message)
            await self._commit(self._store.positions)
            await self._clock.sleep(LOOK_SECONDS)

    async def _lag(self, key: StreamKey) -> int:
        """Entries that wait, of the newest epoch. A stream that is new is followed from now on."""
        if key.venue not in self._venues:
            self._venues[key.venue] = self._make_venue(key.venue, 0, START)
            self._known.set()
        newest = await self._streams.last(key) or START
        position = self._venues[key.venue].position
        taken = position.sequence if newest.epoch == position.epoch else 0
        # A stream that has lost its end stands behind the position for a while.
        return max(0, newest.sequence - taken)

    async def _consume(self) -> None:
        waits = delays()
        while True:
            if not self._venues:
                await self._known.wait()
            after = {_key(venue): venue.position for venue in self._venues.values()}
            try:
                entries = await self._streams.read(after, self._settings.read_entries_max, BLOCK_MS)
            except StoreUnavailable as error:
                self._troubles.report(STREAMS_TROUBLE, error.message)
                await self._clock.sleep(next(waits))
                continue
            waits = delays()
            self._troubles.clear(STREAMS_TROUBLE)
            for entry in entries:
                self._take(entry)
            while self._is_full():
                self._room.clear()
                await self._room.wait()

    def _take(self, entry: Entry) -> None:
        venue = self._venues[entry.key.venue]
        gaps: list[types_pb2.Gap] = []
        count = 0
        try:
            batch = Batch.FromString(entry.batch)
            lost = venue.gap_before(entry.cursor, batch)
            gaps = [lost, *batch.gaps] if lost else list(batch.gaps)
            count = venue.take(entry.cursor, batch, gaps)
        except (DecodeError, MalformedBatch) as error:
            gaps = [venue.skip(entry.cursor, str(error))]
            self._meter.count("malformed_batches_total")
            self._malformed.warning(str(error), str(entry.cursor), stream=str(entry.key))
        self._meter.batch(channel_name(entry.key.channel), count)
        for gap in gaps:
            self._meter.gap(_reason(gap))
        if count:
            age_ns = self._clock.time_ns() - newest_received_ns(batch)
            self._meter.lag(age_ns / NANOSECONDS_PER_MILLISECOND)

    def _is_full(self) -> bool:
        waiting = sum(venue.waits_for_fold for venue in self._venues.values())
        return waiting + len(self._changed_bars) > self._settings.waiting_bars_max

    async def _publish(self) -> None:
        while True:
            await self._clock.sleep(self._settings.publish_interval_ms / 1000)
            if self._board.is_watched:
                async with self._folding:
                    await self._restore_late()
                    self._fold()

    async def _persist(self) -> None:
        while True:
            await self._clock.sleep(self._settings.store_interval_ms / 1000)
            async with self._folding:
                await self._restore_late()
                # No entry can be taken between these two: neither of them waits for anything.
                self._fold()
                snapshot = self._snapshot()
            self._room.set()
            if snapshot is None:
                continue
            await self._save(snapshot)
            async with self._folding:
                for venue in self._venues.values():
                    venue.evict(self._kept_ns, busy=self._changed_bars)
            await self._commit(snapshot.positions)

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
            for venue in self._venues.values()
            for instrument in venue.changed
            if (spans := instrument.unloaded(venue.horizon_ns))
        ]

    def _fold(self) -> None:
        """Make bars of all that has come, and show them."""
        for venue in self._venues.values():
            self._changed_instruments.update(dict.fromkeys(venue.changed, venue.venue_id))
            changed = venue.fold()
            self._changed_bars.update(dict.fromkeys(changed, venue.venue_id))
            self._board.show(venue.venue_id, changed)

    def _snapshot(self) -> Snapshot | None:
        """What has changed since the last one; None when no entry has come."""
        moved = [
            venue
            for venue in self._venues.values()
            if venue.position != self._store.positions.get(_key(venue), START)
        ]
        if not moved:
            return None
        snapshot = Snapshot(
            positions={_key(venue): venue.position for venue in moved},
            venues=[(venue.venue_id, venue.watermark.newest_ns) for venue in moved],
            instruments=[
                instrument_row(venue_id, instrument)
                for instrument, venue_id in self._changed_instruments.items()
            ],
            bars=[record(venue_id, bar) for bar, venue_id in self._changed_bars.items()],
        )
        self._changed_instruments.clear()
        self._changed_bars.clear()
        return snapshot

    async def _save(self, snapshot: Snapshot) -> None:
        for delay_seconds in delays():
            try:
                await self._store.save(snapshot)
            except StoreUnavailable as error:
                self._troubles.report(TROUBLE, error.message)
                await self._clock.sleep(delay_seconds)
            else:
                self._troubles.clear(TROUBLE)
                return

    async def _commit(self, positions: Mapping[StreamKey, Cursor]) -> None:
        """Let the streams be trimmed. A commit that is lost is made up for by a later one."""
        try:
            await self._streams.commit(CONSUMER, positions)
        except StoreUnavailable as error:
            _log.debug("not committed", extra={"detail": error.message})


def _key(venue: Venue) -> StreamKey:
    return StreamKey(venue.venue_id, types_pb2.CHANNEL_TRADES)


def _reason(gap: types_pb2.Gap) -> str:
    """Its name in lower case; a reason of a later version is "other"."""
    if gap.reason not in types_pb2.GapReason.values():
        return "other"
    return types_pb2.GapReason.Name(gap.reason).removeprefix("GAP_REASON_").lower()
