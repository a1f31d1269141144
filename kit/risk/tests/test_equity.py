"""Profit, equity, leverage and distance to liquidation, compared with results by hand."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.risk import equity
from kit.risk.facts import Balance, Holding
from kit.risk.measures import Valuation
from kit.risk.scopes import PositionKey, Scope, ScopeKind
from kit.risk.tests.contexts import FACTS, PLACE, context, exposure, result

MESH = Scope(ScopeKind.MESH)
OTHER = PositionKey("okx", "main", "BTC-USDT", "other")


def holding(size, cost, mark, settle="", place=PLACE, quote="USDT", multiplier=1):
    return Holding(
        venue=place.venue, account=place.account, symbol=place.symbol, strategy=place.strategy,
        base="BTC", quote=quote, settle=settle, multiplier=Decimal(multiplier), size=Decimal(size),
        cost=Decimal(cost), mark=None if mark is None else Decimal(mark),
    )  # fmt: skip


def balance(amount, asset="USDT", place=PLACE):
    return Balance(venue=place.venue, account=place.account, asset=asset, amount=Decimal(amount))


def asked(**facts):
    given = {"holdings": (), "balances": (balance(1_000),), "booked": (), "marks": {}} | facts
    return replace(context(**given), maintenance={"binance": Decimal("0.005")})


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (holding("0.1", 5_000, 60_000), "1000"),
        (holding("-0.1", -5_000, 60_000), "-1000"),
        (holding("0.1", 5_000, 60_000, settle="USDT"), "1000"),
        # 100 contracts of 100 USD bought at 50,000 and worth less in BTC at 62,500.
        (holding(100, "0.2", 62_500, settle="BTC", quote="USD", multiplier=100), "0.04"),
        # What is closed has realised its cost.
        (holding(0, 7, None, settle="USDT"), "-7"),
        (holding("0.1", 5_000, None), None),
    ],
)
def test_open_profit_is_at_the_mark(held, expected):
    found = equity.open_profit(held)
    assert found == (None if expected is None else Decimal(expected))


def test_drawdown_is_of_equity_and_not_of_closed_trades():
    """A peer measured it from closed trades: an open loss was none."""
    open_loss = holding("0.1", 6_000, 50_000)
    facts = {"holdings": (open_loss,), "booked": (result(300),), "marks": {"mesh": Decimal(500)}}
    assert equity.drawdown(asked(**facts), MESH).value == 500 - (300 - 1_000)
    # And an open profit is one: nothing is lost by a loss that it is larger than.
    facts |= {"holdings": (holding("0.1", 4_000, 50_000),)}
    assert equity.drawdown(asked(**facts), MESH).value == 0


def test_scope_without_a_mark_has_had_no_profit_yet():
    scope = Scope(ScopeKind.STRATEGY, "ema")
    facts = {"booked": (result(-40), result(-7, place=OTHER)), "marks": {"mesh": Decimal(9)}}
    assert equity.drawdown(asked(**facts), scope).value == 40


def test_drawdown_ratio_is_a_part_of_the_equity_at_the_mark():
    facts = {"booked": (result(-200),), "balances": (balance(800),)}
    assert equity.drawdown_ratio(asked(**facts), MESH).value == Decimal("0.2")
    ruined = {"booked": (result(-200),), "balances": (balance(-300),)}
    assert "never above 0" in equity.drawdown_ratio(asked(**ruined), MESH).problem


def test_leverage_counts_the_order_and_the_open_profit_of_derivatives_only():
    facts = {
        "holdings": (
            holding("0.1", 5_000, 60_000, settle="USDT"),
            holding("9", 5, 60, place=OTHER),
        ),
        "exposures": (exposure(3_900),),
    }
    found = equity.leverage(asked(**facts), MESH)
    assert (found.observed, found.projected) == (Decimal("1.95"), 2)
    poor = asked(balances=(balance(-1),), exposures=(exposure(5),))
    assert "not above 0" in equity.leverage(poor, MESH).problem


@pytest.mark.parametrize("measure", [equity.balance, equity.leverage, equity.drawdown_ratio])
def test_missing_balance_is_taken_neither_as_nothing_nor_as_unlimited(measure):
    other_account = asked(balances=(balance(10**9, place=OTHER),))
    assert "no balance of binance/main" in measure(other_account, MESH).problem
    assert "balances are not known" in measure(asked(balances=None), MESH).problem


def test_balance_without_a_rate_is_not_known():
    found = equity.balance(asked(balances=(balance(1, "DOGE"), balance(0, "PEPE"))), MESH)
    assert "no rate of DOGE" in found.problem


@pytest.mark.parametrize(
    ("held", "owned", "expected"),
    [
        # Long 1 at 100 with 20: equity 20 + (p - 100) is 0.005 p at p = 80 / 0.995.
        (holding(1, 100, 100, settle="USDT"), "20", 1 - Decimal("0.8") / Decimal("0.995")),
        # Short: 20 - (p - 100) is 0.005 p at p = 120 / 1.005.
        (holding(-1, -100, 100, settle="USDT"), "20", Decimal("1.2") / Decimal("1.005") - 1),
        (holding(1, 100, 100, settle="USDT"), "200", Decimal(1)),
        (holding(1, 100, 100, settle="USDT"), "0.4", Decimal(0)),
        # Short and under water: no price would save it.
        (holding(-1, -100, 100, settle="USDT"), "-500", Decimal(0)),
    ],
)
def test_distance_to_liquidation(held, owned, expected):
    found = equity.liquidation_distance(asked(holdings=(held,), balances=(balance(owned),)), MESH)
    assert abs(found.value - expected) < Decimal("1e-9")


def test_distance_to_liquidation_of_an_inverse_contract():
    # 100 contracts of 100 USD at 50,000 with 0.05 BTC: 0.05 + 0.2 - 10000 / p is 0.005 * 10000 / p.
    held = holding(100, "0.2", 50_000, settle="BTC", quote="USD", multiplier=100)
    found = equity.liquidation_distance(
        asked(holdings=(held,), balances=(balance("0.05", "BTC"),)), MESH
    )
    price = 10_000 * Decimal("1.005") / Decimal("0.25")
    assert abs(found.value - (1 - price / 50_000)) < Decimal("1e-9")


@given(
    st.lists(
        st.tuples(st.integers(-50, 50), st.integers(50, 150), st.integers(50, 150)),
        min_size=1, max_size=6,
    ),
    st.integers(1, 5_000),
)  # fmt: skip
def test_distance_is_the_smallest_of_all_positions(rows, owned):
    held = [
        holding(size, size * price, mark, settle="USDT", place=PLACE._replace(symbol=str(number)))
        for number, (size, price, mark) in enumerate(rows)
    ]
    facts = {"holdings": tuple(held), "balances": (balance(owned),)}
    found = equity.liquidation_distance(asked(**facts), MESH).value
    share = Decimal("0.005")
    free = owned + sum(one.size * one.mark - one.cost for one in held)
    free -= sum(abs(one.size) * one.mark * share for one in held)
    sides = [
        free / (abs(one.size) * one.mark * (1 - share if one.size > 0 else 1 + share))
        for one in held
        if one.size
    ]
    expected = min(Decimal(1), *(max(Decimal(0), one) for one in sides), Decimal(1))
    if not sides and free <= 0:
        expected = Decimal(0)
    assert abs(found - expected) < Decimal("1e-9")


def test_order_brings_the_liquidation_nearer_and_an_opposite_one_farther():
    held, owned = holding(1, 100, 100, settle="USDT"), (balance(20),)
    for size, is_nearer in ((1, True), ("-0.5", False)):
        order = holding(size, Decimal(size) * 100, 100, settle="USDT")
        found = equity.liquidation_distance(
            asked(holdings=(held,), balances=owned, order=order), MESH
        )
        assert (found.projected < found.observed) is is_nearer


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"holdings": (holding(1, 100, None, settle="USDT"),)}, "no price of BTCUSDT"),
        ({"balances": (balance(5, "BTC"),)}, "no balance of USDT"),
        (
            {"holdings": (holding(1, 1, 1, settle="USDT", place=OTHER),)},
            "maintenance_margin of okx",
        ),
    ],
)
def test_distance_to_liquidation_that_is_not_known_has_a_problem(changed, problem):
    facts = {"holdings": (holding(1, 100, 100, settle="USDT"),)} | changed
    found = equity.liquidation_distance(asked(**facts), MESH)
    assert found.value is None
    assert problem in found.problem


def test_amounts_of_any_length_are_computed_with():
    long = Decimal("1." + "3" * 30)
    facts = {
        "holdings": (holding(long, long, long, settle="USDT"),),
        "exposures": (exposure(long),),
    }
    narrow = replace(asked(**facts), valuation=Valuation("USDT", {}))
    for measure in (equity.leverage, equity.drawdown, equity.liquidation_distance):
        assert measure(narrow, MESH).value is not None
    assert FACTS.holdings is None
