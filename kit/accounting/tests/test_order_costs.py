from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.accounting.costed_orders import (
    CostedFill,
    CostedOrder,
    CostTerms,
    FeeRates,
    Unknown,
)
from kit.accounting.order_costs import costs_of

D, F = Decimal, Fraction
S = 1_000_000_000
SPOT = CostTerms(D(1), is_inverse=False, cost_asset="USDT", base_asset="BTC")
INVERSE = CostTerms(D(100), is_inverse=True, cost_asset="BTC")
RATES = FeeRates(maker=D("0.0002"), taker=D("0.001"))


def fill(price, size, at_s=1, *mids, fee="0", asset="USDT", is_maker=False):
    amount = None if fee is None else D(fee)
    return CostedFill(D(price), D(size), at_s * S, asset, amount, is_maker, list(mids))


def order(*fills, **changes):
    filled = sum((one.size for one in fills), D(0))
    made = CostedOrder(
        is_buy=True,
        size=D(10),
        filled_size=filled,
        is_final=True,
        arrival_time_ns=0,
        end_time_ns=60 * S,
        decision_mid=D(100),
        arrival_mid=D("100.5"),
        end_mid=D(103),
        fills=fills,
    )
    return replace(made, **changes)


def test_the_example_of_the_documentation():
    # docs/ORDERS.md, Costs of orders: the same numbers.
    found = costs_of(
        order(
            fill("101", "6", 1, D("101.5"), fee="0.606"),
            fill("102", "2", 3, D("101.5"), fee="0.204"),
        ),
        SPOT,
        RATES,
        1,
    )
    assert found.average_price == D("101.25")
    assert found.slippage_bps == D("74.626866")
    assert found.shortfall.price_cost == D(10)
    assert found.shortfall.fee_cost == D("0.81")
    assert found.shortfall.unfilled_cost == D(6)
    assert found.shortfall.total_cost == D("16.81")
    assert found.shortfall.total_bps == D("168.1")
    assert found.fill_ratio == D("0.8")
    assert (found.first_fill_ns, found.completion_ns) == (1 * S, 60 * S)
    assert found.expected_fee == D("0.81")
    assert found.fee_bps == found.expected_fee_bps == D(10)
    assert found.markouts_bps == [D("24.691358")]
    assert found.is_complete


def test_a_sale_below_the_mid_is_a_cost():
    found = costs_of(order(fill("99", "10", 2, D(98)), is_buy=False), SPOT, RATES, 1)
    assert found.slippage_bps == D("149.253731")
    assert found.shortfall.price_cost == D(10)
    assert found.markouts_bps == [D("101.010101")]
    assert found.completion_ns == 2 * S


prices = st.decimals("0.00001", "99999", places=5)
sizes = st.decimals("0.001", "5000", places=3)
signed_fees = st.decimals("-3", "3", places=8)


@st.composite
def drawn(draw):
    fills = [
        CostedFill(price, size, number, "C", fee, is_maker, [mid])
        for number, (price, size, fee, mid, is_maker) in enumerate(
            draw(st.lists(st.tuples(prices, sizes, signed_fees, prices, st.booleans()), max_size=6))
        )
    ]
    filled = sum((one.size for one in fills), D(0))
    unfilled = draw(st.just(D(0)) | sizes) if fills else draw(sizes)
    made = CostedOrder(
        draw(st.booleans()),
        filled + unfilled,
        filled,
        is_final=True,
        arrival_time_ns=0,
        end_time_ns=9,
        decision_mid=draw(prices),
        arrival_mid=draw(prices),
        end_mid=draw(prices),
        fills=fills,
    )
    terms = CostTerms(draw(st.sampled_from([D(1), D("0.01"), D(100)])), draw(st.booleans()), "C")
    return made, terms


def is_rounded(found, exact, places):
    """Whether a figure is the decimal of so many places that is nearest to a fraction."""
    return abs(F(found) - exact) * 2 * 10**places <= 1 and -found.as_tuple().exponent <= places


def gain(terms, made, size, entry, end):
    """Of a position that is opened with this order's side: linear and inverse contracts."""
    move = 1 / F(entry) - 1 / F(end) if terms.is_inverse else F(end) - F(entry)
    return (1 if made.is_buy else -1) * F(size) * F(terms.multiplier) * move


