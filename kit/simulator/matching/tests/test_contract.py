"""What an order says of itself."""

from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.simulator.matching.contract import OrderStatus, OrderTicket, OrderView


@pytest.mark.parametrize(
    ("status", "filled", "is_final", "left"),
    [
        (OrderStatus.UNTRIGGERED, "0", False, "5"),
        (OrderStatus.PARTLY_FILLED, "2", False, "3"),
        (OrderStatus.FILLED, "5", True, "0"),
        (OrderStatus.EXPIRED, "1", True, "4"),
    ],
)
def test_an_order_knows_what_is_left(status, filled, is_final, left):
    ticket = OrderTicket(
        "BTCUSDT", types_pb2.SIDE_BUY, orders_pb2.ORDER_TYPE_LIMIT, Decimal(5), price=Decimal(1)
    )
    order = OrderView(1, "demo", ticket, status, Decimal(filled), Decimal(filled), 0, 0)
    assert (order.is_final, order.left) == (is_final, Decimal(left))
