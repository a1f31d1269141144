"""Rebuilds a day of event bars from the recorded trades.

A late or fetched trade changes every event bar after it, so all bars of its day are rebuilt. The
rebuild waits until the recorder has stored the trade. For the current day new bars are made
meanwhile; trades settled from then on are kept in a log and processed after the recorded ones.

    marked ──(recorded)──▶ read, rebuilt ──(+ log)──▶ compared with the stored bars
"""

from collections.abc import Iterable
from dataclasses import dataclass

from core.bars import series
from core.bars.bar_arithmetic import PartialBar, TradeArrays
from core.bars.bar_record import BarKey, BarRecord, event_bar_record
from core.bars.database_rows import EventRow, event_bar_of_row
from core.bars.event_bars import EventBar, InstrumentEventBars
from core.bars.instrument_bars import InstrumentBars
from core.bars.rules import rule
from core.bars.series import DAY_NS, BarSeriesState, SeriesBar
from core.bars.venue_bars import VenueBars
from kit.base.cursor import START, Cursor, StreamKey
from kit.marketdata.model.columns import Scale

LOG_ROWS_MAX = 200_000
"""Most trades in a log; beyond that the rebuild of the current day starts again."""


@dataclass(frozen=True, slots=True)
class RebuildTask:
    """A day to rebuild."""

    venue: VenueBars
    instrument: InstrumentBars
    events: InstrumentEventBars
    day_ns: int
    until_ns: int
    """Trades before this time are read from the record; later ones are in the log."""
    wanted: dict[StreamKey, Cursor]
    """Positions that the recorder must have reached for the trades that marked the day."""
    needs: dict[StreamKey, Cursor]
    """Positions that the recorder must have reached for all trades of the day."""

    @property
    def is_current(self) -> bool:
        """Whether the day was not over when the task began."""
        return self.until_ns < self.day_ns + DAY_NS

    def may_begin(self, recorded: dict[StreamKey, Cursor]) -> bool:
        """Whether all trades that it needs are recorded."""
        return all(recorded.get(key, START) >= cursor for key, cursor in self.needs.items())

    @property
    def log_is_full(self) -> bool:
        """Whether the task has to start again."""
        return sum(len(trades.time_ns) for trades in self.events.log or ()) > LOG_ROWS_MAX


def next_task(venues: Iterable[VenueBars]) -> RebuildTask | None:
    """A task for the newest marked day, with its log started."""
    found = max(
        (
            (day_ns, venue.venue_id, instrument.symbol, venue, instrument, instrument.events)
            for venue in venues
            for instrument in venue.instruments.values()
            if instrument.events is not None
            for day_ns in instrument.events.wanted
        ),
        key=lambda item: item[:3],
        default=None,
    )
    if found is None:
        return None
    day_ns, _, _, venue, instrument, events = found
    wanted = dict(events.wanted[day_ns])
    # All trades that bars were made of must be recorded, whichever batch they came with.
    needs = {key: max(cursor, wanted.get(key, START)) for key, cursor in venue.positions.items()}
    until_ns = min(day_ns + DAY_NS, events.settled_ns)
    if until_ns < day_ns + DAY_NS:
        events.log = []
    return RebuildTask(venue, instrument, events, day_ns, until_ns, wanted, needs)


def rebuild(
    task: RebuildTask, text: str, trades: TradeArrays | None
) -> tuple[list[SeriesBar], BarSeriesState]:
    """All bars of one kind of the day, made from recorded trades in order and the log, and the
    state of the series after them."""
    scale = task.instrument.scale
    bars: list[SeriesBar] = []
    state = BarSeriesState(task.day_ns)
    if trades is not None:
        bars, state = series.advance(rule(task.events.specs[text], scale), state, trades)
    ended, state = series.pass_time(state, task.until_ns)
    bars += ended
    if task.is_current:
        logged, state = task.events.rebuilt(text, state, scale)
        bars += logged
    bars += series.open_bars(state)
    return [bar for bar in bars if bar.day_ns == task.day_ns], state


class DayComparison:
    """Compares the stored bars of a kind and day with the rebuilt ones."""

    def __init__(self, rows: Iterable[EventRow], removed: dict[int, int], scale: Scale) -> None:
        self._stored = {row[0]: event_bar_of_row(row, scale) for row in rows}
        self._removed = removed

    @property
    def trade_count(self) -> int:
        """Trades of all stored bars."""
        return sum(found[2].trade_count for found in self._stored.values())

    def changed(
        self, venue_id: str, instrument: InstrumentBars, text: str, bars: Iterable[SeriesBar]
    ) -> tuple[list[BarRecord], list[BarKey]]:
        """The records to write, and the keys to delete."""
        records: list[BarRecord] = []
        gone = dict(self._stored)
        keys: list[BarKey] = []
        for bar in bars:
            before = gone.pop(bar.number, None)
            revision = self._revision(before, bar.total)
            if before is None and bar.number in self._removed:
                revision = self._removed[bar.number] + 1
            record = event_bar_record(venue_id, instrument, EventBar(text, bar, revision))
            if before is not None and before[1] != record.open_time_ns:
                keys.append(record.key._replace(open_time_ns=before[1]))
            if before is None or before[2:] != (bar.total, revision, bar.final, record.covered_ns):
                records.append(record)
        for number, found in gone.items():
            keys.append(BarKey(venue_id, instrument.symbol, text, found[1], number))
        return records, keys

    def removed_revisions(self, bars: Iterable[SeriesBar]) -> dict[int, int]:
        """The newest revision of each removed number."""
        numbers = {bar.number for bar in bars}
        gone = {number: found[3] for number, found in self._stored.items() if found[4]}
        known = {**self._removed, **gone}
        return {number: revision for number, revision in known.items() if number not in numbers}

    @staticmethod
    def _revision(
        before: tuple[int, int, PartialBar, int, bool, int] | None, total: PartialBar
    ) -> int:
        if before is None:
            return 0
        _, _, stored, revision, final, _ = before
        return revision + (final and stored != total)
