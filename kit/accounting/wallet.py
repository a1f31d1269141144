"""Balances, reserved amounts and positions of one account, in atoms."""

from collections import defaultdict

from kit.accounting.contract import Contract
from kit.accounting.fees import TradedVolume
from kit.accounting.money import amount_of
from kit.accounting.position import Position


class InsufficientFunds(Exception):
    """An order needs more of an asset than is available. Nothing was reserved for it."""

    def __init__(self, asset: str, required: int, available: int) -> None:
        super().__init__(asset, required, available)
        self.asset = asset
        self.required = required
        self.available = available

    def __str__(self) -> str:
        required, available = amount_of(self.required), amount_of(self.available)
        return f"{required:f} {self.asset} are required, {available:f} are available"


class Wallet:
    """What one account has."""

    __slots__ = ("locked", "margins", "positions", "totals", "volume")

    def __init__(self) -> None:
        self.totals: defaultdict[str, int] = defaultdict(int)
        self.locked: defaultdict[str, int] = defaultdict(int)
        """Reserved by spot orders and by margin."""
        self.margins: defaultdict[str, int] = defaultdict(int)
        """The part of ``locked`` that is margin of derivatives."""
        self.positions: dict[str, Position] = {}
        """By symbol, empty positions included."""
        self.volume = TradedVolume()

    def position(self, contract: Contract) -> Position:
        """Return the position in a derivative; an empty one if there was none."""
        found = self.positions.get(contract.symbol)
        if found is None:
            found = self.positions[contract.symbol] = Position(contract)
        return found
