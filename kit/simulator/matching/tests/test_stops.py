"""Orders that wait for a price, and orders that wait for a time."""

from decimal import Decimal

import pytest
from venuemesh.tradeflow.v1 import orders_pb2

from kit.simulator.market_events import Trade
from kit.simulator.matching.contract import (
    MatchingRules,
    OrderChanged,
    OrderEventCause,
    OrderRejected,
    OrderStatus,
    RejectCode,
)
from kit.simulator.matching.tests.markets import Market
from kit.simulator.matching.tests.test_exchange_accounts import refusal

D = Decimal


def quoted(market: Market, bid: int = 9_900, ask: int = 10_100, lots: int = 100_000) -> None:
    market.book.rest(True, bid, lots, 1)
    market.book.rest(False, ask, lots, 1)


def trade_at(market: Market, ticks: int) -> list:
    """The crowd trades one lot at a price."""
    best = market.book.best(False)
    buys = best is not None and ticks >= best
    market.book.rest(not buys, ticks, 1, 2)
    return market.book.take(buys, ticks, 1, 2)


@pytest.mark.parametrize(
    ("kind", "side", "stop", "calm", "reaching"),
    [
        (orders_pb2.ORDER_TYPE_STOP, "buy", "100.5", 10_049, 10_050),
        (orders_pb2.ORDER_TYPE_STOP, "sell", "99.5", 9_951, 9_950),
        (orders_pb2.ORDER_TYPE_TAKE_PROFIT, "buy", "99.5", 9_951, 9_950),
        (orders_pb2.ORDER_TYPE_TAKE_PROFIT, "sell", "100.5", 10_049, 10_050),
    ],
)
def test_a_stop_waits_for_a_trade_at_its_price(kind, side, stop, calm, reaching):
    market = Market()
    quoted(market)
    trade_at(market, 10_000)
    heard = market.hear("demo")
    order = market.order("demo", side, "1", type=kind, stop_price=stop)
    assert order.status is OrderStatus.UNTRIGGERED
    assert market.exchange.open_orders("demo") == [order]
    trade_at(market, calm)
    assert market.exchange.order("demo", order.order_id) == order
    events = trade_at(market, reaching)
    done = market.exchange.order("demo", order.order_id)
    assert (done.status, done.filled) == (OrderStatus.FILLED, D(1))
    assert len([event for event in events if type(event) is Trade]) == 2
    causes = [event.cause for event in heard if isinstance(event, OrderChanged)]
    assert causes == [OrderEventCause.NEW, OrderEventCause.TRIGGERED, OrderEventCause.FILLED]
    assert market.has("demo", "COIN")[1] == market.has("demo", "USDT")[1] == 0


def test_a_stop_limit_holds_its_money_and_waits_at_its_price():
    market = Market()
    quoted(market)
    trade_at(market, 10_000)
    order = market.order(
        "demo", "buy", "1", "100.2", type=orders_pb2.ORDER_TYPE_STOP_LIMIT, stop_price="100.5"
    )
    assert market.has("demo", "USDT")[1] == D("100.2")
    assert not order.triggered
    trade_at(market, 10_050)
    triggered = market.exchange.order("demo", order.order_id)
    assert (triggered.status, triggered.triggered) == (OrderStatus.OPEN, True)
    assert market.book.levels(True, 1) == [(10_020, 1_000)]
    assert market.has("demo", "USDT")[1] == D("100.2")


@pytest.mark.parametrize(
    ("side", "path", "filled_at"),
    [
        ("sell", [10_020, 10_090, 10_050, 10_041], 10_040),
        ("buy", [9_980, 9_910, 9_950, 9_959], 9_960),
    ],
)
def test_a_trailing_stop_follows_the_price_one_way(side, path, filled_at):
    market = Market()
    quoted(market, 9_000, 11_000)
    trade_at(market, 10_000)
    order = market.order(
        "demo", side, "1", type=orders_pb2.ORDER_TYPE_TRAILING_STOP, trailing_offset="0.5"
    )
    for ticks in path:
        trade_at(market, ticks)
        assert market.exchange.order("demo", order.order_id).status is OrderStatus.UNTRIGGERED
    trade_at(market, filled_at)
    assert market.exchange.order("demo", order.order_id).status is OrderStatus.FILLED


