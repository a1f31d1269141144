"""The values that market data bring, by name."""

from collections.abc import Mapping
from enum import Enum


class InputKind(Enum):
    """A series of market data of one instrument. Its value: the fields of a row, in order."""

    BARS = (
        "open",
        "high",
        "low",
        "close",
        "volume",
        "buy_volume",
        "quote_volume",
        "trade_count",
    )
    """Final bars of the strategy's interval."""
    QUOTES = ("bid_price", "bid_size", "ask_price", "ask_size")
    MARKS = ("mark_price", "index_price", "funding_rate", "funding_time_s")
    """``funding_time_s``: time of the next funding, seconds since the Unix epoch."""
    BOOK = ("bid_depth", "ask_depth")
    """Sum of the sizes of the best levels, whose number is the parameter of the expression."""
    TRADES = ("largest_trade", "swept_prices")
    """Over the trades of the bar: the size of the largest one, positive if the taker bought; the
    most prices at which one taker traded at once, positive if it bought."""


KIND_OF: Mapping[str, InputKind] = {name: kind for kind in InputKind for name in kind.value}
"""By name of the field."""
COMPUTED_FIELDS = ("trade_flow", "coverage", "revision", "second_of_day", "day_of_week", "day")
"""Of a FeatureBar."""
