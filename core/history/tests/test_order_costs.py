import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.history.tests.order_cost_rig import Rig, value
from core.history.tests.recorded import record_gaps
from core.history.tests.traded import CANCELLED, FILLED, PERPETUAL, STRATEGY, at_ns, lifecycle
from kit.base.clock import NANOSECONDS_PER_DAY
from kit.base.database import Database


@pytest.fixture
async def rig(postgres_url):
    database = Database(postgres_url)
    yield Rig(database)
    await database.close()


async def test_an_order_of_a_strategy_is_compared_with_the_prices_of_its_times(rig):
    await rig.terms()
    await rig.decide("a", 0.9, bid="99.5", ask="100.5")
    await rig.steady_quotes((0, "99"), (1, "100.5"), (2.4, "101.5"), (60, "103"))
    order = rig.order("a", 1)
    await rig.state(order, 1)
    await rig.fill(order, 2, "101", "6", fee="0.606")
    await rig.fill(order, 4, "102", "2", fee="0.204")
    await rig.state(order, 61, state=CANCELLED, filled_size="8", average_price="101.25")
    # Quotes of 2.4 s are too old at 12 s.
    await rig.quotes((10, "101.5"), (20, "101.5"), (59, "103"))
    found = await rig.one()
    assert found.order == order
    assert (found.strategy, found.lifecycle_id) == (STRATEGY, lifecycle("a"))
    assert found.decision_mid.quote_time_ns == at_ns(0.9)
    assert found.arrival_mid.quote_time_ns == at_ns(1)
    mids = (found.decision_mid, found.arrival_mid, found.end_mid)
    assert [value(mid.price) for mid in mids] == ["100", "100.5", "103"]
    assert value(found.average_price) == "101.25"
    assert value(found.slippage_bps) == "74.626866"
    shortfall = found.shortfall
    amounts = (shortfall.price_cost, shortfall.fee_cost, shortfall.unfilled_cost)
    assert [value(amount) for amount in amounts] == ["10", "0.81", "6"]
    assert (value(shortfall.total_cost), value(shortfall.total_bps)) == ("16.81", "168.1")
    assert (value(found.fee), value(found.expected_fee)) == ("0.81", "0.81")
    assert (found.cost_asset, found.notional_asset, value(found.notional)) == (
        *("USDT", "USDT"),
        "810",
    )
    assert (found.first_fill_ns, found.completion_ns) == (10**9, 60 * 10**9)
    assert (value(found.fill_ratio), found.fill_count, found.is_partly_filled) == ("0.8", 2, True)
    markouts = {one.horizon_ms: value(one.value_bps) for one in found.markouts}
    # 8 of them cost 810; after 1 s and 10 s they were worth 812, after a minute 824.
    assert markouts == {1_000: "24.691358", 10_000: "24.691358", 60_000: "172.839506"}
    assert found.complete


async def test_an_order_of_a_person_is_compared_with_the_quote_of_the_request(rig):
    await rig.terms()
    await rig.request("a", 0.5)
    await rig.steady_quotes((0.2, "100"), (0.7, "100.5"), (2, "101"))
    await rig.filled_order()
    found = await rig.one()
    assert (found.decision_mid.time_ns, found.decision_mid.quote_time_ns) == (
        at_ns(0.5),
        at_ns(0.2),
    )
    assert value(found.shortfall.price_cost) == "10"
    assert found.strategy == ""
    assert found.complete


async def test_a_decision_without_prices_takes_those_of_its_time(rig):
    await rig.terms()
    await rig.decide("a", 0.5)
    await rig.steady_quotes((0.2, "100"), (2, "101"))
    await rig.filled_order()
    found = await rig.one()
    assert value(found.decision_mid.price) == "100"
    assert found.strategy == STRATEGY


async def test_an_order_without_a_chain_has_no_shortfall_and_all_else(rig):
    await rig.terms()
    await rig.steady_quotes((0.2, "100"), (2, "101"))
    order = rig.order("a", 1, request_id="mine")
    await rig.state(order, 1, in_chain=False)
    await rig.fill(order, 1.5, "101", "10", in_chain=False)
    await rig.state(order, 2, in_chain=False, state=FILLED, filled_size="10")
    # Another order of the instrument.
    await rig.filled_order("b", 3)
    found = {one.order.request_id: one for one in await rig.listed()}["mine"]
    assert value(found.shortfall.total_cost) == "NO_DECISION"
    assert value(found.slippage_bps) == "100"
    assert (found.lifecycle_id, found.fill_count, found.complete) == (b"", 1, True)


async def test_a_fill_that_came_before_its_order_was_known_is_found(rig):
    await rig.terms()
    await rig.steady_quotes((0.2, "100"), (2, "101"))
    order = rig.order("a", 1)
    await rig.fill(order, 1.5, "101", "4", in_chain=False)
    await rig.state(order, 1)
    await rig.fill(order, 1.6, "101", "6")
    await rig.state(order, 2, state=FILLED, filled_size="10")
    found = await rig.one()
    assert (found.fill_count, value(found.slippage_bps)) == (2, "100")


async def test_a_fill_that_is_not_stored_makes_all_unknown_that_rests_on_fills(rig):
    await rig.terms()
    await rig.steady_quotes((0.2, "100"), (2, "101"))
    order = rig.order("a", 1)
    await rig.state(order, 1)
    await rig.fill(order, 1.5, "101", "4")
    await rig.state(order, 2, state=FILLED, filled_size="10")
    found = await rig.one()
    assert value(found.slippage_bps) == value(found.fee) == "FILLS_MISSING"
    assert not found.complete


