"""Checks reject an invalid order before it is sent, with the nearest valid value."""

from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.errors import InvalidOrder, NotSupported
from kit.execution.checks.pre_trade_checks import PreTradeCheckInputs, check, worst_price
from kit.execution.contract import VenueBalance
from kit.execution.order_types import CONDITIONAL
from kit.execution.prices.reference_prices import BestPrices
from kit.execution.tests.fake_venue import ALL_TYPES, CAPABILITIES, limit_order
from kit.execution.tests.simulated_process import SPOT

NOW_NS = 1_000
KNOWN = PreTradeCheckInputs(SPOT, replace(CAPABILITIES, types=ALL_TYPES), NOW_NS)
GTT = orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME
IOC = orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL
GTC = orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL


def market(**more):
    return limit_order(price="", type=orders_pb2.ORDER_TYPE_MARKET, **more)


def refusal(content, known=KNOWN):
    with pytest.raises(InvalidOrder) as caught:
        check(content, known)
    return caught.value.metadata


def test_valid_order_passes():
    assert check(limit_order(size="2.000", price="100.50"), KNOWN) is False
    assert check(market(), KNOWN) is False
    later = limit_order(time_in_force=GTT, expire_time_ns=NOW_NS + 1)
    assert check(later, KNOWN) is False


@pytest.mark.parametrize("field", ["size", "price"])
@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "-1", "0.0", "NaN", "Infinity", "1e5", "1E-30", "1e999999", " 1", "+1", "1_0"),
        *("٣", "1" * 41, "." + "1" * 41, "1.", ".5", "0x1"),
    ],
)
def test_text_that_is_no_amount_is_rejected(field, text):
    found = refusal(limit_order(**{field: text}))
    assert found["field"] == field
    assert "decimal text" in found["allowed"]


@given(st.text(max_size=60))
def test_any_text_passes_or_is_rejected(text):
    for field in ("size", "price", "stop_price", "trailing_offset"):
        with suppress(InvalidOrder):
            assert check(limit_order(**{field: text}), KNOWN) in (True, False)


@pytest.mark.parametrize(
    ("changes", "field", "nearest"),
    [
        ({"price": "100.3"}, "price", "100.5"),
        ({"price": "0.1"}, "price", "0.5"),
        ({"size": "2.0019"}, "size", "2.001"),
        ({"size": "0." + "0" * 29 + "1"}, "size", "0.002"),
        ({"size": "0.001"}, "size", "0.002"),
        ({"size": "0.002"}, "size", "0.05"),
        ({"stop_price": "5"}, "stop_price", ""),
        ({"trailing_offset": "5"}, "trailing_offset", ""),
        ({"time_in_force": GTT}, "expire_time_ns", ""),
        ({"time_in_force": GTT, "expire_time_ns": NOW_NS}, "expire_time_ns", ""),
        ({"expire_time_ns": 5}, "expire_time_ns", "0"),
        ({"post_only": True, "time_in_force": IOC}, "post_only", "false"),
        ({"side": 0}, "side", ""),
        ({"side": 7}, "side", ""),
        ({"type": 0}, "type", ""),
        ({"type": 99}, "type", ""),
        ({"time_in_force": 99}, "time_in_force", ""),
        ({"type": orders_pb2.ORDER_TYPE_STOP, "stop_price": "5"}, "price", ""),
        ({"type": orders_pb2.ORDER_TYPE_STOP_LIMIT}, "stop_price", ""),
        (
            {"type": orders_pb2.ORDER_TYPE_MARKET, "price": "", "time_in_force": GTC},
            "time_in_force",
            "TIME_IN_FORCE_IMMEDIATE_OR_CANCEL",
        ),
        ({"type": orders_pb2.ORDER_TYPE_MARKET}, "price", ""),
    ],
)
def test_rejection_names_the_field_and_the_nearest_value(changes, field, nearest):
    found = refusal(limit_order(**changes))
    assert (found["field"], found["nearest"]) == (field, nearest)


@given(
    st.decimals("0.0001", 50, places=4),
    st.decimals("0.01", 2000, places=2),
    st.sampled_from([types_pb2.SIDE_BUY, types_pb2.SIDE_SELL]),
)
def test_nearest_value_is_valid(size, price, side):
    best = BestPrices(Decimal(100), Decimal("100.5"))
    known = replace(KNOWN, best=best, band_percent=20)
    content = limit_order(size=f"{size:f}", price=f"{price:f}", side=side)
    for _ in range(6):
        try:
            check(content, known)
            return
        except InvalidOrder as error:
            setattr(content, error.metadata["field"], error.metadata["nearest"])
    assert check(content, known) is False


