"""What happens in a simulated market. Prices count ticks, sizes count lots: exact integers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instrument:
    """What is traded. One tick is ``tick_units / 10^price_scale``, one lot 1 / 10^size_scale."""

    base: str
    quote: str
    price_scale: int
    size_scale: int
    tick_units: int
    start_price: float
    """Around which the price wanders."""
    typical_size: float
    """Of one order, in base units."""
    volatility: float
    """Standard deviation of one day's relative change."""
    share: float
    """Of all orders, relative to the other instruments."""


@dataclass(frozen=True, slots=True)
class Trade:
    """Two orders met."""

    instrument: Instrument
    trade_id: int
    price_ticks: int
    size_lots: int
    taker_buys: bool
    time_ns: int


@dataclass(frozen=True, slots=True)
class LevelChange:
    """A level of a book has a new size; 0: the level is gone."""

    instrument: Instrument
    sequence: int
    is_bid: bool
    price_ticks: int
    size_lots: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class BestQuote:
    """The best bid or ask has another price or size than before."""

    instrument: Instrument
    sequence: int
    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int
    time_ns: int


MarketEvent = Trade | LevelChange | BestQuote
