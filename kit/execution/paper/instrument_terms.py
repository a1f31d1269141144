"""The trading terms of an instrument for paper accounts."""

from dataclasses import dataclass, field
from decimal import Decimal

from venuemesh.common.v1 import types_pb2

from kit.accounting import amounts, instruments
from kit.accounting.amounts import ZERO
from kit.accounting.contract import Contract, ContractAssets
from kit.accounting.money import atoms_of

DEFAULT_STEP = Decimal("1e-8")
KINDS = (
    types_pb2.INSTRUMENT_KIND_SPOT,
    types_pb2.INSTRUMENT_KIND_PERPETUAL,
    types_pb2.INSTRUMENT_KIND_FUTURE,
)


@dataclass(frozen=True, slots=True)
class PaperInstrumentTerms:
    """The terms of one instrument. Its ``contract`` counts prices and sizes in 10^-18."""

    symbol: str
    base: str
    quote: str
    settle: str
    """The asset that pays profit and loss; empty for spot."""
    pays_funding: bool
    multiplier: Decimal
    """What a size of 1 represents: base units, or quote units of an inverse contract."""
    step: Decimal
    """Sizes are multiples of it."""
    contract: Contract = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        assets = ContractAssets(self.base, self.quote, self.settle)
        object.__setattr__(self, "contract", Contract(self.symbol, assets, self.multiplier))

    @property
    def is_spot(self) -> bool:
        """Whether base and quote are exchanged, without a position."""
        return self.contract.is_spot

    def value(self, price: Decimal, size: Decimal) -> int:
        """Return the value of a size in atoms of the quote or settlement asset."""
        return self.contract.value(atoms_of(price), atoms_of(size))

    def floor(self, size: Decimal) -> Decimal:
        """Return the largest size that can be traded and is not above this one."""
        return amounts.floor_to(size, self.step)


def terms_of(instrument: types_pb2.Instrument) -> PaperInstrumentTerms | None:
    """Return an instrument's terms. None if its kind is not traded on paper, or its connector does
    not state what its sizes are worth."""
    assets, multiplier = instruments.contract_assets(instrument), instruments.multiplier(instrument)
    if instrument.kind not in KINDS or assets is None or multiplier is None:
        return None
    step = Decimal(instrument.size_step or 0)
    return PaperInstrumentTerms(
        symbol=instrument.symbol,
        base=instrument.base,
        quote=instrument.quote,
        settle=assets.settle,
        pays_funding=instrument.kind == types_pb2.INSTRUMENT_KIND_PERPETUAL,
        multiplier=multiplier,
        step=step if step > ZERO else DEFAULT_STEP,
    )
