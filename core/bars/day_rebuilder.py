"""Rebuilds the event bars of marked days, one day at a time. See ``remaking``."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from core.bars import bar_arithmetic
from core.bars.bar_arithmetic import TradeArrays
from core.bars.owned_shards import OwnedShards
from core.bars.rebuild_task import DayComparison, RebuildTask, next_task, rebuild
from core.bars.recorded_trades import read_recorded_trades
from core.bars.store import BarStore
from core.bars.subscribers import BarSubscribers
from core.bars.unsaved_changes import UnsavedChanges
from kit.base import telemetry
from kit.base.database import Database
from kit.base.telemetry import Meter
from kit.marketdata.model.columns import Scale

Stored = Callable[[], AbstractAsyncContextManager[UnsavedChanges]]
"""A context in which all changes are stored and no bars change. Yields the collection of new
changes."""

_log = telemetry.logger("bars")


class DayRebuilder:
    """Chooses the next day, and rebuilds it when its trades are recorded."""

    def __init__(self, database: Database, subscribers: BarSubscribers, meter: Meter) -> None:
        self._database = database
        self._subscribers = subscribers
        self._task: RebuildTask | None = None
        self._made = meter.counter("remade_days", "Days whose event bars were rebuilt", "outcome")

    async def step(self, venues: OwnedShards, store: BarStore, stored: Stored) -> bool:
        """Rebuild one marked day whose trades are recorded. Returns whether there was one. Raises
        StoreUnavailable."""
        task = self._task = self._chosen(venues)
        if task is None or not task.may_begin(await store.recorded()):
            return False
        instrument = task.instrument
        trades, scale = await read_recorded_trades(
            self._database,
            task.venue.venue_id,
            instrument.symbol,
            task.day_ns,
            task.until_ns,
            instrument.scale,
        )
        async with stored() as changes:
            if self._is_ours(venues, task):
                instrument.grow_to(scale)
                ready = _prepared(trades, scale, instrument.scale)
                await self._finish(task, ready, store, changes)
        self._task = None
        return True

    def _chosen(self, venues: OwnedShards) -> RebuildTask | None:
        """The task in progress, or the next one."""
        task = self._task
        if task is None or not self._is_ours(venues, task) or task.log_is_full:
            return next_task(venues)
        return task

    @staticmethod
    def _is_ours(venues: OwnedShards, task: RebuildTask) -> bool:
        symbol = task.instrument.symbol
        return venues.instrument(task.venue.venue_id, symbol) is task.instrument

    async def _finish(
        self,
        task: RebuildTask,
        trades: TradeArrays | None,
        store: BarStore,
        changes: UnsavedChanges,
    ) -> None:
        events, instrument, venue_id = task.events, task.instrument, task.venue.venue_id
        for text in events.specs:
            rows, removed = await store.load_day(venue_id, instrument.symbol, text, task.day_ns)
            stored = DayComparison(rows, removed, instrument.scale)
            bars, state = rebuild(task, text, trades)
            if sum(bar.total.trade_count for bar in bars) < stored.trade_count:
                # The record does not reach back far enough: keep the stored bars.
                _log.warning("bars not rebuilt: trades are missing in the record", extra=_who(task))
                self._made.labels("refused").inc()
                continue
            records, keys = stored.changed(venue_id, instrument, text, bars)
            changes.remove(keys)
            changes.add_records(records)
            self._subscribers.show(records)
            self._made.labels("made").inc()
            if events.states[text].day_ns <= task.day_ns:
                events.states[text] = state
                events.removed[text] = task.day_ns, stored.removed_revisions(bars)
        events.log = None
        if events.wanted.get(task.day_ns) == task.wanted:
            del events.wanted[task.day_ns]
        changes.add_instruments(venue_id, [instrument])


def _prepared(trades: TradeArrays | None, scale: Scale, wanted: Scale) -> TradeArrays | None:
    """The trades in order, at the present scale of the instrument."""
    if trades is None:
        return None
    at_scale = trades._replace(
        price=bar_arithmetic.times(trades.price, 10 ** (wanted.price - scale.price)),
        size=bar_arithmetic.times(trades.size, 10 ** (wanted.size - scale.size)),
    )
    return bar_arithmetic.in_recorded_order(at_scale)


def _who(task: RebuildTask) -> dict[str, object]:
    return {
        "venue": task.venue.venue_id,
        "symbol": task.instrument.symbol,
        "day_ns": task.day_ns,
    }
