"""Bars as decimal text, for the database and for subscribers."""

from typing import NamedTuple

from venuemesh.bars.v1 import bars_pb2

from core.bars.bar_arithmetic import PartialBar
from core.bars.event_bars import EventBar
from core.bars.instrument_bars import InstrumentBars, TimeBar
from kit.base.intervals import INTERVALS
from kit.base.numbers import format_scaled
from kit.marketdata.model.columns import Scale


class BarKey(NamedTuple):
    """The key of the table "bars"."""

    venue: str
    symbol: str
    interval: str
    open_time_ns: int
    number: int


class BarRecord(NamedTuple):
    """A bar at one time. The fields are columns of the table "bars"."""

    venue: str
    symbol: str
    interval: str
    open_time_ns: int
    number: int
    close_time_ns: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    buy_volume: str
    quote_volume: str
    trade_count: int
    first_time_ns: int
    first_trade_id: int
    last_time_ns: int
    last_trade_id: int
    covered_ns: int
    revision: int
    final: bool

    @property
    def key(self) -> BarKey:
        """The key of the bar."""
        return BarKey(*self[:5])


def time_bar_record(venue_id: str, bar: TimeBar) -> BarRecord:
    """The record of a time bar."""
    return BarRecord(
        venue_id,
        bar.instrument.symbol,
        INTERVALS[bar.level].name,
        bar.open_ns,
        0,
        bar.end_ns,
        *_amounts(bar.total, bar.instrument.scale),
        bar.covered_ns,
        bar.revision,
        bar.final,
    )


def event_bar_record(venue_id: str, instrument: InstrumentBars, event: EventBar) -> BarRecord:
    """The record of an event bar."""
    bar = event.bar
    opened_ns, closed_ns = bar.total.first[0], bar.total.last[0]
    return BarRecord(
        venue_id,
        instrument.symbol,
        event.interval,
        opened_ns,
        bar.number,
        closed_ns,
        *_amounts(bar.total, instrument.scale),
        instrument.coverage.covered_ns(opened_ns, closed_ns),
        event.revision,
        bar.final,
    )


def message(found: BarRecord) -> bars_pb2.Bar:
    """The record as a message for subscribers."""
    return bars_pb2.Bar(
        venue=found.venue,
        symbol=found.symbol,
        interval=found.interval,
        open_time_ns=found.open_time_ns,
        number=found.number,
        close_time_ns=found.close_time_ns,
        open=found.open,
        high=found.high,
        low=found.low,
        close=found.close,
        volume=found.volume,
        buy_volume=found.buy_volume,
        quote_volume=found.quote_volume,
        trade_count=found.trade_count,
        covered_ns=found.covered_ns,
        revision=found.revision,
        final=found.final,
        source=bars_pb2.BAR_SOURCE_TRADES,
    )


def _amounts(
    total: PartialBar, scale: Scale
) -> tuple[str, str, str, str, str, str, str, int, int, int, int, int]:
    """The columns from ``open`` to ``last_trade_id``."""
    return (
        format_scaled(total.open, scale.price),
        format_scaled(total.high, scale.price),
        format_scaled(total.low, scale.price),
        format_scaled(total.close, scale.price),
        format_scaled(total.volume, scale.size),
        format_scaled(total.buy_volume, scale.size),
        format_scaled(total.quote_volume, scale.price + scale.size),
        total.trade_count,
        *total.first,
        *total.last,
    )
