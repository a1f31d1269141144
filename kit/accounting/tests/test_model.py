"""The accounting of random trades against an independent model in fractions."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kit.accounting.contract import Contract, ContractAssets, ContractKind
from kit.accounting.fees import FeeCalculator, FeeTier
from kit.accounting.margin import MarginCalculator
from kit.accounting.money import Ratio, amount_of, atoms_of
from kit.accounting.tests.model import ModelAccount, ModelPosition
from kit.accounting.wallet import InsufficientFunds, Wallet

D = Decimal
ATOM = Fraction(1, 10**18)
INITIAL, MAINTENANCE = Ratio(1, 10), Ratio(1, 200)
START = 10**6
CONTRACTS = {
    "linear": Contract("linear", ContractAssets("BTC", "X", "X"), D("0.01"), D("0.1"), D("0.001")),
    "inverse": Contract("inverse", ContractAssets("X", "USD", "X"), D(10), D("0.5"), D(1)),
    "quanto": Contract(
        "quanto", ContractAssets("ETH", "USD", "X"), D("0.0000011"), D("0.05"), D("0.5")
    ),
}
SYMBOLS = st.sampled_from(sorted(CONTRACTS))
FILLS = st.lists(
    st.tuples(
        SYMBOLS,
        st.booleans(),
        st.integers(1, 200_000),
        st.integers(1, 10_000),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)
MAKER, TAKER = D("-0.00011"), D("0.00057")


class Pair:
    """The same account in ``kit.accounting`` and in the model."""

    def __init__(self) -> None:
        self.marks: dict[str, Decimal] = {}
        fees = FeeCalculator([FeeTier(MAKER, TAKER)], places=18)
        self.margin = MarginCalculator(fees, INITIAL, MAINTENANCE, self.unit_value)
        self.wallet = Wallet()
        self.wallet.totals["X"] = START * 10**18
        self.model = ModelAccount(
            Fraction(START),
            Fraction(INITIAL.numerator, INITIAL.denominator),
            Fraction(MAINTENANCE.numerator, MAINTENANCE.denominator),
        )

    def unit_value(self, contract: Contract) -> Ratio | None:
        mark = self.marks.get(contract.symbol)
        return None if mark is None else contract.unit_value(mark)

    def fill(self, symbol: str, buys: bool, ticks: int, lots: int, is_maker: bool) -> None:
        contract = CONTRACTS[symbol]
        value = contract.value(ticks, lots)
        self.mark(symbol, ticks * contract.price_unit)
        fee, asset = self.margin.settle(self.wallet, contract, buys, (is_maker, lots, value))
        assert asset == "X"
        position = self.model.positions.setdefault(
            symbol, ModelPosition(symbol == "inverse", Fraction(contract.multiplier))
        )
        price, size = Fraction(ticks * contract.price_unit), Fraction(lots * contract.size_unit)
        before = position.profit
        position.trade(price, size if buys else -size)
        exact_fee = position.value(price, size) * Fraction(MAKER if is_maker else TAKER)
        assert abs(exact_fee - fee * ATOM) <= 2 * ATOM
        self.model.balance += position.profit - before - exact_fee

    def mark(self, symbol: str, price: Decimal) -> None:
        self.marks[symbol] = price
        self.model.marks[symbol] = Fraction(price)


def close_to(atoms: int, exact: Fraction, fills: int) -> bool:
    return abs(atoms * ATOM - exact) <= (4 * fills + 4) * ATOM


@settings(max_examples=300, deadline=None)
@given(FILLS)
def test_fills_make_the_positions_and_balances_of_the_model(fills):
    pair = Pair()
    for fill in fills:
        pair.fill(*fill)
    for symbol, expected in pair.model.positions.items():
        contract, held = CONTRACTS[symbol], pair.wallet.positions[symbol]
        assert Fraction(contract.size_of(held.size)) == expected.size
        unit_value = contract.unit_value(pair.marks[symbol])
        gain = expected.gain(pair.model.marks[symbol], expected.size)
        assert close_to(held.unrealized(unit_value), gain, len(fills))
        value = expected.value(pair.model.marks[symbol], expected.size)
        assert close_to(held.value(unit_value), value, 1)
    assert close_to(pair.wallet.totals["X"], pair.model.balance, len(fills))
    assert close_to(pair.margin.equity(pair.wallet, "X"), pair.model.equity(), 4 * len(fills))
    required = pair.margin.required(pair.wallet, "X")
    assert close_to(required, pair.model.required(), 4 * len(fills))


@settings(max_examples=200, deadline=None)
@given(SYMBOLS, st.lists(st.tuples(st.integers(1_000, 200_000), st.integers(1, 10_000))))
def test_the_entry_price_is_the_mean_of_the_model(symbol, fills):
    assume(fills)
    pair, contract = Pair(), CONTRACTS[symbol]
    for ticks, lots in fills:
        pair.fill(symbol, True, ticks, lots, False)
    entry = pair.wallet.position(contract).entry_price()
    assert entry is not None
    expected = pair.model.positions[symbol].entry
    assert abs(Fraction(entry) / expected - 1) < Fraction(1, 10**10 if len(fills) < 50 else 10**8)


@settings(max_examples=200, deadline=None)
@given(FILLS, SYMBOLS)
def test_at_the_liquidation_price_equity_is_the_maintenance_margin(fills, symbol):
    pair = Pair()
    pair.wallet.totals["X"] = 10**16
    pair.model.balance = Fraction(1, 100)
    for fill in fills:
        pair.fill(*fill)
    position = pair.wallet.positions.get(symbol)
    assume(position is not None and position.size)
    price = pair.margin.liquidation_price(pair.wallet, position)
    assume(price is not None)
    pair.mark(symbol, price)
    scale = abs(pair.model.value(symbol)) + abs(pair.model.equity())
    assert abs(pair.model.excess()) <= scale * Fraction(1, 10**12) + 200 * ATOM


@settings(max_examples=200, deadline=None)
@given(SYMBOLS, st.booleans(), st.integers(1, 10**5), st.integers(1, 10**4), st.fractions(-1, 1))
def test_funding_is_the_rate_of_the_value(symbol, buys, ticks, lots, rate):
    pair, contract = Pair(), CONTRACTS[symbol]
    pair.fill(symbol, buys, ticks, lots, False)
    position = pair.wallet.position(contract)
    position.accrue_funding(contract.unit_value(pair.marks[symbol]), rate)
    model = pair.model.positions[symbol]
    exact = model.value(pair.model.marks[symbol], model.size) * rate
    paid = position.pay_funding()
    assert close_to(paid, exact, 0)
    assert position.realized == -paid
    assert position.pay_funding() == 0


@settings(max_examples=200, deadline=None)
@given(SYMBOLS, st.booleans(), st.integers(1, 10**5), st.integers(1, 10**4))
def test_an_order_is_admitted_if_its_margin_and_fee_are_there(symbol, buys, ticks, lots):
    pair, contract = Pair(), CONTRACTS[symbol]
    pair.mark(symbol, ticks * contract.price_unit)
    value = contract.value(ticks, lots)
    needed = INITIAL.apply(value) + Ratio.of(TAKER).apply(value)
    assume(needed)
    pair.wallet.totals["X"] = needed
    pair.margin.admit(pair.wallet, contract, buys, value, 0)
    assert pair.wallet.locked["X"] == INITIAL.apply(value)
    pair.margin.resize(pair.wallet, contract, buys, 0, value)
    assert pair.wallet.locked["X"] == 0
    pair.wallet.totals["X"] = needed - 1
    assume(INITIAL.apply(value))
    with pytest.raises(InsufficientFunds) as error:
        pair.margin.admit(pair.wallet, contract, buys, value, 0)
    assert (error.value.required, error.value.available) == (needed, needed - 1)
    assert pair.wallet.locked["X"] == 0


def test_the_assets_make_the_kind_of_contract():
    kinds = [ContractAssets("BTC", "USD", one).kind for one in ("", "USD", "BTC", "ETH")]
    assert kinds == [
        ContractKind.SPOT,
        ContractKind.LINEAR,
        ContractKind.INVERSE,
        ContractKind.QUANTO,
    ]
    assert [one.kind.value for one in CONTRACTS.values()] == ["linear", "inverse", "quanto"]


def test_amounts_and_atoms_are_the_same_number():
    assert amount_of(atoms_of(D("1.000000000000000001"))) == D("1.000000000000000001")
