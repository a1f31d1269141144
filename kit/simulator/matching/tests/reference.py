"""An exchange as a textbook would write it: one sorted list of orders per side, decimals, nothing
fast. It shares no code with the engine, only the words of the contract."""

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting.fees import FeeAsset, FeeTier
from kit.execution.contract import TimeInForce
from kit.simulator.matching.contract import RejectCode, SelfTradeMode

CROWD = "crowd"
PLACES = Decimal("0.00000001")
ZERO = Decimal(0)


@dataclass(eq=False)
class Waiting:
    """An order in the list."""

    number: int
    account: str
    buys: bool
    price: Decimal | None
    size: Decimal
    left: Decimal
    arrival: int
    time_in_force: TimeInForce = orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL
    post_only: bool = False
    end: str = ""

    def rank(self) -> tuple[Decimal, int]:
        """Smaller comes first."""
        assert self.price is not None
        return (-self.price if self.buys else self.price, self.arrival)


@dataclass(frozen=True)
class Met:
    """One side of a trade."""

    number: int
    account: str
    price: Decimal
    size: Decimal
    fee: Decimal
    asset: str
    is_maker: bool


class Reference:
    """One spot market, COIN for USDT."""

    def __init__(
        self,
        tiers: tuple[FeeTier, ...],
        fee_asset: FeeAsset,
        self_trade: SelfTradeMode,
        start: dict[str, Decimal],
    ) -> None:
        self.sides: dict[bool, list[Waiting]] = {True: [], False: []}
        self.orders: dict[int, Waiting] = {}
        self.met: list[Met] = []
        self.has: dict[tuple[str, str], Decimal] = {}
        self._tiers = tiers
        self._fee_asset = fee_asset
        self._self_trade = self_trade
        self._start = start
        self._traded: dict[str, Decimal] = {}
        self._open: dict[str, dict[int, Waiting]] = {}
        self._arrivals = 0

    def place(
        self,
        account: str,
        buys: bool,
        size: Decimal,
        price: Decimal | None,
        time_in_force: TimeInForce,
        post_only: bool,
    ) -> Waiting | RejectCode:
        """A new order, or why not."""
        order = Waiting(0, account, buys, price, size, size, 0, time_in_force, post_only)
        refusal = self._refusal(order)
        if refusal not in (None, RejectCode.WOULD_NOT_FILL):
            assert refusal is not None
            return refusal
        order.number = len(self.orders) + 1
        self.orders[order.number] = order
        if refusal is not None:
            order.end = "expired"
            return order
        self._run(order)
        return order

    def cancel(self, number: int) -> RejectCode | None:
        """Take an order back."""
        order = self.orders[number]
        if order.end:
            return RejectCode.FINISHED
        self._remove(order)
        order.end = "cancelled"
        return None

    def amend(self, number: int, size: Decimal, price: Decimal) -> RejectCode | None:
        """Change both; it loses its place unless it only gets smaller."""
        order = self.orders[number]
        if order.end:
            return RejectCode.FINISHED
        filled = order.size - order.left
        if size <= filled:
            return RejectCode.SIZE_MIN
        new = Waiting(number, order.account, order.buys, price, size, size - filled, 0)
        if order.post_only and self._would_take(new):
            return RejectCode.WOULD_TAKE
        if self._need(new) > self.free(order.account, self._pays(new)) + self._need(order):
            return RejectCode.FUNDS
        if price == order.price and size <= order.size:
            order.size, order.left = size, size - filled
            return None
        self._remove(order)
        order.size, order.left, order.price = size, size - filled, price
        self._run(order)
        return None

    def crowd_rests(self, buys: bool, price: Decimal, size: Decimal) -> None:
        """The crowd quotes."""
        self._run(Waiting(0, CROWD, buys, price, size, size, 0))

    def crowd_takes(self, buys: bool, price: Decimal, size: Decimal) -> None:
        """The crowd trades."""
        taker = Waiting(
            0, CROWD, buys, price, size, size, 0, orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL
        )
        self._run(taker)

    def crowd_cancels(self, buys: bool, price: Decimal, size: Decimal) -> None:
        """Newest first."""
        for order in reversed(list(self.sides[buys])):
            if order.account == CROWD and order.price == price and size:
                leaving = min(size, order.left)
                size -= leaving
                order.left -= leaving
                if not order.left:
                    self.sides[buys].remove(order)

    def total(self, account: str, asset: str) -> Decimal:
        """What an account has."""
        return self.has.get((account, asset), self._start[asset])

    def locked(self, account: str, asset: str) -> Decimal:
        """What its orders hold."""
        orders = self._open.get(account, {}).values()
        return sum((self._need(order) for order in orders if self._pays(order) == asset), ZERO)

    def free(self, account: str, asset: str) -> Decimal:
        """The rest."""
        return self.total(account, asset) - self.locked(account, asset)

    def levels(self, buys: bool) -> list[tuple[Decimal, Decimal]]:
        """Price and size, best first."""
        found: dict[Decimal, Decimal] = {}
        for order in self.sides[buys]:
            assert order.price is not None
            found[order.price] = found.get(order.price, ZERO) + order.left
        return list(found.items())

    def _run(self, order: Waiting) -> None:
        while order.left and not order.end:
            best = next(iter(self.sides[not order.buys]), None)
            if best is None or not _crosses(order, best):
                break
            if self._prevented(order, best):
                continue
            self._trade(order, best)
        if order.end:
            return
        if not order.left:
            order.end = "filled"
        elif (
            order.price is None or order.time_in_force != orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL
        ):
            order.end = "expired"
        elif not self._joins_crowd(order):
            self._arrivals += 1
            order.arrival = self._arrivals
            bisect.insort(self.sides[order.buys], order, key=Waiting.rank)
            self._open.setdefault(order.account, {})[order.number] = order

    def _joins_crowd(self, order: Waiting) -> bool:
        """What the crowd adds right behind its own is one with it."""
        same = [other for other in self.sides[order.buys] if other.price == order.price]
        if order.account != CROWD or not same or same[-1].account != CROWD:
            return False
        same[-1].left += order.left
        return True

    def _prevented(self, taker: Waiting, maker: Waiting) -> bool:
        if taker.account != maker.account or CROWD in (taker.account, maker.account):
            return False
        if self._self_trade is SelfTradeMode.ALLOW:
            return False
        if self._self_trade is not SelfTradeMode.CANCEL_NEWEST:
            self._remove(maker)
            maker.end = "cancelled"
        if self._self_trade is not SelfTradeMode.CANCEL_OLDEST:
            taker.end = "cancelled"
        return True

    def _trade(self, taker: Waiting, maker: Waiting) -> None:
        price = maker.price
        assert price is not None
        size = min(taker.left, maker.left)
        for order in (maker, taker):
            order.left -= size
            if order.account != CROWD:
                self._pay(order, price, size, is_maker=order is maker)
        if not maker.left:
            self._remove(maker)
            maker.end = "filled"

    def _pay(self, order: Waiting, price: Decimal, size: Decimal, is_maker: bool) -> None:
        account, value = order.account, price * size
        sign = 1 if order.buys else -1
        self._add(account, "COIN", sign * size)
        self._add(account, "USDT", -sign * value)
        in_coin = order.buys and self._fee_asset is FeeAsset.RECEIVED
        tier = self._tier(account)
        rate = tier.maker if is_maker else tier.taker
        fee = ((size if in_coin else value) * rate).quantize(PLACES, ROUND_DOWN)
        asset = "COIN" if in_coin else "USDT"
        self._add(account, asset, -fee)
        self._traded[account] = self._traded.get(account, ZERO) + value
        self.met.append(Met(order.number, account, price, size, fee, asset, is_maker))

    def _refusal(self, order: Waiting) -> RejectCode | None:
        offers = list(self._offers(order))
        if (
            order.time_in_force == orders_pb2.TIME_IN_FORCE_FILL_OR_KILL
            and sum(size for _, size in offers) < order.size
        ):
            return RejectCode.WOULD_NOT_FILL
        if order.post_only and self._would_take(order):
            return RejectCode.WOULD_TAKE
        free = self.free(order.account, self._pays(order))
        if self._need(order) > free:
            return RejectCode.FUNDS
        if order.buys and order.price is None:
            left, bill = order.size, ZERO
            for price, size in offers:
                bill += price * min(size, left)
                left -= min(size, left)
            if bill + self._fee_most(bill) > free:
                return RejectCode.FUNDS
        return None

    def _would_take(self, order: Waiting) -> bool:
        other = self.sides[not order.buys]
        return bool(other) and _crosses(order, other[0])

    def _offers(self, order: Waiting) -> Iterator[tuple[Decimal, Decimal]]:
        for other in self.sides[not order.buys]:
            if not _crosses(order, other):
                return
            own = other.account == order.account and self._self_trade is not SelfTradeMode.ALLOW
            if own and self._self_trade is not SelfTradeMode.CANCEL_OLDEST:
                return
            if not own:
                assert other.price is not None
                yield other.price, other.left

    def _need(self, order: Waiting) -> Decimal:
        if not order.buys:
            return order.left
        if order.price is None:
            return ZERO
        value = order.price * order.left
        return value + self._fee_most(value)

    def _fee_most(self, value: Decimal) -> Decimal:
        rates = [rate for tier in self._tiers for rate in (tier.maker, tier.taker)]
        return value * max(ZERO, *rates) if self._fee_asset is FeeAsset.QUOTE else ZERO

    def _tier(self, account: str) -> FeeTier:
        traded = self._traded.get(account, ZERO)
        return [tier for tier in self._tiers if tier.volume_from <= traded][-1]

    def _pays(self, order: Waiting) -> str:
        return "USDT" if order.buys else "COIN"

    def _add(self, account: str, asset: str, size: Decimal) -> None:
        self.has[account, asset] = self.total(account, asset) + size

    def _remove(self, order: Waiting) -> None:
        self.sides[order.buys].remove(order)
        self._open[order.account].pop(order.number, None)


def _crosses(order: Waiting, other: Waiting) -> bool:
    if order.price is None:
        return True
    assert other.price is not None
    return other.price <= order.price if order.buys else other.price >= order.price
