"""Brackets and alternatives as they are typed."""

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from ops.cli import parsed
from ops.errors import OperationsError
from ops.orders import groups

NAMES = orders_pb2.OrderType.Name


def contents(verb, *words):
    given = [verb, "binance", "BTCUSDT", "buy", "0.5", "--id", "g", *words]
    return groups.contents(parsed("order", given))


def test_a_bracket_is_an_entry_and_what_closes_it():
    found = contents("bracket", "--price", "100", "--profit", "110", "--stop", "95", "--trail", "3")
    assert list(found) == ["g-1", "g-2", "g-3", "g-4"]
    entry, profit, stop, trailing = found.values()
    assert (entry.side, entry.price) == (types_pb2.SIDE_BUY, "100")
    assert {one.side for one in (profit, stop, trailing)} == {types_pb2.SIDE_SELL}
    assert [one.type for one in found.values()] == [
        orders_pb2.ORDER_TYPE_LIMIT,
        orders_pb2.ORDER_TYPE_LIMIT,
        orders_pb2.ORDER_TYPE_STOP,
        orders_pb2.ORDER_TYPE_TRAILING_STOP,
    ]
    assert (profit.price, stop.stop_price, trailing.trailing_offset) == ("110", "95", "3")
    assert {(one.group.group_id, one.group.count) for one in found.values()} == {("g", 4)}
    assert entry.group.role == orders_pb2.GROUP_ROLE_ENTRY
    assert {one.group.role for one in (profit, stop)} == {orders_pb2.GROUP_ROLE_EXIT}


def test_without_a_price_the_entry_is_a_market_order_and_exits_only_may_be_reduce_only():
    entry, profit = contents("bracket", "--profit", "110", "--reduce-only").values()
    assert (entry.type, entry.reduce_only) == (orders_pb2.ORDER_TYPE_MARKET, False)
    assert profit.reduce_only


def test_alternatives_are_of_one_side():
    limit, stop = contents("oco", "--profit", "110", "--stop", "95").values()
    assert {limit.side, stop.side} == {types_pb2.SIDE_BUY}
    assert {limit.group.role, stop.group.role} == {orders_pb2.GROUP_ROLE_ALTERNATIVE}


@pytest.mark.parametrize(("verb", "words"), [("bracket", []), ("oco", ["--stop", "95"])])
def test_too_few_are_no_group(verb, words):
    with pytest.raises(OperationsError, match="needs at least"):
        contents(verb, *words)