def in_contracts(**more):
    """A swap whose contracts are of 100 US dollars."""
    found = types_pb2.Instrument()
    found.CopyFrom(SPOT)
    terms = types_pb2.Instrument(
        symbol="BTC-USD-SWAP",
        kind=types_pb2.INSTRUMENT_KIND_PERPETUAL,
        quote="USD",
        size_step="1",
        size_min="1",
        notional_min="200",
        size_unit=types_pb2.SIZE_UNIT_CONTRACTS,
        settlement_asset="BTC",
        contract_kind=types_pb2.CONTRACT_KIND_INVERSE,
        contract_value="100",
        contract_value_asset="USD",
        **more,
    )
    found.MergeFrom(terms)
    return found


@pytest.mark.parametrize(
    ("size", "nearest", "allowed"),
    [
        ("0.01", "1", "at least 1 (sizes of BTC-USD-SWAP are contracts of 100 USD)"),
        ("2.5", "2", "a multiple of 1 (sizes of BTC-USD-SWAP are contracts of 100 USD)"),
        ("1", "2", "a notional of at least 200 USD; it is 100"),
    ],
)
def test_size_in_another_unit_is_rejected_with_the_unit(size, nearest, allowed):
    found = refusal(limit_order(size=size), replace(KNOWN, instrument=in_contracts()))
    assert (found["nearest"], found["allowed"]) == (nearest, allowed)


def test_price_far_from_the_market_is_rejected():
    known = replace(KNOWN, best=BestPrices(Decimal(100), Decimal(101)), band_percent=10)
    assert refusal(limit_order(price="111.5"), known)["nearest"] == "111"
    sell = limit_order(price="89.5", side=types_pb2.SIDE_SELL)
    assert refusal(sell, known)["nearest"] == "90"
    # On the own side of the market there is nothing to lose.
    assert check(limit_order(price="10"), known) is False
    assert check(limit_order(price="500", side=types_pb2.SIDE_SELL), known) is False


def test_order_above_the_balance_is_rejected():
    usdt = VenueBalance("USDT", Decimal(150), Decimal(10))
    btc = VenueBalance("BTC", Decimal("0.5"), Decimal("0.5"))
    known = replace(KNOWN, balances={"USDT": usdt, "BTC": btc})
    assert refusal(limit_order(), known)["nearest"] == "1.5"
    assert refusal(limit_order(side=types_pb2.SIDE_SELL), known)["nearest"] == "0.5"
    assert check(limit_order(size="1.5"), known) is False


@pytest.mark.parametrize("side", [types_pb2.SIDE_BUY, types_pb2.SIDE_SELL])
def test_balance_that_is_missing_in_a_report_is_zero_and_not_unlimited(side):
    other = VenueBalance("DOGE", Decimal(10**9), Decimal(10**9))
    for balances in ({}, {"DOGE": other}):
        found = refusal(limit_order(side=side), replace(KNOWN, balances=balances))
        assert found["field"] == "size"
        assert "at most what 0 " in found["allowed"]


def test_reduction_under_the_minimum_notional_passes():
    """Whether it is large enough is left to the venue: an exit is never denied here."""
    small = limit_order(size="0.01", side=types_pb2.SIDE_SELL)
    assert "notional" in refusal(small, KNOWN)["allowed"]
    assert check(small, KNOWN, is_reduction=True) is False


def test_market_order_is_checked_at_the_best_price():
    known = replace(KNOWN, best=BestPrices(Decimal(100), Decimal(101)))
    assert refusal(market(size="0.01"), known)["field"] == "size"
    assert check(market(size="0.01"), KNOWN) is False


def test_instrument_that_does_not_trade_is_rejected():
    halted = types_pb2.Instrument()
    halted.CopyFrom(SPOT)
    halted.status = types_pb2.INSTRUMENT_STATUS_HALTED
    assert refusal(limit_order(), replace(KNOWN, instrument=halted))["field"] == "symbol"


def test_unsupported_type_is_held_here_or_rejected():
    plain = replace(KNOWN, capabilities=CAPABILITIES, has_prices=True)
    stop = limit_order(type=orders_pb2.ORDER_TYPE_STOP, price="", stop_price="90")
    assert check(stop, plain) is True
    assert check(stop, KNOWN) is False
    with pytest.raises(NotSupported, match="has no prices"):
        check(stop, replace(plain, has_prices=False))
    without = replace(CAPABILITIES, times_in_force=frozenset({GTC}), reduce_only=False)
    for content in (
        limit_order(time_in_force=IOC),
        limit_order(reduce_only=True),
        limit_order(time_in_force=GTT, expire_time_ns=NOW_NS + 1),
    ):
        with pytest.raises(NotSupported):
            check(content, replace(KNOWN, capabilities=without))
    only_limit = replace(CAPABILITIES, types=frozenset({orders_pb2.ORDER_TYPE_LIMIT}))
    with pytest.raises(NotSupported):
        check(market(), replace(plain, capabilities=only_limit))
    assert len(CONDITIONAL) == 5