def test_stops_trigger_each_other():
    market = Market()
    for ticks in (10_000, 9_900, 9_800):
        market.book.rest(True, ticks, 1_000, 1)
    trade_at(market, 10_100)
    orders = [
        market.order("demo", "sell", "1", type=orders_pb2.ORDER_TYPE_STOP, stop_price=price)
        for price in ("99.0", "100.0")
    ]
    market.order("other", "sell", "1")
    done = [market.exchange.order("demo", order.order_id) for order in orders]
    assert [order.filled_value for order in done] == [D(98), D(99)]


def test_a_stop_that_is_reached_already_is_refused_or_triggers():
    strict, kind = Market(), Market(MatchingRules(stops_trigger_at_once=True))
    for market in (strict, kind):
        quoted(market)
        trade_at(market, 10_000)

    def place(market: Market):
        return market.order("demo", "sell", "1", type=orders_pb2.ORDER_TYPE_STOP, stop_price="100")

    assert refusal(lambda: place(strict)) is RejectCode.STOP_WOULD_TRIGGER
    assert place(kind).status is OrderStatus.FILLED


def test_a_stop_without_money_ends_when_it_triggers():
    market = Market()
    quoted(market, lots=20_000_000)
    trade_at(market, 10_000)
    order = market.order("demo", "buy", "9999", type=orders_pb2.ORDER_TYPE_STOP, stop_price="100.5")
    trade_at(market, 10_050)
    done = market.exchange.order("demo", order.order_id)
    assert (done.status, done.why, done.filled) == (OrderStatus.CANCELLED, RejectCode.FUNDS, D(0))


def test_a_stop_is_amended_and_cancelled():
    market = Market()
    quoted(market)
    trade_at(market, 10_000)
    order = market.order("demo", "sell", "1", type=orders_pb2.ORDER_TYPE_STOP, stop_price="99.5")
    market.exchange.amend("demo", order.order_id, D(2), None, D("99.2"))
    assert market.has("demo", "COIN")[1] == D(2)
    trade_at(market, 9_950)
    assert market.exchange.order("demo", order.order_id).status is OrderStatus.UNTRIGGERED
    with pytest.raises(OrderRejected):
        market.exchange.amend("demo", order.order_id, None, None, D("99.6"))
    assert market.exchange.cancel("demo", order.order_id).status is OrderStatus.CANCELLED
    trade_at(market, 9_910)
    assert market.exchange.fills("demo") == []
    assert market.has("demo", "COIN") == (D(1000), D(0))


def test_time_ends_orders():
    market = Market()
    second_ns = 1_000_000_000
    late = {
        "time_in_force": orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME,
        "expire_time_ns": market.now_ns + second_ns,
    }
    order = market.order("demo", "buy", "1", "90", **late)
    market.now_ns += second_ns - 1
    market.exchange.advance(market.now_ns)
    assert market.exchange.order("demo", order.order_id).status is OrderStatus.OPEN
    market.now_ns += 1
    market.exchange.advance(market.now_ns)
    assert market.exchange.order("demo", order.order_id).status is OrderStatus.EXPIRED
    assert market.book.best(True) is None
    assert refusal(lambda: market.order("demo", "buy", "1", "90", **late)) is RejectCode.MALFORMED


def test_a_dead_man_switch_cancels_all_unless_it_is_pressed_again():
    market = Market()
    market.order("demo", "buy", "1", "90")
    other = market.order("other", "buy", "1", "90")
    for seconds in (1, 1, 0):
        market.exchange.cancel_after("demo", seconds)
        market.now_ns += 999_999_999
        market.exchange.advance(market.now_ns)
    market.now_ns += 10**10
    market.exchange.advance(market.now_ns)
    assert len(market.exchange.open_orders("demo")) == 1
    market.exchange.cancel_after("demo", 0.5)
    market.now_ns += 500_000_000
    market.exchange.advance(market.now_ns)
    assert market.exchange.open_orders("demo") == []
    assert market.exchange.open_orders("other") == [other]
