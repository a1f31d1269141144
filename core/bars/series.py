"""The series of bars of one kind: makes bars from trades, and the state between them.

``advance`` is the only function that makes them: while trades happen, when a stored day is rebuilt,
and when all bars are made at once. Each UTC day starts again with number 0.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from core.bars import bar_arithmetic
from core.bars.bar_arithmetic import PartialBar, TradeArrays
from core.bars.rules import BarRule, BarRuleState
from kit.base.intervals import BY_NAME

DAY_NS = BY_NAME["1d"].length_ns


class BarSeriesState(NamedTuple):
    """The state of a series after some trades."""

    day_ns: int = -1
    """Start of the day of its last trade, ns since the Unix epoch. -1: no trade yet."""
    number: int = 0
    """Number of the open bar, or of the next one."""
    opened: PartialBar | None = None
    carry: BarRuleState = BarRuleState()


class SeriesBar(NamedTuple):
    """One bar of a day."""

    day_ns: int
    number: int
    total: PartialBar
    final: bool


def advance(
    rule: BarRule, state: BarSeriesState, trades: TradeArrays
) -> tuple[list[SeriesBar], BarSeriesState]:
    """Make the bars that end with these trades, which are in order and follow those before.

    The first trade of a later day ends the last bar of a day.
    """
    bars: list[SeriesBar] = []
    for day_ns, rows in _by_day(trades):
        if day_ns != state.day_ns:
            bars += open_bars(state, final=True)
            state = BarSeriesState(day_ns)
        ends, carry = rule.ends(rows, state.opened, state.carry)
        starts = [0, *ends]
        if starts[-1] == len(rows.time_ns):
            starts.pop()
        totals = bar_arithmetic.summaries(rows, np.array(starts))
        if state.opened is not None:
            totals[0] = bar_arithmetic.combine(state.opened, totals[0])
        for number, total in enumerate(totals[: len(ends)], state.number):
            bars.append(SeriesBar(day_ns, number, total, final=True))
        opened = totals[-1] if len(totals) > len(ends) else None
        state = BarSeriesState(day_ns, state.number + len(ends), opened, carry)
    return bars, state


def pass_time(state: BarSeriesState, time_ns: int) -> tuple[list[SeriesBar], BarSeriesState]:
    """End the last bar of a day that is over at this time."""
    if state.opened is None or time_ns < state.day_ns + DAY_NS:
        return [], state
    return open_bars(state, final=True), state._replace(number=state.number + 1, opened=None)


def open_bars(state: BarSeriesState, final: bool = False) -> list[SeriesBar]:
    """The open bar, if there is one."""
    if state.opened is None:
        return []
    return [SeriesBar(state.day_ns, state.number, state.opened, final)]


def rescale(state: BarSeriesState, price_factor: int, size_factor: int) -> BarSeriesState:
    """The same state in units smaller by these factors."""
    carry = state.carry
    return state._replace(
        opened=state.opened and bar_arithmetic.rescale(state.opened, price_factor, size_factor),
        carry=carry._replace(
            last_price=carry.last_price * price_factor,
            anchor=None if carry.anchor is None else carry.anchor * price_factor,
        ),
    )


def day_of(time_ns: int) -> int:
    """Start of the UTC day of a time, ns."""
    return time_ns - time_ns % DAY_NS


def _by_day(trades: TradeArrays) -> Iterator[tuple[int, TradeArrays]]:
    times = trades.time_ns
    if len(times) == 0:
        return
    start = 0
    while start < len(times):
        day_ns = day_of(int(times[start]))
        stop = int(np.searchsorted(times, day_ns + DAY_NS))
        yield day_ns, bar_arithmetic.take(trades, slice(start, stop))
        start = stop
