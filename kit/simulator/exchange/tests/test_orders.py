"""What is asked of the engine, and whose fills are whose."""

import pytest
from venuemesh.tradeflow.v1 import orders_pb2

from kit.simulator.exchange.order_fills import fills_by_order, fills_of, stop_kind
from kit.simulator.matching.tests.markets import Market


@pytest.mark.parametrize(
    ("takes_profit", "at_market", "expected"),
    [
        (False, True, orders_pb2.ORDER_TYPE_STOP),
        (False, False, orders_pb2.ORDER_TYPE_STOP_LIMIT),
        (True, True, orders_pb2.ORDER_TYPE_TAKE_PROFIT),
        (True, False, orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT),
    ],
)
def test_each_kind_of_stop(takes_profit, at_market, expected):
    assert stop_kind(takes_profit, at_market) is expected


def test_each_order_has_its_own_fills_oldest_first():
    market = Market()
    market.order("other", "sell", "1", "100")
    market.now_ns += 1
    market.order("other", "sell", "2", "101")
    first = market.order("demo", "buy", "2", "101")
    market.now_ns += 1
    second = market.order("demo", "buy", "0.5", "101")
    waits = market.order("demo", "buy", "1", "90")
    assert [(str(one.price), one.size) for one in fills_of(first, market.exchange)] == [
        ("100.00", 1),
        ("101.00", 1),
    ]
    found = fills_by_order([second, waits, first], market.exchange)
    assert list(found[first.order_id]) == fills_of(first, market.exchange)
    assert [one.order.order_id for one in found[second.order_id]] == [second.order_id]
    assert not found.get(waits.order_id, ())
    assert set(fills_by_order([first, waits], market.exchange)) == {first.order_id}


def test_an_order_without_fills_reads_none(monkeypatch):
    market = Market()
    waits = market.order("demo", "buy", "1", "90")
    monkeypatch.delattr(type(market.exchange), "fills")
    assert fills_of(waits, market.exchange) == []
    assert not fills_by_order([], market.exchange)
