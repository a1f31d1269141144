"""Spot orders: reserved funds, costs and settlement."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.accounting.contract import Contract, ContractAssets
from kit.accounting.fees import FeeAsset, FeeCalculator, FeeTier
from kit.accounting.money import ATOMS_PER_UNIT, atoms_of
from kit.accounting.spot import SpotCalculator
from kit.accounting.wallet import InsufficientFunds, Wallet

D = Decimal
CONTRACT = Contract("BTC/USD", ContractAssets("BTC", "USD"), D(1), D("0.01"), D("0.0001"))
MAKER, TAKER = D("-0.0002"), D("0.0013")


def calculator(fee_asset: FeeAsset) -> SpotCalculator:
    return SpotCalculator(FeeCalculator([FeeTier(MAKER, TAKER)], places=18), fee_asset)


@given(
    st.sampled_from(FeeAsset),
    st.booleans(),
    st.booleans(),
    st.integers(1, 10**7),
    st.integers(1, 10**6),
)
def test_a_fill_exchanges_base_and_quote_and_pays_its_fee(fee_asset, buys, is_maker, ticks, lots):
    wallet, spot = Wallet(), calculator(fee_asset)
    fill = is_maker, lots, CONTRACT.value(ticks, lots)
    fee, asset = spot.settle(wallet, CONTRACT, buys, fill)
    size = Fraction(lots * CONTRACT.size_unit)
    value = size * Fraction(ticks * CONTRACT.price_unit)
    assert asset == ("BTC" if buys and fee_asset is FeeAsset.RECEIVED else "USD")
    paid_for = size if asset == "BTC" else value
    exact_fee = paid_for * Fraction(MAKER if is_maker else TAKER)
    assert abs(Fraction(fee, ATOMS_PER_UNIT) - exact_fee) < Fraction(1, ATOMS_PER_UNIT)
    sign = 1 if buys else -1
    expected = {"BTC": sign * size, "USD": -sign * value}
    expected[asset] -= Fraction(fee, ATOMS_PER_UNIT)
    assert {
        one: Fraction(atoms, ATOMS_PER_UNIT) for one, atoms in wallet.totals.items()
    } == expected


@pytest.mark.parametrize(
    ("fee_asset", "required"), [(FeeAsset.QUOTE, "100.13"), (FeeAsset.RECEIVED, "100")]
)
def test_a_buy_reserves_its_value_and_the_highest_fee_in_the_quote(fee_asset, required):
    wallet, spot = Wallet(), calculator(fee_asset)
    need = spot.required(CONTRACT, True, 10_000, 10_000)
    assert need == atoms_of(D(required))
    wallet.totals["USD"] = need - 1
    with pytest.raises(InsufficientFunds, match=f"{required} USD are required"):
        spot.admit(wallet, CONTRACT, True, need, 0)
    with pytest.raises(InsufficientFunds):
        spot.check_cost(wallet, CONTRACT, atoms_of(D(100)))
    assert not wallet.locked["USD"]
    wallet.totals["USD"] = need
    spot.check_cost(wallet, CONTRACT, atoms_of(D(100)))
    spot.admit(wallet, CONTRACT, True, need, 0)
    with pytest.raises(InsufficientFunds):
        spot.admit(wallet, CONTRACT, True, 1, 0)
    spot.admit(wallet, CONTRACT, True, need // 2, need)
    spot.resize(wallet, CONTRACT, True, 0, need // 2)
    assert not wallet.locked["USD"]


def test_a_sell_reserves_the_base_and_a_market_buy_nothing():
    spot = calculator(FeeAsset.QUOTE)
    assert spot.required(CONTRACT, False, 10_000, 5) == 5 * CONTRACT.size_unit_atoms
    assert spot.required(CONTRACT, True, 0, 5) == 0
