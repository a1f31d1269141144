"""The request that goes out for an order."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.journal.records import OrderIntent
from kit.execution.orders.order_records import intended_order
from kit.execution.prices.reference_prices import ReferenceMarketData
from kit.execution.sending.request_builder import RequestBuilder
from kit.execution.tests.fake_venue import CAPABILITIES
from kit.execution.tests.order_groups import ENTRY, EXIT, SELL, order
from kit.execution.tests.position_venue import PERPETUAL
from kit.execution.tests.simulated_process import SETTINGS, SPOT

NO_GROUP = orders_pb2.GROUP_ROLE_UNSPECIFIED


class NoSelfTrades:
    """No order is in the way of another."""

    def venue_mode(self, order, request, capabilities):
        return orders_pb2.SELF_TRADE_PREVENTION_ALLOW


def request_of(role, instrument, **capabilities):
    content = order(role, side=SELL)
    intent = OrderIntent("1" * 32, "r", b"", content.SerializeToString(), 1, 0, True)
    client = SimpleNamespace(capabilities=replace(CAPABILITIES, **capabilities))
    market = ReferenceMarketData(lambda symbol: instrument)
    builder = RequestBuilder(client, market, SETTINGS, NoSelfTrades(), None)
    return builder.current(intended_order(intent))


@pytest.mark.parametrize(
    ("role", "instrument", "capabilities", "expected"),
    [
        (EXIT, PERPETUAL, {"has_positions": True}, True),
        (ENTRY, PERPETUAL, {"has_positions": True}, False),
        (NO_GROUP, PERPETUAL, {"has_positions": True}, False),
        (EXIT, SPOT, {"has_positions": True}, False),
        (EXIT, SPOT, {"has_positions": False}, False),
        (EXIT, PERPETUAL, {"has_positions": True, "reduce_only": False}, False),
    ],
)
def test_exit_of_a_bracket_in_a_derivative_only_reduces(role, instrument, capabilities, expected):
    assert request_of(role, instrument, **capabilities).reduce_only is expected
