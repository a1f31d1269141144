"""Spot orders: the funds that an open order reserves, and the settlement of its fills."""

from kit.accounting.contract import Contract
from kit.accounting.fees import FeeAsset, FeeCalculator
from kit.accounting.wallet import InsufficientFunds, Wallet


class SpotCalculator:
    """Reserves and settles spot orders under one venue's fee rules.

    ``reserved`` is what an order holds before a call; the caller keeps the returned amount.
    """

    def __init__(self, fees: FeeCalculator, fee_asset: FeeAsset) -> None:
        self._fees = fees
        self._fee_in_quote = fee_asset is FeeAsset.QUOTE

    def admit(
        self, wallet: Wallet, contract: Contract, buys: bool, required: int, reserved: int
    ) -> None:
        """Reserve what an order requires. Raises InsufficientFunds."""
        asset = contract.quote if buys else contract.base
        free = wallet.totals[asset] - wallet.locked[asset]
        if required - reserved > free:
            raise InsufficientFunds(asset, required, free + reserved)
        wallet.locked[asset] += required - reserved

    def check_cost(self, wallet: Wallet, contract: Contract, cost: int) -> None:
        """Check that a market order that costs so much in the quote asset can be paid, with its
        highest fee. Raises InsufficientFunds."""
        asset = contract.quote
        free = wallet.totals[asset] - wallet.locked[asset]
        required = cost + self._fees.highest(cost) if self._fee_in_quote else cost
        if required > free:
            raise InsufficientFunds(asset, required, free)

    def required(self, contract: Contract, buys: bool, price: int, size: int) -> int:
        """Return what an order reserves for a size, in atoms of the asset that it pays with;
        nothing for a market order that buys (price 0)."""
        if not buys:
            return size * contract.size_unit_atoms
        value = contract.value(price, size)
        return value + self._fees.highest(value) if self._fee_in_quote else value

    def resize(
        self, wallet: Wallet, contract: Contract, buys: bool, required: int, reserved: int
    ) -> None:
        """Reserve what an order requires, without a check."""
        wallet.locked[contract.quote if buys else contract.base] += required - reserved

    def settle(
        self, wallet: Wallet, contract: Contract, buys: bool, fill: tuple[bool, int, int]
    ) -> tuple[int, str]:
        """Exchange base and quote for a fill, which is (is maker, size, value). Return the fee in
        atoms and its asset."""
        is_maker, size, value = fill
        size_atoms, totals = size * contract.size_unit_atoms, wallet.totals
        base, quote = contract.base, contract.quote
        if not buys:
            totals[base] -= size_atoms
            totals[quote] += value
            asset, paid_for = quote, value
        else:
            totals[base] += size_atoms
            totals[quote] -= value
            asset, paid_for = (quote, value) if self._fee_in_quote else (base, size_atoms)
        fee = self._fees.fee(paid_for, wallet.volume, is_maker)
        totals[asset] -= fee
        return fee, asset
