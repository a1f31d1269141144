"""Limits by scope, from a decision or a request to its verdict, on a real database."""

import asyncio
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import checks_pb2, risk_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector import risk_facts
from core.inspector.submissions import TAKEN
from core.inspector.tests.books import CASH, Booked, book, hold
from core.inspector.tests.rig import DECISIONS, SPOT, START_NS, close, decision, mode
from core.inspector.tests.test_manual_orders import LENA, OTTO, amend, cancel, limit, place, sale
from core.inspector.venue_processes import order_id
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.risk.facts import ReferencePrice, read_facts
from kit.risk.limits import RULES, RULES_BY_NAME, Need
from kit.risk.policy import OPEN_POLICY, Policy
from tests.support.waiting import eventually, until

ALLOW, BLOCK = risk_pb2.VERDICT_ALLOW, risk_pb2.VERDICT_BLOCK
LIMIT = {"type": orders_pb2.ORDER_TYPE_LIMIT, "price": "60000"}


def limited(**limits):
    fields = {name: getattr(OPEN_POLICY, name) for name in Policy.__struct_fields__}
    fields["maintenance_margin"] = {"binance": Decimal("0.005")}
    by_scope = {
        name: {scope: Decimal(limit) for scope, limit in found.items()}
        for name, found in limits.items()
    }
    return Policy(**fields | {"limits": by_scope, "currency": "USDT"})


def priced(process, price=60_000):
    """Have the prices of all instruments known."""
    best = Decimal(price)
    process.rules.price = lambda venue, symbol: ReferencePrice(
        bid=best, ask=best, time_ns=START_NS - NANOSECONDS_PER_SECOND
    )


async def given(rig, count):
    async def are_there():
        return len(await rig.verdicts()) >= count

    await eventually(are_there)
    return await rig.verdicts()


def blocked(verdict):
    return [one.name for one in verdict.checks if one.result == checks_pb2.CHECK_RESULT_BLOCKED]


# What an entry of 600 USDT just passes, and just not. A second ago the strategy lost 50 USDT, and
# another one holds 0.01 BTC in another account. Its own account has 1000 USDT.
LIMITS = {
    "order_value_max": ("account:binance/paper", "600", "599.99"),
    "price_deviation_max": ("instrument:binance/BTCUSDT", "0.25", "0.2499"),
    # The price is a second old, and the clock of these tests goes on by itself.
    "price_age_ms_max": ("mesh", "86400000", "999"),
    "entries_per_minute_max": ("strategy:*", "1", "0"),
    "positions_max": ("mesh", "2", "1"),
    "exposure_max": ("mesh", "1080", "1079.99"),
    "net_exposure_max": ("venue:binance", "1080", "1079.99"),
    "loss_per_day_max": ("strategy:ema_cross", "50", "49.99"),
    "losses_in_row_max": ("strategy:*", "2", "1"),
    "seconds_after_loss_min": ("strategy:*", "1", "86400"),
    "throttled_entries_per_minute_max": ("mesh", "1", "0"),
    "entries_per_day_max": ("strategy:*", "1", "0"),
    "repeated_entries_per_minute_max": ("mesh", "1", "0"),
    "self_matches_max": ("instrument:binance/BTCUSDT", "1", "0"),
    "open_order_notional_max": ("strategy:*", "600", "599.99"),
    "leverage_max": ("mesh", "1.08", "1.0799"),
    # 976 of 4776 USDT, less the maintenance margin, until the equity is only that.
    "liquidation_distance_min": ("mesh", "0.204", "0.205"),
    "balance_min": ("account:*", "1000", "1000.01"),
    "drawdown_max": ("strategy:ema_cross", "50", "49.99"),
    "drawdown_ratio_max": ("account:binance/paper", "0.0477", "0.0476"),
}
FIRST = {
    # The order of another strategy that the entry could trade with.
    "self_matches_max": "INSERT INTO inspector_entries (venue, account, client_order_id, symbol,"
    " strategy, is_buy, size, price) VALUES ('binance', 'main', 'x', 'BTCUSDT', 'other', false,"
    " 0.001, 60000)",
    "liquidation_distance_min": "INSERT INTO ledger_contracts VALUES ('binance', 'BTCPERP', 'BTC',"
    " 'USDT', 'USDT', 1); INSERT INTO ledger_positions VALUES ('binance', 'paper', 'BTCPERP', 'x',"
    " 1e17, 48e20)",
}
"""What is there before."""


