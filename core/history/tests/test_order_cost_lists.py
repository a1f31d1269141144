import pytest
from venuemesh.history.v1 import order_costs_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.history import order_cost_store, stored_orders
from core.history.tests.order_cost_rig import Filter, List, Reason, Rig
from core.history.tests.recorded import VENUE
from core.history.tests.traded import ACCOUNT, CANCELLED, STRATEGY, at_ns
from kit.base.database import Database
from kit.base.errors import BadPageToken, BadRequest

Summarize = order_costs_pb2.SummarizeOrderCostsRequest
HOUR_OF_START = 6
"""START_NS is 2024-08-08 06:53:20 UTC."""


@pytest.fixture
async def rig(postgres_url):
    database = Database(postgres_url)
    yield Rig(database)
    await database.close()


async def test_orders_of_others_are_not_listed(rig):
    await rig.state(rig.order("a", 1, external=True), 1)
    await rig.state(rig.order("b", 2), 2)
    assert [one.order.request_id for one in await rig.listed()] == [rig.order("b", 2).request_id]


async def test_pages_join_newest_first(rig, monkeypatch):
    monkeypatch.setattr(stored_orders, "SCANNED_AT_ONCE", 7)
    monkeypatch.setattr(order_cost_store, "SCANS_MAX", 2)
    for number in range(12):
        await rig.filled_order(str(number), number * 5)
    request, found = List(page_size=5), []
    while True:
        answer = await rig.store.page(request)
        assert len(answer.orders) <= 5
        found += [one.order.request_id for one in answer.orders]
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    assert found == [rig.order(str(number)).request_id for number in reversed(range(12))]


async def test_a_filter_names_what_fits(rig):
    await rig.terms()
    await rig.decide("a", 0.5)
    await rig.filled_order("a", 1)
    await rig.filled_order("b", 11, symbol="ETHUSDT")
    await rig.filled_order("c", 21)
    ids = {rig.order(name).request_id: name for name in "abc"}

    async def names(**chosen):
        return "".join(ids[one.order.request_id] for one in await rig.listed(**chosen))

    assert await names() == "cba"
    assert await names(venue=VENUE, account=ACCOUNT) == "cba"
    assert await names(venue=VENUE, account="mai") == await names(venue="okx") == ""
    assert await names(symbol="ETHUSDT") == "b"
    assert await names(strategy=STRATEGY) == "a"
    assert await names(start_time_ns=at_ns(11), end_time_ns=at_ns(21)) == "b"
    assert await names(start_time_ns=at_ns(12)) == "c"


@pytest.mark.parametrize(
    "chosen",
    [
        {"account": ACCOUNT},
        {"venue": "a\0"},
        {"start_time_ns": 2, "end_time_ns": 1},
        {"start_time_ns": -1},
    ],
)
async def test_a_wrong_filter_is_rejected(rig, chosen):
    with pytest.raises(BadRequest):
        await rig.store.page(List(filter=Filter(**chosen)))
    with pytest.raises(BadRequest):
        await rig.store.summary(Summarize(filter=Filter(**chosen)))


async def test_wrong_pages_and_groupings_are_rejected(rig):
    with pytest.raises(BadPageToken):
        await rig.store.page(List(page_token="x"))
    for groupings in ([0], [9], [1, 1]):
        with pytest.raises(BadRequest):
            await rig.store.summary(Summarize(groupings=groupings))


async def summary(rig, *groupings):
    answer = await rig.store.summary(Summarize(groupings=groupings))
    assert not answer.is_truncated
    return answer.groups