@given(drawn())
def test_the_shortfall_is_the_paper_portfolio_less_the_real_one(example):
    made, terms = example
    found = costs_of(made, terms, RATES, 1).shortfall
    paper = gain(terms, made, made.size, made.decision_mid, made.end_mid)
    fees = sum(F(one.fee_amount) for one in made.fills)
    real = sum(gain(terms, made, one.size, one.price, made.end_mid) for one in made.fills) - fees
    assert is_rounded(found.total_cost, paper - real, 18)
    price = F(made.decision_mid)
    worth = F(made.size) * F(terms.multiplier) * (1 / price if terms.is_inverse else price)
    assert is_rounded(found.total_bps, (paper - real) / worth * 10_000, 6)
    parts = F(found.price_cost) + F(found.fee_cost) + F(found.unfilled_cost)
    assert abs(parts - F(found.total_cost)) <= F(2, 10**18)


@given(drawn())
def test_slippage_and_markouts_are_those_of_what_was_paid(example):
    made, terms = example
    found = costs_of(made, terms, RATES, 1)
    if not made.fills:
        assert found.slippage_bps == found.markouts_bps[0] == Unknown.NOT_FILLED
        return
    side = 1 if made.is_buy else -1
    # What was paid in one asset, and got of the other.
    quote = base = later = F(0)
    for one in made.fills:
        units = F(one.size) * F(terms.multiplier)
        quote += units if terms.is_inverse else units * F(one.price)
        base += units / F(one.price) if terms.is_inverse else units
        bought = units / F(one.price) if terms.is_inverse else units
        later += bought * F(one.mids_after[0])
    assert is_rounded(
        found.slippage_bps, side * (quote / base / F(made.arrival_mid) - 1) * 10_000, 6
    )
    assert is_rounded(found.markouts_bps[0], side * (later - quote) / quote * 10_000, 6)
    assert is_rounded(found.notional, quote, 18)
    assert is_rounded(found.average_price, quote / base, 16)


def opposite(value):
    """With all its digits: a minus sign would round it to those of the context."""
    return value.copy_negate()


@given(drawn())
def test_buying_and_selling_at_the_same_prices_are_opposite(example):
    made, terms = example
    made = replace(made, fills=[replace(one, fee_amount=D(0)) for one in made.fills])
    bought = costs_of(replace(made, is_buy=True), terms, RATES, 1)
    sold = costs_of(replace(made, is_buy=False), terms, RATES, 1)
    for first, second in zip(bought.figures(), sold.figures(), strict=True):
        assert isinstance(first, Unknown) or first in (second, opposite(second))
    assert bought.shortfall.total_cost == opposite(sold.shortfall.total_cost)


@pytest.mark.parametrize("name", ["decision_mid", "arrival_mid", "end_mid"])
def test_what_rests_on_an_unknown_price_is_unknown_for_its_reason(name):
    made = order(fill("101", "6", 1, D(101)), **{name: Unknown.NO_QUOTE})
    found = costs_of(made, SPOT, RATES, 1)
    unknown = {
        "slippage_bps": found.slippage_bps,
        "price_cost": found.shortfall.price_cost,
        "unfilled_cost": found.shortfall.unfilled_cost,
        "total_cost": found.shortfall.total_cost,
        "total_bps": found.shortfall.total_bps,
    }
    expected = {
        "decision_mid": {"price_cost", "unfilled_cost", "total_cost", "total_bps"},
        "arrival_mid": {"slippage_bps"},
        "end_mid": {"unfilled_cost", "total_cost", "total_bps"},
    }[name]
    assert {key for key, value in unknown.items() if value == Unknown.NO_QUOTE} == expected
    assert found.is_complete


def test_an_order_filled_whole_needs_no_price_of_its_end():
    found = costs_of(order(fill("101", "10"), end_mid=Unknown.NO_QUOTE), SPOT, RATES, 0)
    assert found.shortfall.unfilled_cost == 0
    assert found.shortfall.total_cost == D(10)


def test_an_order_without_fills_costs_what_the_price_has_moved():
    found = costs_of(order(), SPOT, RATES, 1)
    assert found.shortfall.total_cost == found.shortfall.unfilled_cost == D(30)
    assert found.average_price == found.fee == found.slippage_bps == Unknown.NOT_FILLED
    assert (found.first_fill_ns, found.completion_ns, found.is_complete) == (None, 60 * S, True)