async def test_a_quote_that_is_too_old_is_no_price(rig):
    await rig.terms()
    # 10 s and more before the arrival; after that there is one, so nothing more will be recorded.
    await rig.quotes((-9, "100"), (1.2, "100"))
    await rig.filled_order()
    found = await rig.one()
    assert value(found.slippage_bps) == value(found.arrival_mid.price) == "NO_QUOTE"
    assert found.arrival_mid.quote_time_ns == 0
    await rig.quotes((-8.9, "100"))
    assert value((await rig.one()).slippage_bps) == "100"


async def test_what_is_not_recorded_yet_is_not_complete(rig):
    await rig.terms()
    await rig.request("a", 0.5)
    await rig.quotes((0, "100"), (1.7, "101"), (2.4, "101"), (11.4, "101"))
    await rig.filled_order()
    found = await rig.one()
    markouts = [value(one.value_bps) for one in found.markouts]
    # Nothing says yet that the quotes of 11.5 s are recorded.
    assert (markouts, found.complete) == (["0", "NOT_YET", "NOT_YET"], False)
    # A quote of another instrument of the venue says it.
    await rig.quotes((11.6, "9"), (61.6, "9"), symbol="ETHUSDT")
    found = await rig.one()
    markouts = [value(one.value_bps) for one in found.markouts]
    assert (markouts, found.complete) == (["0", "0", "NO_QUOTE"], True)


async def test_quotes_that_are_missing_for_a_day_stay_missing(rig):
    await rig.terms()
    await rig.filled_order()
    assert value((await rig.one()).slippage_bps) == "NOT_YET"
    rig.clock.now_ns = at_ns(70) + NANOSECONDS_PER_DAY
    found = await rig.one()
    assert (value(found.slippage_bps), found.complete) == ("NO_QUOTE", True)


async def test_a_time_that_has_not_come_is_not_known(rig):
    await rig.terms()
    await rig.steady_quotes((0, "100"), (2, "101"))
    await rig.filled_order()
    rig.clock.now_ns = at_ns(20)
    found = await rig.one()
    markouts = [value(one.value_bps) for one in found.markouts]
    assert (markouts, found.complete) == (["0", "0", "NOT_YET"], False)


@pytest.mark.parametrize(
    ("symbol", "detected", "expected"),
    [
        # Of the whole channel: from the last quote before it to the next one.
        ("", 0.5, "QUOTE_GAP"),
        ("", 1.3, "QUOTE_GAP"),
        ("", 1.6, "100"),
        ("", -0.5, "100"),
        # Of the instrument: from its detection on.
        ("BTCUSDT", 0.5, "QUOTE_GAP"),
        ("BTCUSDT", 1.3, "100"),
        ("ETHUSDT", 0.5, "100"),
    ],
)
async def test_a_price_within_a_gap_is_not_known(rig, symbol, detected, expected):
    await rig.terms()
    await rig.steady_quotes((0, "100"), (1.4, "101"))
    await rig.filled_order()
    gap = types_pb2.Gap(
        symbol=symbol,
        reason=types_pb2.GAP_REASON_RECONNECT,
        detected_time_ns=at_ns(detected),
    )
    await record_gaps(rig.database, [gap], channel=types_pb2.CHANNEL_QUOTES)
    assert value((await rig.one()).slippage_bps) == expected


async def test_an_exit_waits_for_its_price(rig):
    await rig.terms()
    await rig.decide("a", 0.5, bid="99.5", ask="100.5")
    await rig.steady_quotes((0, "100"), (1.4, "98"))
    await rig.filled_order(
        price="98",
        side=types_pb2.SIDE_SELL,
        type=orders_pb2.ORDER_TYPE_STOP,
        stop_price="98.5",
    )
    found = await rig.one()
    assert found.waits_for_price
    assert value(found.slippage_bps) == value(found.shortfall.total_bps) == "WAITS_FOR_PRICE"
    assert value(found.trigger_slippage_bps) == "50.761421"
    assert found.arrival_mid.time_ns == found.decision_mid.time_ns == 0
    assert not found.HasField("first_fill_ns")
    assert found.complete


async def test_an_inverse_contract_costs_its_base_asset(rig):
    await rig.terms(PERPETUAL)
    await rig.decide("a", 0.9, bid="99.5", ask="100.5")
    await rig.steady_quotes((0, "100"), (1.4, "125"))
    await rig.filled_order(price="125")
    found = await rig.one()
    assert (found.cost_asset, found.notional_asset) == ("BTC", "USD")
    # 10 contracts of 100 USD: 1000 / 100 - 1000 / 125 BTC.
    assert value(found.shortfall.price_cost) == "2"
    assert value(found.shortfall.total_cost) == value(found.fee) == "FEE_ASSET"
    assert value(found.notional) == "1000"


async def test_terms_are_those_of_the_time_of_the_order(rig):
    await rig.steady_quotes((0, "100"), (2, "101"))
    await rig.filled_order()
    assert value((await rig.one()).notional) == "NO_INSTRUMENT"
    # The first ones that were recorded, though later than the order.
    await rig.terms(PERPETUAL, at_ns(50))
    assert value((await rig.one()).notional) == "1000"
    await rig.terms(from_ns=at_ns(-50))
    assert value((await rig.one()).notional) == "1010"
