"""Margin, settlement and liquidation of derivatives, with cross margin per settlement asset.

All balances, positions and orders of one settlement asset share their margin. For each instrument
the larger one of two exposures counts: all open orders that buy are filled, or all that sell.
Unrealised profit opens no new positions; an unrealised loss is reserved.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal

from kit.accounting.contract import Contract, ContractKind
from kit.accounting.fees import FeeCalculator
from kit.accounting.money import Ratio
from kit.accounting.position import Position
from kit.accounting.wallet import InsufficientFunds, Wallet

UnitValue = Callable[[Contract], Ratio | None]
"""Atoms that one size unit of a contract is worth at its mark price; None: no price is known, and
positions count at their cost."""


class MarginCalculator:
    """Margin rules of one venue."""

    def __init__(
        self,
        fees: FeeCalculator,
        initial: Ratio,
        maintenance: Ratio,
        unit_value: UnitValue,
        *,
        pays_at_settlement: bool = False,
    ) -> None:
        """``initial`` and ``maintenance`` are shares of a position's value. ``pays_at_settlement``:
        profit counts as margin at once, and is paid out later, by ``Position.settle``."""
        self._pays_at_settlement = pays_at_settlement
        self._fees = fees
        self.initial = initial
        self.maintenance = maintenance
        self._unit_value = unit_value

    def admit(
        self, wallet: Wallet, contract: Contract, buys: bool, value: int, reserved: int
    ) -> None:
        """Count an order's value, of which ``reserved`` is counted already. Orders that need no
        more margin than before are always admitted. Raises InsufficientFunds."""
        asset, position = contract.settle, wallet.position(contract)
        position.expect(buys, value - reserved)
        required = self.required(wallet, asset)
        total, fee = self.balance(wallet, asset), self._fees.highest(value)
        if required > total - fee:
            position.expect(buys, reserved - value)
            if required > self.required(wallet, asset):
                raise InsufficientFunds(asset, required + fee, total)
            position.expect(buys, value - reserved)
        self._lock(wallet, asset, required)

    def resize(
        self, wallet: Wallet, contract: Contract, buys: bool, value: int, reserved: int
    ) -> None:
        """Count an order's value without a check."""
        if value != reserved:
            wallet.position(contract).expect(buys, value - reserved)
        self.refresh(wallet, contract.settle)

    def refresh(self, wallet: Wallet, asset: str) -> None:
        """Reserve the margin that positions and orders require at the prices of now."""
        self._lock(wallet, asset, self.required(wallet, asset))

    def settle(
        self, wallet: Wallet, contract: Contract, buys: bool, fill: tuple[bool, int, int]
    ) -> tuple[int, str]:
        """Book a fill, which is (is maker, size, value), without reserving margin again. Return the
        fee in atoms and its asset."""
        is_maker, size, value = fill
        asset = contract.settle
        position = wallet.position(contract)
        profit = position.trade(buys, value, size)
        fee = self._fees.fee(value, wallet.volume, is_maker)
        if self._pays_at_settlement:
            position.unsettled += profit
            profit = 0
        wallet.totals[asset] += profit - fee
        return fee, asset

    def balance(self, wallet: Wallet, asset: str) -> int:
        """Return the balance with the profit that is to be paid out."""
        return wallet.totals[asset] + self.unsettled(wallet, asset)

    def unsettled(self, wallet: Wallet, asset: str) -> int:
        """Return the realised profit that is to be paid out."""
        if not self._pays_at_settlement:
            return 0
        held = wallet.positions.values()
        return sum(one.unsettled for one in held if one.contract.settle == asset)

    def required(self, wallet: Wallet, asset: str) -> int:
        """Return the initial margin of positions and orders, plus the unrealised loss."""
        required = profit = 0
        for position in wallet.positions.values():
            contract = position.contract
            if contract.settle == asset:
                unit_value = self._unit_value(contract)
                value = position.cost if unit_value is None else unit_value.apply(position.size)
                most = max(abs(value + position.buying), abs(value - position.selling))
                required += self.initial.apply(most)
                profit += contract.direction * (value - position.cost)
        return required + max(0, -profit)

    def equity(self, wallet: Wallet, asset: str) -> int:
        """Return the balance plus the unrealised profit of all positions."""
        profits = (one.unrealized(value) for one, value in self._held(wallet, asset))
        return self.balance(wallet, asset) + sum(profits)

    def maintenance_required(self, wallet: Wallet, asset: str) -> int:
        """Return the equity below which positions are liquidated."""
        held = self._held(wallet, asset)
        return sum(self.maintenance.apply(abs(one.value(value))) for one, value in held)

    def liquidation_price(self, wallet: Wallet, position: Position) -> Decimal | None:
        """Return the mark price at which equity and maintenance margin are equal while all other
        prices stay as they are, or None if there is no such price."""
        unit_value = self._unit_value(position.contract)
        if not position.size or unit_value is None:
            return None
        asset = position.contract.settle
        free = self.equity(wallet, asset) - self.maintenance_required(wallet, asset)
        return self._price_without(free, position, unit_value)

    def nearest_liquidations(
        self, wallet: Wallet, asset: str, free: int
    ) -> Iterator[tuple[Position, Decimal | None]]:
        """The liquidation prices among which that is which is nearest to its mark, as a part of
        it: of each kind of contract and side, that of the position of the largest value. ``free``:
        the equity beyond the maintenance margin, of all positions."""
        largest: dict[tuple[ContractKind, bool], tuple[int, Position, Ratio]] = {}
        for position, unit_value in self._held(wallet, asset):
            key = position.contract.kind, position.size > 0
            value = abs(position.value(unit_value))
            if key not in largest or value > largest[key][0]:
                largest[key] = value, position, unit_value
        for _, position, unit_value in largest.values():
            yield position, self._price_without(free, position, unit_value)

    def _price_without(self, free: int, position: Position, unit_value: Ratio) -> Decimal | None:
        """``free``: the equity beyond the maintenance margin, of all positions."""
        own = self.maintenance.apply(abs(position.value(unit_value)))
        rest = free - position.unrealized(unit_value) + own
        return position.price_at_margin(rest, self.maintenance)

    def _held(self, wallet: Wallet, asset: str) -> Iterator[tuple[Position, Ratio]]:
        for position in wallet.positions.values():
            if position.size and position.contract.settle == asset:
                unit_value = self._unit_value(position.contract)
                if unit_value is not None:
                    yield position, unit_value

    def _lock(self, wallet: Wallet, asset: str, required: int) -> None:
        wallet.locked[asset] += required - wallet.margins[asset]
        wallet.margins[asset] = required
