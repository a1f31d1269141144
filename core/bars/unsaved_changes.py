"""Changes since the last transaction."""

from collections.abc import Collection, Iterable

from core.bars.bar_record import BarKey, BarRecord, event_bar_record, time_bar_record
from core.bars.database_rows import instrument_row
from core.bars.event_bars import EventBar
from core.bars.instrument_bars import InstrumentBars, TimeBar
from core.bars.shards import shard_of
from core.bars.store import BarChangeSet, BarStore
from core.bars.venue_bars import VenueBars


class UnsavedChanges:
    """Bars and instruments that wait to be stored, in the order in which they changed."""

    def __init__(self) -> None:
        self.bars: dict[TimeBar, str] = {}
        """Changed time bars, with the id of their venue."""
        self._instruments: dict[InstrumentBars, str] = {}
        self._events: dict[BarKey, BarRecord] = {}
        self._removed: dict[BarKey, None] = {}

    def __len__(self) -> int:
        return len(self.bars) + len(self._events)

    def add_instruments(self, venue_id: str, instruments: Iterable[InstrumentBars]) -> None:
        """Note that the state of instruments has changed."""
        self._instruments.update(dict.fromkeys(instruments, venue_id))

    def add_bars(self, venue_id: str, bars: Iterable[TimeBar]) -> list[BarRecord]:
        """Note changed time bars. Returns their records."""
        changed = list(bars)
        self.bars.update(dict.fromkeys(changed, venue_id))
        return [time_bar_record(venue_id, bar) for bar in changed]

    def add_events(
        self, venue_id: str, events: Iterable[tuple[InstrumentBars, EventBar]]
    ) -> list[BarRecord]:
        """Note changed bars of other kinds. Returns their records."""
        records = []
        for instrument, event in events:
            records.append(event_bar_record(venue_id, instrument, event))
            self._instruments[instrument] = venue_id
        self.add_records(records)
        return records

    def add_records(self, records: Iterable[BarRecord]) -> None:
        for found in records:
            self._events[found.key] = found

    def remove(self, keys: Iterable[BarKey]) -> None:
        for key in keys:
            self._removed[key] = None

    def drop(self, shards: Collection[int]) -> None:
        """Forget the changes of these shards."""

        def stays(venue_id: str, symbol: str) -> bool:
            return shard_of(venue_id, symbol) not in shards

        self.bars = {b: v for b, v in self.bars.items() if stays(v, b.instrument.symbol)}
        self._instruments = {i: v for i, v in self._instruments.items() if stays(v, i.symbol)}
        self._events = {k: r for k, r in self._events.items() if stays(k.venue, k.symbol)}
        self._removed = {k: None for k in self._removed if stays(k.venue, k.symbol)}

    def snapshot(
        self, venues: Iterable[VenueBars], shards: Collection[int], store: BarStore
    ) -> BarChangeSet | None:
        """All changes, which are then forgotten; None when there are none."""
        positions = [position for venue in venues for position in store.moved(venue)]
        if not positions and not self._instruments and not len(self) and not self._removed:
            return None
        snapshot = BarChangeSet(
            shards=sorted(shards),
            positions=positions,
            instruments=[instrument_row(v, i) for i, v in self._instruments.items()],
            bars=[
                *(time_bar_record(venue_id, bar) for bar, venue_id in self.bars.items()),
                *self._events.values(),
            ],
            removed=list(self._removed),
        )
        self.bars = {}
        self._instruments.clear()
        self._events.clear()
        self._removed.clear()
        return snapshot