def test_each_limit_is_tested():
    assert LIMITS.keys() == RULES_BY_NAME.keys()


@pytest.mark.parametrize("name", LIMITS)
async def test_limit_blocks_the_decision_that_it_does_not_hold_for(rig, name):
    scope, passing, blocking = LIMITS[name]
    await book(rig, Booked(1, 1, -50), Booked(2, 1, -1_000, code=CASH, strategy=""))
    async with rig.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO ledger_contracts VALUES ('binance', 'BTCUSDT', 'BTC', 'USDT', '', 1)"
        )
        await connection.execute(FIRST.get(name, "SELECT 1"))
    await hold(rig, Decimal("0.01"), strategy="other", account="main")
    process = await rig.start(policy=limited(**{name: {scope: blocking}}))
    priced(process, 48_000)
    if name.startswith("throttled"):
        await until(lambda: process.active.is_active)
        await process.changes.set(mode(risk_pb2.TRADING_MODE_THROTTLED), "lena")
    await rig.put(DECISIONS, decision(1, **LIMIT))
    (verdict,) = await given(rig, 1)
    assert blocked(verdict) == [name]
    (check,) = [one for one in verdict.checks if one.name == name and one.limit == blocking]
    assert check.unit
    assert check.observed or check.projected
    assert not verdict.orders
    process.rules.policy = limited(**{name: {scope: passing}})
    await rig.put(DECISIONS, decision(2, **LIMIT))
    assert blocked((await given(rig, 2))[1]) == []


@pytest.mark.parametrize("name", [rule.name for rule in RULES if Need.PRICES in rule.needs])
async def test_limit_that_needs_a_price_blocks_without_one(rig, name):
    await hold(rig, Decimal("0.01"), strategy="other")
    async with rig.database.transaction() as connection:
        await connection.execute(FIRST.get(name, "SELECT 1"))
    at_least = RULES_BY_NAME[name].is_minimum
    await rig.start(policy=limited(**{name: {"mesh": "0" if at_least else "86400000"}}))
    await rig.put(DECISIONS, decision(1))
    assert blocked((await given(rig, 1))[0]) == [name]


async def test_second_entry_is_blocked_by_what_the_first_may_still_fill(rig):
    await rig.start(policy=limited(exposure_max={"mesh": "1000"}))
    await rig.put(DECISIONS, decision(1, **LIMIT), decision(2, strategy="other", **LIMIT))
    first, second = await given(rig, 2)
    assert (first.verdict, second.verdict) == (ALLOW, BLOCK)
    (check,) = [one for one in second.checks if one.name == "exposure_max"]
    assert (check.observed, check.projected, check.limit) == ("600", "1200", "1000")
    assert (check.unit, check.detail) == ("USDT", "of mesh")
    # No limit holds up what closes.
    await rig.put(DECISIONS, close(3))
    third = (await given(rig, 3))[2]
    assert (third.verdict, third.is_reduction, third.facts) == (ALLOW, True, "")


async def acting(rig, policy):
    process = await rig.start(policy=policy)
    await until(lambda: process.active.is_active)
    priced(process)
    return process


