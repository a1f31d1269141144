"""The terms of instruments for the computation of positions."""

from decimal import Decimal
from typing import NamedTuple

from venuemesh.common.v1 import types_pb2

from kit.accounting.contract import Contract, ContractAssets
from kit.accounting.instruments import contract_assets, multiplier


class InstrumentKey(NamedTuple):
    """An instrument of a venue."""

    venue: str
    symbol: str


class HoldingKey(NamedTuple):
    """An instrument in an account at a venue."""

    venue: str
    account: str
    symbol: str

    @property
    def instrument(self) -> InstrumentKey:
        return InstrumentKey(self.venue, self.symbol)


class ContractUnknown(Exception):
    """The terms of an instrument are neither stored nor given: list the venue's instruments."""

    def __init__(self, instrument: InstrumentKey) -> None:
        super().__init__(
            f"the terms of {instrument.symbol!r} at {instrument.venue} are not known: its kind of "
            "contract, and what a size of 1 stands for"
        )
        self.instrument = instrument


class ContractTerms(NamedTuple):
    """The meaning of a price and a size of an instrument."""

    base: str
    quote: str
    settle: str
    """Empty: spot."""
    multiplier: Decimal
    """See ``Contract``."""

    def contract(self, symbol: str) -> Contract:
        """The arithmetic of the instrument, with prices and sizes in 10^-18."""
        assets = ContractAssets(self.base, self.quote, self.settle)
        return Contract(symbol, assets, self.multiplier)


def terms_of(instrument: types_pb2.Instrument) -> ContractTerms | None:
    """The terms that a venue states, or None if it does not state all of them."""
    assets, size_of_one = contract_assets(instrument), multiplier(instrument)
    if assets is None or size_of_one is None:
        return None
    return ContractTerms(assets.base, assets.quote, assets.settle, size_of_one)
