"""No order exceeds a limit: each by itself, and every sequence of orders, fills and cancels."""

from dataclasses import replace
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.errors import LimitExceeded
from kit.execution.account_terms import OrderLimits
from kit.execution.checks.limits import LimitState, check
from kit.execution.prices.reference_prices import BestPrices
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.simulated_process import SPOT

BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL
PRICES = BestPrices(Decimal(99), Decimal(101))
LINEAR = types_pb2.Instrument(
    symbol="SWAP",
    kind=types_pb2.INSTRUMENT_KIND_PERPETUAL,
    base="BTC",
    quote="USDT",
    price_tick="0.5",
    settlement_asset="USDT",
    contract_kind=types_pb2.CONTRACT_KIND_LINEAR,
    size_unit=types_pb2.SIZE_UNIT_BASE,
)


def derivative(**more):
    found = types_pb2.Instrument()
    found.CopyFrom(LINEAR)
    for name, value in more.items():
        setattr(found, name, value)
    return found


CONTRACTS = {"size_unit": types_pb2.SIZE_UNIT_CONTRACTS}
INVERSE = derivative(
    quote="USD",
    settlement_asset="BTC",
    contract_kind=types_pb2.CONTRACT_KIND_INVERSE,
    contract_value="100",
    **CONTRACTS,
)
QUANTO = derivative(
    settlement_asset="ETH",
    contract_kind=types_pb2.CONTRACT_KIND_QUANTO,
    contract_value="0.001",
    **CONTRACTS,
)
COUNTED = LimitState("the account fake/main", LINEAR, PRICES, market_band_percent=10)


def order(size="1", price="100", side=BUY, **more):
    return limit_order(size, price, "SWAP", **{"side": side, **more})


def market(size="1", side=BUY, **more):
    return order(size, "", side, **{"type": orders_pb2.ORDER_TYPE_MARKET, **more})


def limits(**more):
    return OrderLimits(
        **{
            name: value
            if isinstance(value, int)
            else {key: Decimal(text) for key, text in value.items()}
            for name, value in more.items()
        }
    )


def exceeded(found, state, content):
    """The metadata of the limit that an order exceeds."""
    with pytest.raises(LimitExceeded) as caught:
        check(found, state, content)
    for name in ("field", "value", "limit", "limit_name", "whose"):
        assert caught.value.metadata[name]
    assert caught.value.metadata["limit"] in caught.value.message
    return caught.value.metadata


@pytest.mark.parametrize(
    ("found", "fits", "is_more", "instrument"),
    [
        (limits(order_size_max={"SWAP": "1"}), order("1.000"), order("1.001"), LINEAR),
        (limits(order_size_max={"SWAP": "1"}), order("1.0"), market("1.1"), LINEAR),
        (limits(order_notional_max={"USDT": "100"}), order("1"), order("1.001"), LINEAR),
        # A sale below the best bid is filled at the bid.
        (
            limits(order_notional_max={"USDT": "99"}),
            order("1", "90", SELL),
            order("1.001", "90", SELL),
            LINEAR,
        ),
        # A purchase at the market counts with its worst price, 10% above the ask.
        (limits(order_notional_max={"USDT": "111"}), market("1"), market("1.001"), LINEAR),
        (limits(order_notional_max={"USDT": "99"}), market("1", SELL), market("1.1", SELL), LINEAR),
        (
            limits(order_notional_max={"USDT": "110"}),
            market(type=orders_pb2.ORDER_TYPE_STOP, stop_price="100"),
            market(type=orders_pb2.ORDER_TYPE_STOP, stop_price="100.5"),
            LINEAR,
        ),
        (limits(order_notional_max={"USD": "200"}), order("2", "1"), order("3", "1"), INVERSE),
        (limits(order_notional_max={"ETH": "0.2"}), order("2"), order("2.1"), QUANTO),
        (limits(position_size_max={"SWAP": "3"}), order("1"), order("1.001"), LINEAR),
        (limits(position_size_max={"SWAP": "3"}), order("1", side=SELL), order("2"), LINEAR),
        (limits(position_notional_max={"USDT": "303"}), order("1"), order("1.01"), LINEAR),
        (limits(position_notional_max={"USD": "300"}), order("1"), order("2"), INVERSE),
    ],
)
def test_order_up_to_the_limit_passes_and_a_larger_one_does_not(found, fits, is_more, instrument):
    state = replace(COUNTED, instrument=instrument, exposure=Decimal(2))
    check(found, state, fits)
    exceeded(found, state, is_more)


@pytest.mark.parametrize(
    ("found", "fits", "is_more"),
    [
        (limits(open_orders_max=3), {"open_orders": 2}, {"open_orders": 3}),
        (
            limits(open_orders_max=3),
            {"open_orders": 1, "orders": 2},
            {"open_orders": 2, "orders": 2},
        ),
        (limits(orders_per_second_max=3), {"recent_orders": 2}, {"recent_orders": 3}),
        (limits(open_orders_max=3), {"open_orders": 3, "is_amendment": True}, {"open_orders": 3}),
    ],
)
def test_orders_are_counted(found, fits, is_more):
    check(found, replace(COUNTED, **fits), order())
    exceeded(found, replace(COUNTED, **is_more), order())


@pytest.mark.parametrize(
    "content",
    [
        order(side=SELL, reduce_only=True),
        order(group=orders_pb2.OrderGroup(role=orders_pb2.GROUP_ROLE_EXIT)),
    ],
)
def test_order_that_opens_nothing_has_no_position_limit(content):
    found = limits(position_size_max={"SWAP": "0"}, open_orders_max=0)
    check(found, COUNTED, content)
    exceeded(found, COUNTED, order())


def test_sale_on_spot_has_no_position_limit():
    found = limits(position_size_max={"SWAP": "0"})
    check(found, replace(COUNTED, instrument=SPOT), order(side=SELL))
    exceeded(found, replace(COUNTED, instrument=SPOT), order())


@pytest.mark.parametrize("name", ["order_notional_max", "position_notional_max"])
def test_notional_that_is_not_known_is_refused(name):
    without = replace(COUNTED, best=None)
    found = limits(**{name: {"USDT": "1000"}})
    check(found, without, order())
    assert "subscribe to BOOK" in exceeded(found, without, market())["limit"]
    assert exceeded(limits(**{name: {"USDC": "1000"}}), COUNTED, order())["value"] == "USDT"
    unknown = derivative(size_unit=types_pb2.SIZE_UNIT_UNSPECIFIED)
    exceeded(found, replace(COUNTED, instrument=unknown), order())
    check(limits(), replace(without, instrument=unknown), market())


def test_amendment_counts_what_is_left():
    found = limits(position_size_max={"SWAP": "3"}, order_size_max={"SWAP": "5"})
    state = replace(COUNTED, exposure=Decimal(2), filled_size=Decimal(1), is_amendment=True)
    check(found, state, order("2"))
    assert exceeded(found, state, order("2.5"))["limit_name"] == "position_size_max"