def test_stop_with_unsupported_terms_is_held_here():
    stop = {"type": orders_pb2.ORDER_TYPE_STOP_LIMIT, "stop_price": "90"}
    capabilities = replace(KNOWN.capabilities, plain_stops_only=True)
    known = replace(KNOWN, capabilities=capabilities, has_prices=True)
    assert check(limit_order(**stop), known) is False
    assert check(limit_order(**stop, time_in_force=GTC), known) is False
    others = (
        {"time_in_force": GTT, "expire_time_ns": NOW_NS + 1},
        {"time_in_force": IOC},
        {"post_only": True},
    )
    for terms in others:
        assert check(limit_order(**stop, **terms), known) is True
        assert check(limit_order(**terms), known) is False
        with pytest.raises(NotSupported, match="has no prices"):
            check(limit_order(**stop, **terms), replace(known, has_prices=False))


def test_order_held_here_may_be_good_till_time():
    capabilities = replace(CAPABILITIES, times_in_force=frozenset({GTC}))
    known = replace(KNOWN, capabilities=capabilities, has_prices=True)
    stop = limit_order(
        type=orders_pb2.ORDER_TYPE_STOP_LIMIT,
        stop_price="90",
        time_in_force=GTT,
        expire_time_ns=NOW_NS + 1,
    )
    assert check(stop, known) is True


PROVEN = replace(KNOWN, best=BestPrices(Decimal(100), Decimal(101)), band_percent=10)
IN_DOUBT = replace(KNOWN, band_percent=10, market_band_percent=1)


@pytest.mark.parametrize("content", [limit_order(), market()])
def test_entry_without_a_proven_book_is_rejected(content):
    found = refusal(content, IN_DOUBT)
    assert found["field"] == "symbol"
    assert "subscribe to BOOK of BTCUSDT" in found["allowed"]
    assert check(content, replace(IN_DOUBT, band_percent=0, market_band_percent=0)) is False
    waits = replace(IN_DOUBT.capabilities, waits_for_book=True)
    assert check(content, replace(IN_DOUBT, capabilities=waits)) is False


@pytest.mark.parametrize(
    "content",
    [
        limit_order(reduce_only=True),
        market(reduce_only=True),
        limit_order(price="", type=orders_pb2.ORDER_TYPE_STOP, stop_price="90"),
        limit_order(group=orders_pb2.OrderGroup(role=orders_pb2.GROUP_ROLE_EXIT)),
    ],
)
def test_order_that_limits_a_loss_needs_no_book(content):
    assert check(content, IN_DOUBT) is False


@pytest.mark.parametrize(
    ("side", "kind", "stop_price", "price", "nearest"),
    [
        (types_pb2.SIDE_BUY, orders_pb2.ORDER_TYPE_STOP_LIMIT, "110", "121.5", "121"),
        (types_pb2.SIDE_SELL, orders_pb2.ORDER_TYPE_STOP_LIMIT, "90", "80.5", "81"),
        (types_pb2.SIDE_SELL, orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT, "110", "98.5", "99"),
    ],
)
def test_limit_of_a_stop_far_beyond_its_stop_price_is_rejected(
    side, kind, stop_price, price, nearest
):
    content = limit_order(side=side, type=kind, stop_price=stop_price, price=price)
    for known in (PROVEN, IN_DOUBT):
        assert refusal(content, known)["nearest"] == nearest
    content.price = nearest
    assert check(content, PROVEN) is False


@pytest.mark.parametrize(
    ("side", "kind", "wrong", "right"),
    [
        (types_pb2.SIDE_SELL, orders_pb2.ORDER_TYPE_STOP, "100", "99.5"),
        (types_pb2.SIDE_BUY, orders_pb2.ORDER_TYPE_STOP, "101", "101.5"),
        (types_pb2.SIDE_SELL, orders_pb2.ORDER_TYPE_TAKE_PROFIT, "101", "101.5"),
        (types_pb2.SIDE_BUY, orders_pb2.ORDER_TYPE_TAKE_PROFIT, "100", "99.5"),
    ],
)
def test_stop_on_the_wrong_side_of_the_market_is_rejected(side, kind, wrong, right):
    content = limit_order(side=side, type=kind, price="", stop_price=wrong)
    assert refusal(content, PROVEN)["field"] == "stop_price"
    assert check(content, replace(PROVEN, best=None)) is False
    content.stop_price = right
    assert check(content, PROVEN) is False


def test_worst_price_is_a_multiple_of_the_tick_inside_the_band():
    best = BestPrices(Decimal("100.5"), Decimal(101))
    assert worst_price(best, True, 1, SPOT) == Decimal("102.0")
    assert worst_price(best, False, 1, SPOT) == Decimal("99.5")


def test_order_that_waits_here_without_live_data_is_rejected():
    content = limit_order(price="", type=orders_pb2.ORDER_TYPE_STOP, stop_price="90")
    known = replace(KNOWN, capabilities=CAPABILITIES, has_prices=True)
    assert check(content, known) is True
    silent = replace(known, data_problem="subscribe to it")
    assert "subscribe to it" in refusal(content, silent)["allowed"]
    assert check(content, silent, is_amendment=True) is True
    # A stop of the venue needs no data here.
    assert check(content, replace(silent, capabilities=KNOWN.capabilities)) is False
