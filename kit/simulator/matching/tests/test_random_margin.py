"""Random trade in derivatives: nothing is won that nobody loses."""

import random
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction

import pytest

from kit.accounting.fees import FeeTier
from kit.accounting.money import amount_of
from kit.simulator.listing import DerivativeMark
from kit.simulator.matching.contract import MatchingRules, OrderRejected, SelfTradeMode
from kit.simulator.matching.tests.markets import Market
from kit.simulator.matching.tests.test_margin import INVERSE, LINEAR

D = Decimal
ACCOUNTS = ("ann", "bob", "cid")
RULES = MatchingRules(
    tiers=(FeeTier(D("-0.0001"), D("0.0005")),),
    start={"USDT": D(20_000), "BTC": D("0.5")},
    self_trade=SelfTradeMode.CANCEL_OLDEST,
)
ACTIONS = 1_500
CRASH = 1_000
ATOM = Fraction(1, 10**18)


class Holding:
    """What the fills of one account make, in fractions: the mean price method."""

    def __init__(self, inverse: bool, contract: str) -> None:
        self.inverse = inverse
        self.contract = Fraction(contract)
        self.size = self.cost = self.won = Fraction(0)

    def worth(self, price: Fraction, size: Fraction) -> Fraction:
        size *= self.contract
        return size / price if self.inverse else size * price

    def trade(self, price: Fraction, size: Fraction) -> None:
        """Bought; with a negative size, sold."""
        if self.size * size < 0:
            closed = min(abs(size), abs(self.size)) * (1 if size > 0 else -1)
            share = -closed / self.size
            gain = -self.worth(price, closed) - self.cost * share
            self.won += -gain if self.inverse else gain
            self.cost -= self.cost * share
            self.size += closed
            size -= closed
        self.size += size
        self.cost += self.worth(price, size)


def trade(market: Market, unit: int) -> int:
    """Random orders while the price wanders, and crashes once. Returns the last price."""
    source, exchange, price = random.Random(3), market.exchange, 60_000
    tick = Decimal(market.book.instrument.price_text(1))
    for number in range(ACTIONS):
        price += source.choice((-50, 0, 50))
        if number == CRASH:
            price = price * 8 // 10
            for is_bid in (True, False):
                far = Decimal(price * (99 if is_bid else 101) // 100)
                market.book.rest(is_bid, int(far / tick), 10**6, 1)
        due_ns = market.now_ns + 300_000_000 if number % 100 == 50 else 10**18
        market.marks[market.symbol] = DerivativeMark(str(price), str(price), "0.0003", due_ns)
        name, side = source.choice(ACCOUNTS), source.choice(("buy", "sell"))
        size, limit = source.randint(1, 40) * unit, price + source.randint(-20, 20)
        with suppress(OrderRejected):
            only = source.random() < 0.2
            market.order(name, side, str(size), str(limit), reduce_only=only)
        if number % 10 == 9:
            exchange.cancel_all(source.choice(ACCOUNTS))
        market.now_ns += 200_000_000
        exchange.advance(market.now_ns)
    return price


@pytest.mark.parametrize(
    ("listed", "asset", "unit"), [(LINEAR, "USDT", 2), (INVERSE, "BTC", 1_000)]
)
def test_all_that_is_won_is_lost_by_someone(listed, asset: str, unit: int):
    market = Market(RULES, [listed])
    exchange, symbol = market.exchange, market.symbol
    is_inverse = asset == "BTC"
    books = {name: Holding(is_inverse, listed[1].contract_size or "1") for name in ACCOUNTS}
    start = sum(market.has(name, asset)[0] for name in ACCOUNTS)
    price, liquidated = trade(market, unit), 0
    fills = sorted(
        (fill for name in ACCOUNTS for fill in exchange.fills(name)),
        key=lambda fill: (fill.trade_id, fill.is_maker),
    )
    assert len(fills) > ACTIONS / 3
    for fill in fills:
        signed = fill.size if fill.order.ticket.buys else -fill.size
        books[fill.order.account].trade(Fraction(fill.price), Fraction(signed))
        liquidated += fill.order.ticket.price is None
    assert liquidated
    held = {name: {one.symbol: one for one in exchange.positions(name)} for name in ACCOUNTS}
    direction = -1 if is_inverse else 1
    for name, book in books.items():
        position = held[name].get(symbol)
        assert book.size == (Fraction(position.size) if position else 0)
        if position is not None:
            gain = direction * (book.worth(Fraction(price), book.size) - book.cost)
            assert abs(Fraction(position.unrealized) - gain) < ACTIONS * ATOM
    ledger = exchange.ledger
    rest = amount_of(ledger.fees.get(asset, 0) + ledger.background.get(asset, 0))
    total = sum(market.has(name, asset)[0] for name in ACCOUNTS) + rest
    costs = direction * sum(book.cost for book in books.values())
    assert abs(Fraction(total - start) - costs) < 10 * ACTIONS * ATOM
    for name in ACCOUNTS:
        exchange.cancel_all(name)
        if not held[name]:
            assert market.has(name, asset)[1] == 0
