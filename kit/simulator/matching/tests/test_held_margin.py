"""What is held of an account is counted as orders come and go: compare it with the full sum."""

import random
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction

import pytest
from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting.fees import FeeTier
from kit.simulator.listing import DerivativeMark
from kit.simulator.matching.contract import (
    MatchingRules,
    OrderRejected,
    OrderStatus,
    OrderView,
    RejectCode,
    SelfTradeMode,
)
from kit.simulator.matching.tests.markets import Market
from kit.simulator.matching.tests.test_exchange_accounts import refusal
from kit.simulator.matching.tests.test_margin import FREE, INVERSE, LATER_NS, LINEAR, marked

D = Decimal
ACCOUNTS = ("ann", "bob", "cid")
PRICE = 60_000
RULES = MatchingRules(
    tiers=(FeeTier(D("-0.0001"), D("0.0005")),),
    start={"USDT": D(20_000), "BTC": D("0.5")},
    stops_trigger_at_once=True,
)
ACTIONS = 400


class Counted:
    """Margin by the book of rules, from what the exchange shows of orders and positions."""

    def __init__(self, market: Market, asset: str, contract: str) -> None:
        self.market = market
        self.asset = asset
        self.contract = Fraction(contract)

    def held(self, account: str) -> Decimal:
        """Of what an account has."""
        exchange, risks, worth, gain = self.market.exchange, {True: 0, False: 0}, 0, 0
        for order in exchange.open_orders(account):
            if order.status is not OrderStatus.UNTRIGGERED and not order.ticket.reduce_only:
                risks[order.ticket.buys] += self._value(order)
        for position in exchange.positions(account):
            worth = self._worth(position.size, Decimal(PRICE))
            gain = int(position.unrealized.scaleb(18))
        most = max(abs(worth + risks[True]), abs(worth - risks[False]))
        held = Decimal(most // 10 + max(0, -gain)).scaleb(-18)
        return min(held, max(self.market.has(account, self.asset)[0], D(0)))

    def _value(self, order: OrderView) -> int:
        assert order.ticket.price is not None
        return self._worth(order.left, order.ticket.price)

    def _worth(self, size: Decimal, price: Decimal) -> int:
        size_of_it = Fraction(size) * self.contract
        inverse = self.asset == "BTC"
        return int(
            (size_of_it / Fraction(price) if inverse else size_of_it * Fraction(price)) * 10**18
        )


def act(market: Market, source: random.Random, unit: int) -> None:
    """One that an account may do."""
    exchange, name = market.exchange, source.choice(ACCOUNTS)
    chance, price = source.random(), str(PRICE + source.randint(-20, 20))
    if chance < 0.15:
        orders = exchange.open_orders(name)
        if orders:
            exchange.cancel(name, source.choice(orders).order_id)
        return
    size = source.randint(1, 40) * unit
    if chance < 0.3:
        orders = exchange.open_orders(name)
        if orders:
            exchange.amend(name, source.choice(orders).order_id, D(size), D(price))
        return
    more: dict[str, object] = {"reduce_only": source.random() < 0.2}
    if chance < 0.4:
        more |= {"type": orders_pb2.ORDER_TYPE_STOP_LIMIT, "stop_price": price}
    elif chance < 0.5:
        more |= {"time_in_force": orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL}
    is_market = chance > 0.95
    side = source.choice(("buy", "sell"))
    market.order(name, side, str(size), None if is_market else price, **more)


@pytest.mark.parametrize("self_trade", SelfTradeMode)
@pytest.mark.parametrize(
    ("listed", "asset", "unit"), [(LINEAR, "USDT", 2), (INVERSE, "BTC", 4_000)]
)
def test_what_is_held_is_what_orders_and_positions_need(listed, asset, unit, self_trade):
    rules = MatchingRules(
        tiers=RULES.tiers, start=RULES.start, stops_trigger_at_once=True, self_trade=self_trade
    )
    market, source = Market(rules, [listed]), random.Random(5)
    market.marks[market.symbol] = DerivativeMark(str(PRICE), str(PRICE), "0", LATER_NS)
    counted = Counted(market, asset, listed[1].contract_size or "1")
    refused = held = 0
    for _ in range(ACTIONS):
        try:
            act(market, source, unit)
        except OrderRejected as no:
            refused += no.refusal is RejectCode.FUNDS
        for name in ACCOUNTS:
            found = market.has(name, asset)[1]
            assert found == counted.held(name)
            held += found > 0
    assert refused
    assert held > ACTIONS


def test_a_stop_that_has_triggered_is_held_once():
    market = Market(FREE, [LINEAR])
    marked(market, "60000")
    limit = {"type": orders_pb2.ORDER_TYPE_STOP_LIMIT, "stop_price": "60500"}
    stop = market.order("demo", "buy", "10", "60400", **limit)
    assert market.has("demo", "USDT")[1] == 0
    market.order("other", "sell", "1", "60500")
    market.order("other", "buy", "1", "60500", self_trade=SelfTradeMode.ALLOW)
    assert market.exchange.order("demo", stop.order_id).status is OrderStatus.OPEN
    assert market.has("demo", "USDT")[1] == D("604")
    market.exchange.cancel("demo", stop.order_id)
    assert market.has("demo", "USDT")[1] == 0


def test_what_is_refused_holds_nothing():
    market = Market(FREE, [LINEAR])
    marked(market, "60000")
    first = market.order("demo", "buy", "100", "60000")
    before = market.has("demo", "USDT")
    assert refusal(lambda: market.order("demo", "buy", "100", "60000")) is RejectCode.FUNDS
    change = lambda: market.exchange.amend("demo", first.order_id, D(200), None)  # noqa: E731
    assert refusal(change) is RejectCode.FUNDS
    assert market.has("demo", "USDT") == before == (D(10_000), D(6_000))
    with suppress(OrderRejected):
        market.order("demo", "sell", "10", "60100", reduce_only=True)
    assert market.has("demo", "USDT") == before


def test_an_order_that_has_ended_is_not_looked_at_when_positions_change():
    market = Market(FREE, [LINEAR])
    market.order("other", "sell", "10", "60000")
    market.order("demo", "buy", "10", "60000")
    reducing = market.exchange._engine.account("demo").reducing
    taken = market.order("demo", "sell", "4", "60100", reduce_only=True)
    filled = market.order("demo", "sell", "6", "60050", reduce_only=True)
    assert list(reducing) == [taken.order_id, filled.order_id]
    market.exchange.cancel("demo", taken.order_id)
    market.order("other", "buy", "6", "60050")
    assert market.exchange.order("demo", filled.order_id).status is OrderStatus.FILLED
    assert reducing == {}
