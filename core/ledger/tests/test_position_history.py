"""Positions do not depend on the order in which their changes arrive."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ledger import position_history
from core.ledger.position_history import (
    ChangeKey,
    ChangeKind,
    KeptState,
    PositionChange,
    PositionHistory,
)
from core.ledger.position_state import AVERAGE, COST_METHODS
from kit.accounting.contract import Contract, ContractAssets
from kit.accounting.lots import LotPosition
from kit.accounting.position import Position

UNIT = 10**18
CONTRACTS = {
    "spot": Contract("S", ContractAssets("BTC", "USDT")),
    "linear": Contract("L", ContractAssets("BTC", "USDT", "USDT")),
    "inverse": Contract("I", ContractAssets("BTC", "USD", "BTC")),
}


@pytest.fixture(autouse=True, scope="module")
def few_changes():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(position_history, "STATE_INTERVAL", 3)
        patch.setattr(position_history, "CHANGES_KEPT_MAX", 10**9)
        yield


def change(number: int, kind: ChangeKind, strategy: str, size: int, price: int) -> PositionChange:
    key = ChangeKey(1 + number // 2, kind, len(str(number)), str(number))
    if kind is ChangeKind.FILL:
        return PositionChange(key, b"", strategy, price * UNIT, size * UNIT, size)
    return PositionChange(key, b"", amount=size)


CHANGES = st.lists(
    st.tuples(
        st.sampled_from([*[ChangeKind.FILL] * 6, ChangeKind.FUNDING, ChangeKind.SETTLEMENT]),
        st.sampled_from(["", "a", "b"]),
        st.integers(-9, 9).filter(bool),
        st.integers(1, 99),
    ),
    max_size=30,
)


@given(CHANGES, st.data(), st.sampled_from(list(CONTRACTS)), st.sampled_from(COST_METHODS))
def test_any_order_gives_the_same_positions_and_profit(parts, data, kind, method):
    contract = CONTRACTS[kind]
    changes = sorted(change(number, *part) for number, part in enumerate(parts))
    whole = PositionHistory(contract, method, None, changes)
    history, effects, saved = PositionHistory(contract, method), [], {}
    rest = data.draw(st.permutations(changes))
    while rest:
        count = data.draw(st.integers(1, len(rest)))
        batch, rest = sorted(rest[:count]), rest[count:]
        effects += history.insert(batch)
        dropped_after, kept = history.unsaved()
        if dropped_after is not None:
            saved = {key: state for key, state in saved.items() if key <= dropped_after}
        saved |= {one.key: one.state for one in kept}
    assert history.state.since(whole.state).profits == dict.fromkeys(whole.state.strategies, 0)
    assert history.state.net_profit == whole.state.net_profit
    # What was booked, one effect after the other, is what was realised.
    booked = sum(effect.net_profit for effect in effects)
    assert booked == whole.state.net_profit
    for strategy, one in whole.state.strategies.items():
        again = history.state.strategies[strategy]
        assert (again.position.size, again.position.cost) == (one.position.size, one.position.cost)
        assert sum(effect.profits.get(strategy, 0) for effect in effects) == one.profit
        assert sum(effect.funding.get(strategy, 0) for effect in effects) == one.funding
    # Every state that was kept continues to the same end.
    for key, state in saved.items():
        later = [one for one in changes if one.key > key]
        continued = PositionHistory(contract, method, KeptState(key, state), later)
        assert continued.state.net_profit == whole.state.net_profit
        assert {name: one.profit for name, one in continued.state.strategies.items()} == {
            name: one.profit for name, one in whole.state.strategies.items()
        }


@given(CHANGES)
def test_costs_and_profit_conserve_what_was_paid(parts):
    """Of all strategies together what they have realised and paid is what the account has."""
    history = PositionHistory(CONTRACTS["linear"], AVERAGE)
    for number, part in enumerate(parts):
        history.insert([change(number, ChangeKind.FILL, *part[1:])])
    state = history.state
    held = state.strategies.values()
    assert sum(one.position.size for one in held) == state.net.size
    assert sum(one.profit - one.position.cost for one in held) == state.net_profit - state.net.cost


@given(st.lists(st.tuples(st.integers(-9, 9).filter(bool), st.integers(1, 99)), max_size=30))
def test_lots_are_closed_in_the_order_of_their_opening(fills):
    """Against a list of single units, each with its price."""
    for direction, contract in ((1, CONTRACTS["linear"]), (-1, CONTRACTS["inverse"])):
        lots, average, units, profit = LotPosition(direction), Position(contract), [], 0
        for size, price in fills:
            value = abs(size) * price
            profit += lots.trade(size > 0, value, abs(size))
            average.trade(size > 0, value, abs(size))
            sign = 1 if size > 0 else -1
            for _ in range(abs(size)):
                if units and units[0][0] == -sign:
                    side, paid = units.pop(0)
                    profit -= direction * side * (price - paid)
                else:
                    units.append((sign, price))
            assert profit == 0
            assert lots.size == average.size == sum(side for side, _ in units)
            assert lots.cost == sum(side * paid for side, paid in units)


def test_a_share_of_a_lot_is_cut_off_once():
    lots = LotPosition(1)
    lots.trade(buys=True, value=100, size=3)
    profits = list(itertools.accumulate(lots.trade(False, 40, 1) for _ in range(3)))
    assert profits[-1] == 20
    assert (lots.size, lots.cost) == (0, 0)
    assert Fraction(100, 3) > 33 == 40 - profits[0]
