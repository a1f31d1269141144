"""The engine against the textbook, over as many random actions as one likes::

python -m kit.simulator.matching.tests.comparison [ACTIONS] [SEED]
"""

import random
import sys
from collections.abc import Callable
from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting.fees import FeeAsset, FeeTier
from kit.accounting.money import amount_of
from kit.execution.order_types import side_of
from kit.simulator.matching.contract import (
    FillView,
    MatchingRules,
    OrderRejected,
    OrderTicket,
    RejectCode,
    SelfTradeMode,
)
from kit.simulator.matching.tests.markets import SYMBOL, Market
from kit.simulator.matching.tests.reference import Met, Reference

ACCOUNTS = ("ann", "bob", "cid")
START = {"COIN": Decimal(5_000), "USDT": Decimal(500_000)}
TIERS = (
    FeeTier(Decimal("0.0012"), Decimal("0.0019")),
    FeeTier(Decimal("-0.0001"), Decimal("0.0007"), Decimal(2_000_000)),
)
TIMES_IN_FORCE = (
    *[orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL] * 6,
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL,
    orders_pb2.TIME_IN_FORCE_FILL_OR_KILL,
)
CHECK_EVERY = 500
SPREAD = 25
"""Most ticks from the middle."""


class Disagreement(Exception):
    """The two exchanges differ."""


class Comparison:
    """Does the same to both, and compares."""

    def __init__(self, seed: int, fee_asset: FeeAsset, self_trade: SelfTradeMode) -> None:
        rules = MatchingRules(
            start=START,
            tiers=TIERS,
            fee_asset=fee_asset,
            self_trade=self_trade,
            # The reference has no such bound.
            open_orders_max=sys.maxsize,
        )
        self.market = Market(rules)
        self.reference = Reference(TIERS, fee_asset, self_trade, START)
        self.orders = 0
        self.fills = 0
        self.refused = 0
        self._random = random.Random(seed)
        self._middle = 10_000
        self._newest: list[tuple[str, int]] = []
        self._heard: list[FillView] = []
        for account in ACCOUNTS:
            self.market.exchange.listen(account, self._hear)

    def run(self, actions: int) -> None:
        """Raises Disagreement."""
        for number in range(actions):
            self._middle += self._random.choice((-1, 0, 0, 0, 1))
            self._act()
            self._compare_fills()
            if number % CHECK_EVERY == CHECK_EVERY - 1:
                self._compare_all()
        self._compare_all()

    def _hear(self, event: object) -> None:
        fill = getattr(event, "fill", None)
        if fill is not None:
            self._heard.append(fill)

    def _act(self) -> None:
        chance = self._random.random()
        buys, ticks, lots = self._random.random() < 0.5, self._ticks(), self._lots()
        if chance < 0.60:
            self._place(buys, ticks, lots)
        elif chance < 0.75:
            self._change(ticks, lots)
        else:
            price, size = Decimal(ticks) / 100, Decimal(lots) / 1000
            book, reference = self.market.book, self.reference
            if chance < 0.87:
                book.rest(buys, ticks, lots, 1)
                reference.crowd_rests(buys, price, size)
            elif chance < 0.94:
                book.take(buys, ticks, lots, 1)
                reference.crowd_takes(buys, price, size)
            else:
                book.cancel(buys, ticks, lots, 1)
                reference.crowd_cancels(buys, price, size)

    def _place(self, buys: bool, ticks: int, lots: int) -> None:
        account = self._random.choice(ACCOUNTS)
        is_market = self._random.random() < 0.08
        time_in_force = (
            orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL
            if is_market
            else self._random.choice(TIMES_IN_FORCE)
        )
        post_only = (
            not is_market
            and time_in_force == orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL
            and self._random.random() < 0.2
        )
        price = None if is_market else Decimal(ticks) / 100
        size = Decimal(lots) / 1000
        kind = orders_pb2.ORDER_TYPE_MARKET if is_market else orders_pb2.ORDER_TYPE_LIMIT
        ticket = OrderTicket(
            SYMBOL,
            side_of(buys),
            kind,
            size,
            price,
            time_in_force=time_in_force,
            post_only=post_only,
        )
        expected = self.reference.place(account, buys, size, price, time_in_force, post_only)
        try:
            order = self.market.exchange.place(account, ticket)
        except OrderRejected as refused:
            self.refused += 1
            self._same("refusal", refused.refusal, expected)
            return
        if isinstance(expected, RejectCode):
            raise Disagreement(f"{ticket} was taken, and not {expected}")
        self.orders += 1
        found = (order.order_id, order.left, order.status.value if order.is_final else "")
        self._same("order", found, (expected.number, expected.left, expected.end))
        self._newest = [*self._newest[-200:], (account, order.order_id)]

    def _change(self, ticks: int, lots: int) -> None:
        if not self._newest:
            return
        account, number = self._random.choice(self._newest)
        exchange, reference = self.market.exchange, self.reference
        change: Callable[[], object]
        if self._random.random() < 0.6:
            expected = reference.cancel(number)
            change = lambda: exchange.cancel(account, number)  # noqa: E731
        elif reference.orders[number].price is None:
            return
        else:
            size, price = Decimal(lots) / 1000, Decimal(ticks) / 100
            expected = reference.amend(number, size, price)
            change = lambda: exchange.amend(account, number, size, price)  # noqa: E731
        try:
            change()
        except OrderRejected as refused:
            self._same("refusal", refused.refusal, expected)
        else:
            self._same("refusal", None, expected)

    def _compare_fills(self) -> None:
        heard = [
            Met(
                fill.order.order_id,
                fill.order.account,
                fill.price,
                fill.size,
                fill.fee,
                fill.fee_asset,
                fill.is_maker,
            )
            for fill in self._heard
        ]
        self._same("fills", heard, self.reference.met)
        self.fills += len(heard)
        self._heard.clear()
        self.reference.met.clear()

    def _compare_all(self) -> None:
        market, reference = self.market, self.reference
        instrument = market.book.instrument
        for is_bid in (True, False):
            levels = [
                (Decimal(instrument.price_text(ticks)), Decimal(instrument.size_text(lots)))
                for ticks, lots in market.book.levels(is_bid, 10_000)
            ]
            self._same("book", levels, reference.levels(is_bid))
        sums = dict.fromkeys(START, Decimal(0))
        for account in ACCOUNTS:
            for balance in market.exchange.balances(account):
                asset = balance.asset
                expected = reference.total(account, asset), reference.locked(account, asset)
                self._same(f"{account} {asset}", (balance.total, balance.locked), expected)
                sums[asset] += balance.total
        ledger = market.exchange.ledger
        for asset, found in sums.items():
            rest = ledger.fees.get(asset, 0) + ledger.background.get(asset, 0)
            self._same("sum", found + amount_of(rest), START[asset] * len(ACCOUNTS))

    def _same(self, what: str, found: object, expected: object) -> None:
        if found != expected:
            raise Disagreement(f"{what}: the engine has {found}, the reference {expected}")

    def _ticks(self) -> int:
        return self._middle + round(self._random.gauss(0, SPREAD / 3))

    def _lots(self) -> int:
        return 60 + int(self._random.expovariate(1 / 4_000))