async def test_means_are_weighted_by_notional_and_say_what_they_rest_on(rig):
    await rig.terms()
    await rig.decide("a", 0.9, bid="99.5", ask="100.5")
    await rig.steady_quotes((0, "100"), (1.4, "100"))
    await rig.filled_order("a", 1)
    order = rig.order("b", 12, size="2")
    await rig.state(order, 12)
    await rig.fill(order, 12.5, "102", "1", fee="0.051")
    await rig.state(order, 13, state=CANCELLED, filled_size="1")
    # Filled long after the last quote.
    await rig.filled_order("c", 500)
    await rig.state(
        rig.order("d", 14),
        15,
        state=orders_pb2.ORDER_STATE_REJECTED,
        reject_reason=orders_pb2.REJECT_REASON_PRICE,
    )
    await rig.state(rig.order("e", 16), 16)
    await rig.quotes((505, "100"), (520, "100"), (570, "100"))
    (group,) = await summary(rig)
    assert (group.notional_asset, group.orders, group.complete) == ("USDT", 5, False)
    counts = (group.filled_orders, group.partly_filled_orders, group.open_orders)
    assert counts == (2, 1, 1)
    (rejected,) = group.rejected
    assert (rejected.reason, rejected.orders) == (orders_pb2.REJECT_REASON_PRICE, 1)
    slippage = group.slippage_bps
    # (100 bps x 1010 + 200 bps x 102) / 1112
    assert (slippage.value, slippage.orders, slippage.notional) == ("109.172662", 2, "1112")
    assert {Reason.Name(one.reason)[15:]: one.orders for one in slippage.left_out} == {
        "NO_QUOTE": 1,
        "NOT_FILLED": 1,
        "NOT_YET": 1,
    }
    # (1010 x 10 bps + 102 x 5 bps + 1010 x 10 bps) / 2122
    assert (group.fee_bps.value, group.fee_bps.notional) == ("9.759661", "2122")
    assert group.expected_fee_bps.value == "10"
    # At the arrival 1000 was filled whole, 200 by half, and 1000 not at all.
    assert (group.fill_ratio.value, group.fill_ratio.notional) == ("0.5", "2200")
    shortfall = group.shortfall_bps
    assert (shortfall.orders, shortfall.value, shortfall.notional) == (1, "110.1", "1000")
    assert group.first_fill_ns.value == "500000000"
    assert group.markouts[0].value_bps.value == "-107.913669"


async def test_groups_are_of_one_asset(rig):
    await rig.terms()
    await rig.decide("a", 0.5)
    await rig.filled_order("a", 1)
    await rig.filled_order("b", 11, type=orders_pb2.ORDER_TYPE_LIMIT)
    await rig.filled_order("c", 13 * 3_600, symbol="ETHUSDT")
    by_strategy = await summary(rig, order_costs_pb2.ORDER_COSTS_GROUPING_STRATEGY)
    found = [(one.strategy, one.notional_asset, one.orders) for one in by_strategy]
    # The terms of ETHUSDT are not recorded.
    assert found == [("", "", 1), ("", "USDT", 1), (STRATEGY, "USDT", 1)]
    (by_venue, _) = reversed(await summary(rig, order_costs_pb2.ORDER_COSTS_GROUPING_VENUE))
    assert (by_venue.venue, by_venue.orders) == (VENUE, 2)
    by_type = await summary(rig, order_costs_pb2.ORDER_COSTS_GROUPING_ORDER_TYPE)
    assert [one.order_type for one in by_type] == [
        orders_pb2.ORDER_TYPE_MARKET,
        orders_pb2.ORDER_TYPE_MARKET,
        orders_pb2.ORDER_TYPE_LIMIT,
    ]
    by_hour = await summary(rig, order_costs_pb2.ORDER_COSTS_GROUPING_HOUR)
    assert [(one.hour, one.orders) for one in by_hour] == [(HOUR_OF_START, 2), (19, 1)]
    assert not any(one.HasField("hour") for one in by_type)


async def test_a_summary_of_too_many_orders_says_so(rig, monkeypatch):
    monkeypatch.setattr(order_cost_store, "SUMMARY_ORDERS_MAX", 3)
    monkeypatch.setattr(order_cost_store, "ORDERS_AT_ONCE", 2)
    for number in range(5):
        await rig.filled_order(str(number), number * 5)
    answer = await rig.store.summary(Summarize())
    assert (answer.orders, answer.is_truncated) == (3, True)
    assert answer.oldest_time_ns == at_ns(10)
    assert answer.quote_age_max_ms == 10_000
