"""The events of a simulated market. Prices count ticks, sizes count lots: exact integers."""

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True, eq=False)
class Instrument:
    """An instrument. One tick is ``tick_units / 10^price_scale``, one lot
    ``lot_units / 10^size_scale``."""

    base: str
    quote: str
    price_scale: int
    size_scale: int
    tick_units: int
    start_price: float
    """Around which the price wanders."""
    typical_size: float
    """The size of a typical order, in the units of sizes."""
    volatility: float
    """Standard deviation of one day's relative change."""
    share: float
    """The share of all orders, relative to the other instruments."""
    lot_units: int = 1

    def price_text(self, ticks: int) -> str:
        """As decimal text, with all its decimal places."""
        return decimal_text(ticks * self.tick_units, self.price_scale)

    def size_text(self, lots: int) -> str:
        """As decimal text, with all its decimal places."""
        return decimal_text(lots * self.lot_units, self.size_scale)


def decimal_text(units: int, scale: int) -> str:
    """``(6183763, 2)`` is "61837.63", ``(5, 2)`` is "0.05", ``(7, 0)`` is "7"."""
    if scale == 0:
        return str(units)
    digits = str(units).rjust(scale + 1, "0")
    return f"{digits[:-scale]}.{digits[-scale:]}"


class Trade(msgspec.Struct, frozen=True, gc=False):
    """A trade."""

    instrument: Instrument
    trade_id: int
    price_ticks: int
    size_lots: int
    taker_buys: bool
    time_ns: int


class LevelChange(msgspec.Struct, frozen=True, gc=False):
    """A level of a book has a new size; 0: the level is gone."""

    instrument: Instrument
    sequence: int
    is_bid: bool
    price_ticks: int
    size_lots: int
    time_ns: int


class BestQuote(msgspec.Struct, frozen=True, gc=False):
    """The best bid or ask has another price or size than before."""

    instrument: Instrument
    sequence: int
    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int
    time_ns: int


MarketEvent = Trade | LevelChange | BestQuote
