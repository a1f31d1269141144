"""What sizes of an instrument are, and what they are worth, as its Instrument message states.

Nothing is concluded from a symbol: where the connector does not state it, it is not known.
"""

from decimal import Decimal

from venuemesh.common.v1 import types_pb2

from kit.accounting.amounts import ZERO, floor_to, product, quotient, rounded, subtract
from kit.accounting.contract import ContractAssets
from kit.accounting.money import ATOM

ONE = Decimal(1)


def contract_assets(instrument: types_pb2.Instrument) -> ContractAssets | None:
    """Return the assets of an instrument, or None if it is a derivative whose kind of contract is
    not known."""
    if instrument.kind == types_pb2.INSTRUMENT_KIND_SPOT:
        return ContractAssets(instrument.base, instrument.quote)
    if instrument.contract_kind == types_pb2.CONTRACT_KIND_UNSPECIFIED:
        return None
    return ContractAssets(instrument.base, instrument.quote, instrument.settlement_asset)


def spot_base(instrument: types_pb2.Instrument | None) -> str:
    """Return the base asset of a spot instrument; "" for any other, and for one that is not
    known."""
    if instrument is None or instrument.kind != types_pb2.INSTRUMENT_KIND_SPOT:
        return ""
    return instrument.base


def is_inverse(instrument: types_pb2.Instrument) -> bool:
    """Whether the average price of fills is the harmonic mean."""
    return instrument.contract_kind == types_pb2.CONTRACT_KIND_INVERSE


def multiplier(instrument: types_pb2.Instrument) -> Decimal | None:
    """Return what a size of 1 represents: base units, quote units of an inverse contract, or
    settlement units per unit of price of a quanto contract. None if it is not known."""
    if instrument.size_unit == types_pb2.SIZE_UNIT_CONTRACTS:
        return Decimal(instrument.contract_value) if instrument.contract_value else None
    is_spot = instrument.kind == types_pb2.INSTRUMENT_KIND_SPOT
    if is_spot or instrument.size_unit == _unit_of_one(instrument):
        return ONE
    return None


def notional(instrument: types_pb2.Instrument, size: Decimal, price: Decimal) -> Decimal | None:
    """Return the value of a size in the quote asset, exact. None for a quanto contract, and if the
    unit of size is not known."""
    if instrument.contract_kind == types_pb2.CONTRACT_KIND_QUANTO:
        return None
    return notional_in_asset(instrument, size, price)


def notional_asset(instrument: types_pb2.Instrument) -> str:
    """Return the asset of ``notional_in_asset``."""
    is_quanto = instrument.contract_kind == types_pb2.CONTRACT_KIND_QUANTO
    return instrument.settlement_asset if is_quanto else instrument.quote


def notional_in_asset(
    instrument: types_pb2.Instrument, size: Decimal, price: Decimal | None
) -> Decimal | None:
    """Return the value of a size, exact: in the quote asset, of a quanto contract in the asset that
    settles it. None if the unit of size is not known, and without a price unless the contract is
    inverse."""
    size_of_one = multiplier(instrument)
    if size_of_one is None:
        return None
    value = product(size, size_of_one)
    if is_inverse(instrument):
        return value
    return product(value, price) if price is not None else None


def profit(
    instrument: types_pb2.Instrument, size: Decimal, entry: Decimal, end: Decimal
) -> Decimal | None:
    """Return what a size, negative if it is short, earns from one price to another, before fees, in
    the asset that pays it. None if the unit of size or the kind of contract is not known."""
    size_of_one, assets = multiplier(instrument), contract_assets(instrument)
    if size_of_one is None or assets is None:
        return None
    count = product(size, size_of_one)
    if is_inverse(instrument):
        return rounded(subtract(quotient(count, entry), quotient(count, end)), ATOM)
    return product(count, subtract(end, entry))


def tradable_size(size: Decimal, size_step: str, size_min: str) -> Decimal:
    """Return the part of a size that can be traded: whole steps of it, and 0 below the minimum. A
    position with none is flat, whatever is left of it. ``size_step``, ``size_min``: of the
    instrument, "" if it has none."""
    if size_step:
        size = floor_to(size, Decimal(size_step))
    return ZERO if size_min and size < Decimal(size_min) else size


def size_unit(instrument: types_pb2.Instrument) -> str:
    """Return the unit of sizes for people: "BTC", "USD", "contracts of 100 USD". "" if it is not
    known."""
    match instrument.size_unit:
        case types_pb2.SIZE_UNIT_BASE:
            return instrument.base
        case types_pb2.SIZE_UNIT_QUOTE:
            return instrument.quote
        case types_pb2.SIZE_UNIT_CONTRACTS:
            return _contracts(instrument)
    return ""


def _contracts(instrument: types_pb2.Instrument) -> str:
    value, asset = instrument.contract_value, instrument.contract_value_asset
    if not value or instrument.contract_kind == types_pb2.CONTRACT_KIND_QUANTO:
        return "contracts"
    return f"contracts of {value} {asset}"


def _unit_of_one(instrument: types_pb2.Instrument) -> "types_pb2.SizeUnit.ValueType":
    """The unit in which a contract's multiplier is 1."""
    if is_inverse(instrument):
        return types_pb2.SIZE_UNIT_QUOTE
    return types_pb2.SIZE_UNIT_BASE
