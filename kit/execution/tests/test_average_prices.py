"""The average price of an order's fills depends on the kind of its contract."""

from dataclasses import replace
from decimal import Decimal

from venuemesh.common.v1 import types_pb2

from kit.execution.journal import records
from kit.execution.orders.order_index import OrderIndex
from kit.execution.orders.order_messages import order_message
from kit.execution.tests.test_account_state import KEY, account_state, fill, report, sent

INVERSE = types_pb2.Instrument(
    symbol="BTCUSDT",
    kind=types_pb2.INSTRUMENT_KIND_PERPETUAL,
    base="BTC",
    quote="USD",
    size_unit=types_pb2.SIZE_UNIT_QUOTE,
    settlement_asset="BTC",
    contract_kind=types_pb2.CONTRACT_KIND_INVERSE,
)


def test_average_price_of_an_inverse_contract_is_the_harmonic_mean():
    instruments = {}
    state = account_state(instruments.get)
    order = sent(state, size="2")
    state.apply_fill(fill(1, "1", "50000"))
    assert order_message(order).average_price == ""
    instruments["BTCUSDT"] = INVERSE
    assert order_message(order).average_price == "50000"
    state.apply_fill(fill(2, "1", "100000"))
    assert order_message(order).average_price == "66666.6666666666666667"
    assert order_message(order).size_unit == "USD"
    restored = OrderIndex(instruments.get)
    for record in state._journal:
        restored.replay(records.decode(records.encode(record)))
    assert order_message(restored.orders[KEY]) == order_message(order)


def test_reported_average_stands_while_the_instrument_is_not_known():
    state = account_state(lambda symbol: None)
    order = sent(state, size="2")
    state.apply_fill(fill(1, "1", "50000"))
    state.apply_order(replace(report(filled="1", size="2"), average_price=Decimal(50001)))
    assert order_message(order).average_price == "50001"
