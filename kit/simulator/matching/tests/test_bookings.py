"""What is booked makes the balances."""

import random
from collections import defaultdict
from contextlib import suppress
from decimal import Decimal

import pytest

from kit.accounting.fees import FeeAsset, FeeTier
from kit.simulator.matching.contract import BookingCause, MatchingRules, OrderRejected
from kit.simulator.matching.tests.markets import COIN, SPOT, Market
from kit.simulator.matching.tests.test_held_margin import ACCOUNTS, act
from kit.simulator.matching.tests.test_margin import FREE, INVERSE, LINEAR, marked, traded

D = Decimal
ACTIONS = 300
TIERS = (FeeTier(D("-0.0001"), D("0.0005")),)
START = {"USDT": D(50_000), "BTC": D(2), "COIN": D(500)}


def check_balances(market: Market) -> None:
    """The sums of what is booked are the balances, after each booking and now."""
    for account in {*ACCOUNTS, "demo", "other"}:
        sums: defaultdict[str, Decimal] = defaultdict(Decimal)
        numbers = []
        for one in market.exchange.bookings(account):
            sums[one.asset] += one.amount - one.fee
            assert one.balance == sums[one.asset]
            numbers.append(one.number)
        assert numbers == sorted(set(numbers))
        held = {one.asset: one.total for one in market.exchange.balances(account)}
        assert {asset: amount for asset, amount in sums.items() if amount} == {
            asset: amount for asset, amount in held.items() if amount
        }


@pytest.mark.parametrize("fee_asset", FeeAsset)
@pytest.mark.parametrize(
    ("listed", "unit"), [((COIN, SPOT), D("0.1")), (LINEAR, 2), (INVERSE, 4_000)]
)
def test_bookings_make_the_balances(listed, unit, fee_asset):
    rules = MatchingRules(tiers=TIERS, start=START, fee_asset=fee_asset, stops_trigger_at_once=True)
    market, source = Market(rules, [listed]), random.Random(7)
    for _ in range(ACTIONS):
        if listed is not LINEAR and listed is not INVERSE:
            side, price = source.choice(("buy", "sell")), str(source.randint(90, 110))
            size = str(unit * source.randint(1, 9))
            with suppress(OrderRejected):
                market.order(source.choice(ACCOUNTS), side, size, price)
            continue
        marked(market, str(source.randint(59_000, 61_000)))
        with suppress(OrderRejected):
            act(market, source, unit)
    assert any(one.fill and one.fill.fee < 0 for one in market.exchange.bookings(ACCOUNTS[0]))
    check_balances(market)


@pytest.mark.parametrize(
    ("listed", "assets"),
    [((COIN, SPOT), {"COIN", "USDT"}), (LINEAR, {"BTC", "USDT"}), (INVERSE, {"BTC"})],
)
def test_an_account_begins_with_the_assets_that_its_instruments_take(listed, assets):
    market = Market(listed=[listed])
    begun = {one.asset for one in market.exchange.bookings("demo")}
    assert begun == {one.asset for one in market.exchange.balances("demo")} == assets


@pytest.mark.parametrize(("listed", "asset"), [(LINEAR, "USDT"), (INVERSE, "BTC")])
def test_funding_liquidations_and_transfers_are_booked(listed, asset):
    market = Market(FREE, [listed])
    due_ns = market.now_ns + 10**9
    marked(market, "60000", "0.001", due_ns)
    traded(market, "buy", "100" if listed is LINEAR else "300000", "60000")
    market.exchange.transfer("demo", asset, D("-0.25"))
    market.exchange.advance(market.now_ns)
    market.now_ns = due_ns
    marked(market, "60000", "0", due_ns + 10**12)
    market.exchange.advance(market.now_ns)
    marked(market, "30000")
    market.book.rest(True, round(30_000 / market.book.instrument.tick_units * 10), 10**7, 1)
    market.now_ns += 10**9
    market.exchange.advance(market.now_ns)
    causes = [one.cause for one in market.exchange.bookings("demo") if one.asset == asset]
    assert causes == [
        BookingCause.TRANSFER,
        BookingCause.FILL,
        BookingCause.TRANSFER,
        BookingCause.FUNDING,
        BookingCause.FILL,
        BookingCause.LIQUIDATION,
    ]
    assert market.has("demo", asset)[0] == 0
    check_balances(market)
