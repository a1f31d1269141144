"""A bar as others see it: decimal text, for the database and for subscribers."""

from typing import NamedTuple

from venuemesh.bars.v1 import bars_pb2

from core.bars.instrument import Bar
from core.bars.intervals import INTERVALS
from kit.numbers import format_scaled


class BarRecord(NamedTuple):
    """One bar at one moment. The fields are the columns of the table "bars", in their order."""

    venue: str
    symbol: str
    interval: str
    open_time_ns: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    buy_volume: str
    quote_volume: str
    trade_count: int
    covered_ns: int
    revision: int
    final: bool
    first_time_ns: int
    first_trade_id: int
    last_time_ns: int
    last_trade_id: int


def record(venue_id: str, bar: Bar) -> BarRecord:
    """The bar as it stands."""
    total = bar.total
    price_scale, size_scale = bar.instrument.scale.price, bar.instrument.scale.size
    return BarRecord(
        venue_id,
        bar.instrument.symbol,
        INTERVALS[bar.level].name,
        bar.open_ns,
        format_scaled(total.open, price_scale),
        format_scaled(total.high, price_scale),
        format_scaled(total.low, price_scale),
        format_scaled(total.close, price_scale),
        format_scaled(total.volume, size_scale),
        format_scaled(total.buy_volume, size_scale),
        format_scaled(total.quote_volume, price_scale + size_scale),
        total.trade_count,
        bar.covered_ns,
        bar.revision,
        bar.final,
        *total.first,
        *total.last,
    )


def message(found: BarRecord) -> bars_pb2.Bar:
    """The record as subscribers get it."""
    return bars_pb2.Bar(
        venue=found.venue,
        symbol=found.symbol,
        interval=found.interval,
        open_time_ns=found.open_time_ns,
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
    )