def test_an_open_order_is_not_complete():
    found = costs_of(order(fill("101", "6", 1, D(101)), is_final=False), SPOT, RATES, 1)
    assert found.slippage_bps == D("49.751244")
    assert found.shortfall.unfilled_cost == found.shortfall.total_bps == Unknown.NOT_YET
    assert (found.completion_ns, found.is_complete) == (None, False)


def test_a_markout_that_is_still_to_come_is_not_complete():
    fills = fill("101", "6", 1, D(101)), fill("101", "4", 2, Unknown.NOT_YET)
    found = costs_of(order(*fills), SPOT, RATES, 1)
    assert found.markouts_bps == [Unknown.NOT_YET]
    assert not found.is_complete


def test_nothing_is_computed_from_a_part_of_the_fills():
    found = costs_of(order(fill("101", "6"), filled_size=D(7)), SPOT, RATES, 1)
    assert found.average_price == found.fee == Unknown.FILLS_MISSING
    assert found.shortfall.total_cost == found.markouts_bps[0] == Unknown.FILLS_MISSING
    assert found.fill_ratio == D("0.7")
    assert not found.is_complete


def test_a_fill_that_was_taken_back_counts_for_nothing():
    taken_back = fill("140", "3", 2), fill("140", "-3", 9)
    found = costs_of(order(fill("101", "6"), *taken_back), SPOT, RATES, 0)
    assert found.average_price == D(101)
    assert found.fill_count == 1


@pytest.mark.parametrize(
    ("one", "terms", "expected"),
    [
        (fill("100", "10", fee="0.01", asset="BTC"), SPOT, D(1)),
        (fill("100", "10", fee="-0.5"), SPOT, D("-0.5")),
        (fill("100", "10", fee="0", asset=""), SPOT, D(0)),
        (fill("100", "10", fee="0.01", asset="BNB"), SPOT, Unknown.FEE_ASSET),
        (fill("100", "10", fee=None), SPOT, Unknown.FEE_NOT_REPORTED),
        (fill("100", "10", fee="0.002", asset="BTC"), INVERSE, D("0.002")),
        (fill("100", "10", fee="0.2", asset="USD"), INVERSE, Unknown.FEE_ASSET),
    ],
)
def test_fees_are_compared_in_the_asset_that_pays(one, terms, expected):
    found = costs_of(order(one), terms, RATES, 0)
    assert found.fee == found.shortfall.fee_cost == expected


def test_the_expected_fee_needs_a_schedule_and_the_liquidity():
    maker = order(fill("100", "10", is_maker=True))
    assert costs_of(maker, SPOT, RATES, 0).expected_fee == D("0.2")
    # 10 contracts of 100 USD at 100 are worth 10 BTC.
    assert costs_of(maker, INVERSE, RATES, 0).expected_fee == D("0.002")
    assert costs_of(maker, SPOT, None, 0).expected_fee == Unknown.NO_FEE_SCHEDULE
    silent = order(fill("100", "10", is_maker=None))
    assert costs_of(silent, SPOT, RATES, 0).expected_fee_bps == Unknown.LIQUIDITY_NOT_REPORTED


def test_without_the_terms_of_the_instrument_no_amount_is_known():
    found = costs_of(order(fill("101", "6", 1, D(101))), None, RATES, 1)
    assert set(found.figures()) == {Unknown.NO_INSTRUMENT, Unknown.NO_TRIGGER, D("0.6")}


def test_an_order_that_waits_for_a_price_is_compared_with_its_stop_price():
    why = Unknown.WAITS_FOR_PRICE
    waiting = order(
        fill("98", "10"),
        is_buy=False,
        waits_for_price=True,
        trigger_price=D("98.5"),
        decision_mid=why,
        arrival_mid=why,
    )
    found = costs_of(waiting, SPOT, RATES, 0)
    assert found.trigger_slippage_bps == D("50.761421")
    assert found.slippage_bps == found.shortfall.total_cost == why
    assert (found.first_fill_ns, found.completion_ns) == (None, None)
    assert costs_of(order(fill("98", "10")), SPOT, RATES, 0).trigger_slippage_bps == (
        Unknown.NO_TRIGGER
    )
