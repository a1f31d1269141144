"""Event bars: bars of one instrument that end with a trade, of all configured kinds.

Such a bar depends on the order of its trades. Trades wait until the watermark has passed them, and
are then processed in order; the bars that they end are final. A later trade, or one that a repair
fetched, marks its day: the whole day is then rebuilt from the recorded trades, see ``remaking``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from core.bars import bar_arithmetic, series
from core.bars.bar_arithmetic import PartialBar, TradeArrays
from core.bars.bar_kinds import BarKind, BarSpec
from core.bars.rules import BarRuleState, rule
from core.bars.series import BarSeriesState, SeriesBar
from kit.base.cursor import Cursor, StreamKey
from kit.marketdata.model.columns import Scale

Needs = dict[StreamKey, Cursor]
"""Positions that the recorder must have reached, by stream."""


class EventBar(NamedTuple):
    """An event bar in its present state."""

    interval: str
    bar: SeriesBar
    revision: int = 0


class InstrumentEventBars:
    """The event bars of one instrument, as of the stream positions."""

    def __init__(self, specs: Sequence[BarSpec]) -> None:
        self.specs = {spec.text: spec for spec in specs}
        self.states = {text: BarSeriesState() for text in self.specs}
        self.settled_ns = 0
        """Trades before this time are part of bars."""
        self.wanted: dict[int, Needs] = {}
        """Days to rebuild, by their start in ns."""
        self.late_days: set[int] = set()
        """Days of late trades that are not in ``wanted`` yet."""
        self.removed: dict[str, tuple[int, dict[int, int]]] = {}
        """For each kind a rebuilt day, and the revisions of its removed bars by number: a new bar
        with such a number continues the count."""
        self.log: list[TradeArrays] | None = None
        """Trades that were settled since someone began to rebuild the current day."""
        self._pending: list[TradeArrays] = []

    @property
    def places(self) -> Scale:
        """The scale at which the size of every kind is an integer."""
        price = [spec.places for spec in self.specs.values() if spec.kind in _PRICED]
        size = [spec.places for spec in self.specs.values() if spec.kind is BarKind.VOLUME]
        return Scale(max(price, default=0), max(size, default=0))

    @property
    def waits(self) -> bool:
        """Whether the passing of time alone can change bars."""
        return bool(self._pending) or any(
            state.opened is not None for state in self.states.values()
        )

    def add(self, trades: TradeArrays) -> None:
        """Add new trades, in any order."""
        late = trades.time_ns < self.settled_ns
        if late.any():
            self.late_days.update(map(series.day_of, trades.time_ns[late].tolist()))
            if late.all():
                return
            trades = bar_arithmetic.take(trades, ~late)
        self._pending.append(trades)

    def settle(self, time_ns: int, scale: Scale) -> list[EventBar]:
        """Process the trades before a time. Returns the bars that changed."""
        if time_ns <= self.settled_ns:
            return []
        self.settled_ns = time_ns
        ready, self._pending = self._split(time_ns)
        if ready is not None and self.log is not None:
            self.log.append(ready)
        changed: list[EventBar] = []
        for text, before in self.states.items():
            bars, state = self._advanced(text, before, ready, scale)
            ended, state = series.pass_time(state, time_ns)
            self.states[text] = state
            if ready is not None:
                ended = [*ended, *series.open_bars(state)]
            changed += [self._event(text, bar) for bar in (*bars, *ended)]
        return changed

    def open_bars(self, scale: Scale) -> list[EventBar]:
        """The bars that are not final, including the trades that still wait."""
        waiting, _ = self._split(None)
        open_bars: list[EventBar] = []
        for text, before in self.states.items():
            bars, state = self._advanced(text, before, waiting, scale)
            open_bars += [
                self._event(text, bar._replace(final=False))
                for bar in (*bars, *series.open_bars(state))
            ]
        return open_bars

    def rebuilt(
        self, text: str, state: BarSeriesState, scale: Scale
    ) -> tuple[list[SeriesBar], BarSeriesState]:
        """Continue a rebuilt state of the current day with the trades in the log."""
        log = bar_arithmetic.joined(self.log) if self.log else None
        bars, state = self._advanced(text, state, log, scale)
        ended, state = series.pass_time(state, self.settled_ns)
        return [*bars, *ended], state

    def rescale(self, price_factor: int, size_factor: int) -> None:
        """Convert all amounts to units smaller by these factors."""
        for text, state in self.states.items():
            self.states[text] = series.rescale(state, price_factor, size_factor)
        for chunks in (self._pending, self.log or []):
            chunks[:] = [
                trades._replace(
                    price=bar_arithmetic.times(trades.price, price_factor),
                    size=bar_arithmetic.times(trades.size, size_factor),
                )
                for trades in chunks
            ]

    def recount(self, start_ns: int, end_ns: int) -> None:
        """Mark the days whose coverage between these times has changed."""
        day_ns = series.day_of(start_ns)
        while day_ns < min(end_ns, self.settled_ns):
            self.late_days.add(day_ns)
            day_ns += series.DAY_NS

    def want(self, day_ns: int, needs: Mapping[StreamKey, Cursor]) -> None:
        """Request a rebuild of a day, once the recorder has reached these positions."""
        held = self.wanted.setdefault(day_ns, {})
        for key, cursor in needs.items():
            held[key] = max(cursor, held.get(key, cursor))

    def dump(self) -> dict[str, Any]:
        """The state as JSON values."""
        return {
            "settled_ns": self.settled_ns,
            "pending": [_plain(trades) for trades in self._pending],
            "states": self.states,
            "removed": self.removed,
            "wanted": {
                day_ns: {str(key): str(cursor) for key, cursor in needs.items()}
                for day_ns, needs in self.wanted.items()
            },
        }

    def begin(self, newest_ns: int) -> None:
        """Begin for an instrument that has traded up to this time: those trades are in the record
        only."""
        self.settled_ns = newest_ns + 1
        self.late_days.add(series.day_of(newest_ns))

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Restore the state that ``dump`` returned. Rebuilds the current day for kinds that are new
        since then."""
        self.settled_ns = dumped["settled_ns"]
        self._pending = [_columns(plain) for plain in dumped["pending"]]
        for text, needs in dumped["wanted"].items():
            self.wanted[int(text)] = {
                StreamKey.parse(key): Cursor.parse(cursor) for key, cursor in needs.items()
            }
        for text, (day_ns, numbers) in dumped["removed"].items():
            revisions = {int(number): revision for number, revision in numbers.items()}
            self.removed[text] = day_ns, revisions
        states = dumped["states"]
        for text in self.states:
            if text in states:
                self.states[text] = _state(states[text])
            elif self.settled_ns:
                self.late_days.add(series.day_of(self.settled_ns))

    def _advanced(
        self, text: str, state: BarSeriesState, trades: TradeArrays | None, scale: Scale
    ) -> tuple[list[SeriesBar], BarSeriesState]:
        if trades is None:
            return [], state
        return series.advance(rule(self.specs[text], scale), state, trades)

    def _split(self, time_ns: int | None) -> tuple[TradeArrays | None, list[TradeArrays]]:
        """The waiting trades before a time (None: all) in order, and the others."""
        if not self._pending:
            return None, []
        trades = bar_arithmetic.in_recorded_order(bar_arithmetic.joined(self._pending))
        if time_ns is None:
            return trades, []
        stop = int(np.searchsorted(trades.time_ns, time_ns))
        rest = (
            [bar_arithmetic.take(trades, slice(stop, None))] if stop < len(trades.time_ns) else []
        )
        return (bar_arithmetic.take(trades, slice(0, stop)) if stop else None), rest

    def _event(self, text: str, bar: SeriesBar) -> EventBar:
        day_ns, revisions = self.removed.get(text, (-1, {}))
        known = revisions.get(bar.number) if bar.day_ns == day_ns else None
        return EventBar(text, bar, 0 if known is None else known + 1)


_PRICED = (BarKind.RANGE, BarKind.RENKO)


def _plain(trades: TradeArrays) -> list[Any]:
    return [None if column is None else column.tolist() for column in trades]


def _columns(plain: Sequence[Any]) -> TradeArrays:
    time_ns, trade_id, price, size, side, received_ns = map(_numbers, plain[:6])
    text = None if plain[6] is None else np.array(plain[6], dtype=object)
    return TradeArrays(time_ns, trade_id, price, size, side, received_ns, text)


def _numbers(column: list[int]) -> bar_arithmetic.Exact:
    fits = max(map(abs, column), default=0) <= bar_arithmetic.INT64_MAX
    return np.array(column, dtype=np.int64 if fits else object)


def _state(plain: Sequence[Any]) -> BarSeriesState:
    day_ns, number, opened, carry = plain
    if opened is not None:
        first, last, *rest = opened
        opened = PartialBar(tuple(first), tuple(last), *rest)
    return BarSeriesState(day_ns, number, opened, BarRuleState(*carry))