async def test_of_entries_at_the_same_time_no_more_pass_than_the_limit_lets_pass(rig):
    policy = limited(exposure_max={"mesh": "2000"})
    process = await acting(rig, policy)
    names = [f"s{number}" for number in range(4)]
    asked = []
    for number in range(8):
        # Each in an instrument of its own: they have nothing but the limit in common.
        request = place(f"r{number}")
        request.content.symbol = f"COIN{number}"
        instrument = types_pb2.Instrument()
        instrument.CopyFrom(SPOT)
        instrument.symbol = request.content.symbol
        rig.instruments["binance", instrument.symbol] = instrument
        asked.append(process.manual.submit(request, LENA))
    decided = [decision(number, strategy=name, **LIMIT) for number, name in enumerate(names)]
    answers, _ = await asyncio.gather(asyncio.gather(*asked), rig.put(DECISIONS, *decided))
    verdicts = await given(rig, 12)
    assert sum(one.verdict == ALLOW for one in verdicts) == 3
    assert {tuple(blocked(one)) for one in verdicts} == {(), ("exposure_max",)}
    assert all(one.verdict.verdict in (ALLOW, BLOCK) for one in answers)


async def test_amendment_takes_the_place_of_its_order(rig):
    process = await acting(rig, limited(exposure_max={"mesh": "1300"}))
    order = (await process.manual.submit(place(), LENA)).submitted.orders[0]
    larger = await process.manual.submit(amend(order, "a1", "0.02"), LENA)
    assert larger.submitted.outcome == TAKEN
    too_large = await process.manual.submit(amend(order, "a2", "0.03"), LENA)
    assert blocked(too_large.verdict) == ["exposure_max"]
    smaller = await process.manual.submit(amend(order, "a3", "0.01"), LENA)
    assert smaller.submitted.outcome == TAKEN
    # What was larger may have been filled before.
    assert blocked((await process.manual.submit(place("r2"), LENA)).verdict) == ["exposure_max"]


async def test_order_of_a_strategy_keeps_its_limits_when_a_person_amends_it(rig):
    process = await acting(rig, limited(exposure_max={"strategy:*": "700"}))
    await rig.put(DECISIONS, decision(1, **LIMIT))
    (allowed,) = await given(rig, 1)
    order = orders_pb2.Order(client_order_id=order_id(allowed.orders[0]))
    answer = await process.manual.submit(amend(order, "a1", "0.02"), LENA)
    assert blocked(answer.verdict) == ["exposure_max"]
    assert read_facts(answer.verdict.facts).strategy == "ema_cross"
    own = await process.manual.submit(place(), LENA)
    assert blocked(own.verdict) == []
    larger = await process.manual.submit(amend(own.submitted.orders[0], "a2"), LENA)
    assert blocked(larger.verdict) == []


async def test_price_of_a_sale_is_compared_though_it_is_valued_at_the_best_price(rig):
    process = await acting(rig, limited(price_deviation_max={"mesh": "0.01"}))
    cheap = sale(type=orders_pb2.ORDER_TYPE_LIMIT, price="1")
    answer = await process.manual.submit(place(content=cheap), LENA)
    assert blocked(answer.verdict) == ["price_deviation_max"]
    at_market = await process.manual.submit(place("r2", sale()), LENA)
    assert blocked(at_market.verdict) == []


async def test_reduction_needs_nothing_that_limits_are_compared_with(rig, monkeypatch):
    process = await acting(rig, limited(exposure_max={"mesh": "1000"}))
    order = (await process.manual.submit(place(), LENA)).submitted.orders[0]

    async def send_reads(*arguments):
        raise AssertionError("facts of limits were asked for")

    monkeypatch.setattr(risk_facts, "send_reads", send_reads)
    rig.venue.free["BTC"] = Decimal("0.01")
    assert SPOT.base == "BTC"
    for request in (cancel(order), place("r2", limit(reduce_only=True)), place("r3", sale())):
        answer = await process.manual.submit(request, LENA if request.request_id == "r3" else OTTO)
        assert (answer.verdict.verdict, answer.verdict.is_reduction) == (ALLOW, True)
    await rig.put(DECISIONS, close(3))
    assert (await given(rig, 5))[4].is_reduction
