"""The listing, the book and the mark of an instrument."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class InstrumentKind(StrEnum):
    """What is traded."""

    SPOT = "spot"
    PERPETUAL = "perpetual"
    FUTURE = "future"
    OPTION = "option"


@dataclass(frozen=True, slots=True)
class Listing:
    """An instrument as its exchange lists it. Numbers are decimal text."""

    symbol: str
    base: str
    quote: str
    tick_size: str
    lot_size: str
    minimum_notional: str
    derived: bool = False
    """True when tick and lot were only seen in a capture, not stated by the exchange."""
    kind: InstrumentKind = InstrumentKind.SPOT
    contract_size: str = ""
    """The value of one contract, in base units; of an inverse contract in quote units. Empty:
    sizes are no contracts."""
    settle: str = ""
    """The asset that settles a derivative, for example "USDT"."""
    halted: bool = False
    """It is listed, but does not trade now."""


@dataclass(frozen=True, slots=True)
class ExchangeBookSnapshot:
    """A book at one moment, best level first. Prices and sizes are decimal text."""

    sequence: int
    bids: Sequence[Sequence[str]]
    asks: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class DerivativeMark:
    """The mark of a derivative by its exchange's formula. Numbers are decimal text; unknown ones
    are empty, or 0."""

    mark_price: str
    index_price: str
    funding_rate: str
    """The rate of the next funding if nothing changes, as a share: "0.0001" is 0.01 %."""
    next_funding_time_ns: int
