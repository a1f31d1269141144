"""The positions in one instrument of one account at one moment: one for each strategy and, of a
derivative, the account's, in which the venue nets them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from kit.accounting.contract import Contract
from kit.accounting.lots import LotPosition
from kit.accounting.position import Position

AVERAGE, FIFO = "average", "fifo"
COST_METHODS = (AVERAGE, FIFO)


class TradedPosition(Protocol):
    """A position that fills change. Sizes count 10^-18, costs are atoms."""

    size: int
    cost: int

    def trade(self, buys: bool, value: int, size: int) -> int:
        """Book a fill of a value. Return the profit of the part that it closes."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What changes of positions have realised, in atoms of the asset that pays it."""

    profits: Mapping[str, int] = field(default_factory=dict)
    """By strategy."""
    net_profit: int = 0
    """Of the account's position in a derivative."""
    funding: Mapping[str, int] = field(default_factory=dict)
    """By strategy."""
    opened: int = 0
    """Size that belongs to no strategy and was there before."""


@dataclass(slots=True)
class StrategyPosition:
    """What one strategy has in the instrument."""

    position: TradedPosition
    profit: int = 0
    """Realised since its first fill, without fees and funding."""
    funding: int = 0
    """Received since its first fill."""


class PositionState:
    """Positions, and what they have realised."""

    def __init__(self, contract: Contract, cost_method: str, text: str = "") -> None:
        """``text``: that of ``text``; empty: no positions."""
        self._contract = contract
        self._cost_method = cost_method
        self.strategies: dict[str, StrategyPosition] = {}
        self.net = Position(contract)
        """Of a derivative, by average cost as the venue computes it."""
        self.net_profit = 0
        self.opened = 0
        """What the opening has added to the executions before it."""
        if text:
            kept = json.loads(text)
            self.opened = kept.get("opened", 0)
            self.net.size, self.net.cost, self.net_profit = kept["net"]
            for strategy, (held, profit, funding) in kept["strategies"].items():
                self.strategies[strategy] = StrategyPosition(self._held(held), profit, funding)

    def text(self) -> str:
        """All of it as JSON."""
        strategies = {
            strategy: [_parts(one.position), one.profit, one.funding]
            for strategy, one in self.strategies.items()
        }
        net = [self.net.size, self.net.cost, self.net_profit]
        state = {"net": net, "opened": self.opened, "strategies": strategies}
        return json.dumps(state, separators=(",", ":"))

    def trade(
        self, strategy: str, price: int, size: int, base_fee: int, *, is_paid: bool = True
    ) -> tuple[int, int]:
        """Book a fill, a sale with a negative size. Return the profit of the strategy and what the
        venue pays: the profit of the account's position in a derivative, unless it is paid later,
        by a settlement."""
        own = self._strategy(strategy)
        value = self._contract.value(price, abs(size))
        profit, net_profit = own.position.trade(size > 0, value, abs(size)), 0
        if not self._contract.is_spot:
            if is_paid:
                net_profit = self.net.trade(size > 0, value, abs(size))
        elif base_fee:
            paid = self._contract.value(price, abs(base_fee))
            profit += own.position.trade(base_fee < 0, paid, abs(base_fee))
        own.profit += profit
        self.net_profit += net_profit
        return profit, net_profit

    def open(self, size: int, price: int) -> int:
        """Make the account's position one of a size at an entry price. What no strategy holds of it
        belongs to none. Return by how much that has changed."""
        others = sum(one.position.size for name, one in self.strategies.items() if name)
        own = self._strategy("")
        added = size - others - own.position.size
        own.position = self._held([size - others, self._cost(price, size - others)])
        self.net.size, self.net.cost = size, self._cost(price, size)
        self.opened += added
        return added

    def pay_funding(self, amount: int) -> dict[str, int]:
        """Divide funding among the strategies in proportion to their sizes. Without a position, it
        belongs to no strategy."""
        sizes = {name: one.position.size for name, one in self.strategies.items()}
        sizes = {name: size for name, size in sizes.items() if size}
        net = sum(sizes.values())
        if not net:
            shares = {"": amount}
        else:
            shares = {name: amount * size // net for name, size in sizes.items()}
            largest = max(sizes, key=lambda name: (abs(sizes[name]), name))
            shares[largest] += amount - sum(shares.values())
        for name, share in shares.items():
            self._strategy(name).funding += share
        return shares

    def settle(self, amount: int) -> None:
        """Book a profit that the venue pays while the position stays open: from now on the
        account's position is worth so much less to it. It is no profit of a strategy yet."""
        if self.net.size:
            self.net.cost += self._contract.direction * amount

    def since(self, before: "PositionState") -> Effect:
        """What was realised more than in another state."""
        profits, funding = {}, {}
        for name in self.strategies.keys() | before.strategies.keys():
            now, then = self.strategies.get(name), before.strategies.get(name)
            profits[name] = (now.profit if now else 0) - (then.profit if then else 0)
            funding[name] = (now.funding if now else 0) - (then.funding if then else 0)
        return Effect(
            profits, self.net_profit - before.net_profit, funding, self.opened - before.opened
        )

    def _cost(self, price: int, size: int) -> int:
        cost = self._contract.value(price, abs(size)) if size else 0
        return cost if size > 0 else -cost

    def _strategy(self, name: str) -> StrategyPosition:
        found = self.strategies.get(name)
        if found is None:
            position = self._held([0, 0])
            found = self.strategies[name] = StrategyPosition(position)
        return found

    def _held(self, parts: list[int]) -> TradedPosition:
        if self._cost_method == FIFO:
            lots = list(zip(parts[0::2], parts[1::2], strict=True))
            return LotPosition(self._contract.direction, lots)
        return Position(self._contract, parts[0], parts[1])


def _parts(position: TradedPosition) -> list[int]:
    """The size and the cost of each lot, or of all of it."""
    if isinstance(position, LotPosition):
        return [part for lot in position.lots for part in lot]
    return [position.size, position.cost]
