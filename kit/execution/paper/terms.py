"""What has to be known of an instrument to trade it on paper."""

from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal

from venuemesh.common.v1 import types_pb2

from kit.execution import amounts
from kit.execution.amounts import ZERO

ATOM = Decimal("1e-18")
"""What cannot be divided further: no amount of money has more decimal places."""
_CUTTING = Context(prec=400, rounding=ROUND_DOWN)
KINDS = (
    types_pb2.INSTRUMENT_KIND_SPOT,
    types_pb2.INSTRUMENT_KIND_PERPETUAL,
    types_pb2.INSTRUMENT_KIND_FUTURE,
)


@dataclass(frozen=True, slots=True)
class Terms:
    """Of one instrument."""

    symbol: str
    base: str
    quote: str
    settle: str
    """In what gains are paid; empty for spot."""
    pays_funding: bool
    contract: Decimal
    """What a size of 1 is worth: in base units, of an inverse one in quote units."""
    step: Decimal
    """Of sizes."""

    @property
    def is_spot(self) -> bool:
        """Whether it is exchanged for good."""
        return not self.settle

    @property
    def is_inverse(self) -> bool:
        """Whether gains are paid in what is traded: the dearer it is, the fewer coins they are."""
        return self.settle == self.base

    def value(self, price: Decimal, size: Decimal) -> Decimal:
        """Of so much, in the quote currency, or in what settles it."""
        worth = amounts.product(size, self.contract)
        if self.is_inverse:
            return cut(amounts.quotient(worth, price), ATOM)
        return amounts.product(worth, price)

    def floor(self, size: Decimal) -> Decimal:
        """As much of a size as can be traded."""
        return amounts.floor_to(size, self.step)


def cut(amount: Decimal, unit: Decimal) -> Decimal:
    """Without what is less than a unit, which is a power of ten."""
    return amount.quantize(unit, context=_CUTTING)


def terms_of(instrument: types_pb2.Instrument, *, sizes_are_contracts: bool) -> Terms | None:
    """None: nothing of this kind is traded on paper."""
    if instrument.kind not in KINDS:
        return None
    is_spot = instrument.kind == types_pb2.INSTRUMENT_KIND_SPOT
    told = instrument.unified_symbol.partition(":")[2].partition("-")[0]
    counts = sizes_are_contracts and not is_spot
    return Terms(
        symbol=instrument.symbol,
        base=instrument.base,
        quote=instrument.quote,
        settle="" if is_spot else told or instrument.quote,
        pays_funding=instrument.kind == types_pb2.INSTRUMENT_KIND_PERPETUAL,
        contract=Decimal(instrument.contract_size or 1) if counts else Decimal(1),
        step=_above_zero(instrument.size_step) or Decimal("1e-8"),
    )


def _above_zero(text: str) -> Decimal | None:
    number = Decimal(text) if text else ZERO
    return number if number > ZERO else None
