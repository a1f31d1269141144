"""Orders as their costs are computed from them: fills, mids, and what sizes are worth."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction


class Unknown(StrEnum):
    """Why a figure is not known."""

    NOT_YET = "not_yet"
    """The time has not passed, its quotes are not recorded yet, or the order has not ended."""
    NO_QUOTE = "no_quote"
    """No quote was recorded within the age that is allowed."""
    QUOTE_GAP = "quote_gap"
    """Quotes may be missing between the last one and that time."""
    NO_DECISION = "no_decision"
    """No decision and no request of a person is stored that the order follows from."""
    WAITS_FOR_PRICE = "waits_for_price"
    """The order waits for a price, as stops, take-profits and exits do: nobody has decided when it
    trades."""
    NO_TRIGGER = "no_trigger"
    """The order has no stop price."""
    NOT_FILLED = "not_filled"
    """Nothing was filled."""
    FILLS_MISSING = "fills_missing"
    """The stored fills are not what the order says is filled."""
    NO_INSTRUMENT = "no_instrument"
    """What the sizes of the instrument are is not recorded."""
    FEE_NOT_REPORTED = "fee_not_reported"
    """The venue has not stated the fee of a fill."""
    FEE_ASSET = "fee_asset"
    """A fee was paid in an asset whose price is not known."""
    NO_FEE_SCHEDULE = "no_fee_schedule"
    """The mesh does not know what the venue charges."""
    LIQUIDITY_NOT_REPORTED = "liquidity_not_reported"
    """The venue has not stated whether a fill was maker or taker."""


Figure = Decimal | Unknown


@dataclass(frozen=True, slots=True)
class CostTerms:
    """What the sizes of an instrument are worth."""

    multiplier: Decimal
    """What a size of 1 represents, see kit.accounting.instruments."""
    is_inverse: bool
    cost_asset: str
    """The asset that pays profit and loss."""
    base_asset: str = ""
    """Of spot: the asset whose price is that of the instrument. Empty for others."""

    def value(self, size: Decimal, price: Decimal) -> Fraction:
        """Return the value in the cost asset."""
        units, rate = Fraction(size) * Fraction(self.multiplier), Fraction(price)
        return units / rate if self.is_inverse else units * rate

    def notional(self, size: Decimal, price: Decimal) -> Fraction:
        """Return the value in the quote asset; of a quanto contract in the cost asset."""
        units = Fraction(size) * Fraction(self.multiplier)
        return units if self.is_inverse else units * Fraction(price)

    def loss(self, size: Decimal, price: Decimal, reference: Decimal) -> Fraction:
        """Return what buying at a price costs more than at a reference price."""
        difference = self.value(size, price) - self.value(size, reference)
        return -difference if self.is_inverse else difference


@dataclass(frozen=True, slots=True)
class FeeRates:
    """What a venue charges, as shares of the value. Negative: a rebate."""

    maker: Decimal
    taker: Decimal


@dataclass(frozen=True, slots=True)
class CostedFill:
    """A fill, and the mids after it. A negative size takes an earlier fill back."""

    price: Decimal
    size: Decimal
    time_ns: int
    fee_asset: str = ""
    fee_amount: Decimal | None = None
    """None: the venue has not stated it."""
    is_maker: bool | None = None
    """None: the venue has not stated it."""
    mids_after: Sequence[Figure] = ()


@dataclass(frozen=True, slots=True)
class CostedOrder:
    """An order, and the mids at its times."""

    is_buy: bool
    size: Decimal
    filled_size: Decimal
    """As the order states it."""
    is_final: bool
    arrival_time_ns: int
    end_time_ns: int
    """Of its newest change."""
    decision_mid: Figure
    arrival_mid: Figure
    end_mid: Figure
    fills: Sequence[CostedFill]
    """Oldest first."""
    waits_for_price: bool = False
    trigger_price: Decimal | None = None
    """The stop price, if it has one."""
