"""A position of which settlements pay another amount than its value has changed by."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.accounting.contract import Contract, ContractAssets
from kit.accounting.money import ATOMS_PER_UNIT
from kit.accounting.position import Position

ONE = Decimal(1)
LINEAR = Contract("BTC-USDT", ContractAssets("BTC", "USDT", "USDT"), ONE, ONE, ONE)
INVERSE = Contract("BTC-USD", ContractAssets("BTC", "USD", "BTC"), Decimal(100), ONE, ONE)

FILLS = st.tuples(st.booleans(), st.integers(1, 9), st.integers(50, 200))
"""Side, size and price."""
SETTLEMENTS = st.integers(-1_000, 1_000)


@pytest.mark.parametrize("contract", [LINEAR, INVERSE])
@given(steps=st.lists(FILLS | SETTLEMENTS, max_size=30))
def test_a_closed_position_has_paid_what_its_fills_and_settlements_say(contract, steps):
    position, profit, value_of_fills, settled = Position(contract), 0, 0, 0

    def trade(buys, size, price):
        value = contract.value(price, size)
        return position.trade(buys, value, size), value if buys else -value

    for step in steps:
        if isinstance(step, int):
            position.cost += contract.direction * step * ATOMS_PER_UNIT
            settled += step * ATOMS_PER_UNIT
        else:
            paid, value = trade(*step)
            profit, value_of_fills = profit + paid, value_of_fills + value
        if not position.size:
            # Without a position nothing is settled.
            settled -= contract.direction * position.cost
            position.cost = 0
    if position.size:
        paid, value = trade(position.size < 0, abs(position.size), 100)
        profit, value_of_fills = profit + paid, value_of_fills + value
    assert (position.size, position.cost) == (0, 0)
    assert profit + settled == -contract.direction * value_of_fills


def test_parts_of_a_position_that_has_cost_less_than_nothing_get_smaller():
    position = Position(LINEAR)
    position.trade(buys=True, value=400, size=4)
    position.cost -= 500
    assert position.entry_price() is None
    assert [position.trade(buys=False, value=100, size=1) for _ in range(4)] == [125] * 4
    assert position.cost == 0
