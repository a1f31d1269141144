"""A group is placed as a whole or not at all; an invalid one is rejected with the reason."""

import asyncio
from dataclasses import replace

import pytest
from venuemesh.tradeflow.v1 import batches_pb2, orders_pb2, trade_flow_pb2

from kit.base.errors import (
    BadRequest,
    InvalidOrder,
    NotSupported,
    RequestIdReused,
    StoreUnavailable,
)
from kit.execution.groups.group_plan import preferred
from kit.execution.orders import order_states
from kit.execution.prices.reference_prices import ReferenceMarketData
from kit.execution.tests.fake_venue import ALL_TYPES, CAPABILITIES
from kit.execution.tests.order_groups import (
    ALTERNATIVE,
    BUY,
    ENTRY,
    EXIT,
    LIMIT,
    MARKET,
    PROFIT,
    SELL,
    STOP,
    approved,
    bracket,
    entries,
    flow,
    group,
    lost_before_sent,
    oco,
    order,
    place,
    placed,
    standing,
)
from kit.execution.tests.simulated_process import Prices, run, world


async def ready(**venue):
    found = world(**venue)
    found.prices = Prices()
    found.start()
    await found.ready()
    return found


def entry(**more):
    return order(ENTRY, **more)


def limit_exit(limit="110", **more):
    return order(EXIT, side=SELL, price=limit, **more)


def stop_exit(stop="95", **more):
    return order(EXIT, STOP, side=SELL, stop_price=stop, **more)


def stop(**more):
    return order(ALTERNATIVE, STOP, side=SELL, stop_price="95", **more)


REFUSED = {
    "one alone": ([entry()], "approved"),
    "five": ([stop() for _ in range(5)], "approved"),
    "an entry with an alternative": ([entry(), stop()], "group.role"),
    "two entries": ([entry(), entry(), stop_exit()], "group.role"),
    "exits alone": ([limit_exit(), stop_exit()], "group.role"),
    "no roles": ([order(0), order(0)], "group.role"),
    "an exit of the same side": ([entry(side=SELL), limit_exit()], "side"),
    "alternatives of both sides": (
        [stop(), order(ALTERNATIVE, STOP, side=BUY, stop_price="120")],
        "side",
    ),
    "another size": ([entry(), limit_exit(size="1")], "size"),
    "no size": ([entry(), limit_exit(size="0")], "size"),
    "another symbol": ([entry(), limit_exit(symbol="ETHUSDT")], "symbol"),
    "another account": ([entry(), limit_exit(account="other")], "account"),
    "two limit orders": ([entry(), limit_exit(), limit_exit()], "type"),
    "a market order that is to wait": (
        [entry(), order(EXIT, MARKET, side=SELL, price="")],
        "type",
    ),
    "a limit order that does not rest": (
        [entry(), limit_exit(time_in_force=orders_pb2.TIME_IN_FORCE_FILL_OR_KILL)],
        "time_in_force",
    ),
    "a price that is no multiple of the tick": ([entry(), stop_exit(), limit_exit()], "price"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_invalid_group_is_rejected_and_not_written(name):
    contents, field = REFUSED[name]
    if field == "price":
        contents[-1].price = "110.1"

    async def scenario():
        found = await ready()
        with pytest.raises((InvalidOrder, BadRequest)) as refused:
            await place(found, group(*contents))
        metadata = refused.value.metadata
        assert metadata["field"] == field
        assert metadata["allowed"]
        assert not found.account.state.index.orders

    run(scenario())


@pytest.mark.parametrize("types", [CAPABILITIES.types, ALL_TYPES])
@pytest.mark.parametrize("contents", [bracket(), oco()])
def test_group_without_live_data_is_rejected_also_where_the_venue_has_its_stops(types, contents):
    async def scenario():
        found = await ready(capabilities=replace(CAPABILITIES, types=types))
        found.prices.problem = "BTCUSDT is silent"
        with pytest.raises(InvalidOrder, match="BTCUSDT is silent"):
            await place(found, contents)
        assert not found.account.state.index.orders
        found.prices.problem = ""
        assert await place(found, contents)

    run(scenario())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"count": 2}, "group.count"),
        ({"group_id": "h"}, "group.group_id"),
        ({"group_id": "a b"}, "group.group_id"),
        ({"group_id": ""}, "group.group_id"),
    ],
)
def test_members_that_disagree_about_the_group_are_rejected(change, field):
    contents = bracket()
    for name, value in change.items():
        setattr(contents["g2"].group, name, value)

    async def scenario():
        found = await ready()
        with pytest.raises(InvalidOrder) as refused:
            await place(found, contents)
        assert refused.value.metadata["field"] == field

    run(scenario())


def test_members_with_the_same_request_id_are_rejected():
    async def scenario():
        found = await ready()
        requests = approved(found, oco())
        requests[1].request_id = requests[0].request_id
        with pytest.raises(BadRequest, match="different one"):
            await flow(found).PlaceOrderGroup(
                batches_pb2.PlaceOrderGroupRequest(approved=requests), None
            )

    run(scenario())


WRONG_SIDES = {
    "stop above a buy": ([entry(), stop_exit(stop="100")], "stop_price", "below"),
    "limit order below a buy": ([entry(), limit_exit(limit="100")], "price", "above"),
    "take-profit below a buy": (
        [entry(), order(EXIT, PROFIT, side=SELL, stop_price="100")],
        "stop_price",
        "above",
    ),
    "stop below a sale": (
        [entry(side=SELL), order(EXIT, STOP, side=BUY, stop_price="100")],
        "stop_price",
        "above",
    ),
    "stop above a purchase at market": (
        [order(ENTRY, MARKET, price=""), stop_exit(stop="101")],
        "stop_price",
        "below",
    ),
    "stop above the market that a purchase crosses": (
        [entry(price="105"), stop_exit(stop="103")],
        "stop_price",
        "below",
    ),
    "stop above a purchase by a stop": (
        [order(ENTRY, STOP, stop_price="120"), stop_exit(stop="125")],
        "stop_price",
        "below",
    ),
}


@pytest.mark.parametrize("name", WRONG_SIDES)
def test_exit_on_the_wrong_side_of_the_entry_is_rejected(name):
    contents, field, side = WRONG_SIDES[name]

    async def scenario():
        found = await ready()
        with pytest.raises(InvalidOrder, match=f"allowed in a group is {side}") as refused:
            await place(found, group(*contents))
        assert refused.value.metadata["field"] == field
        assert not found.account.state.index.orders

    run(scenario())


def test_stops_need_prices():
    async def scenario():
        found = await ready()
        found.account.market = ReferenceMarketData(found.instruments.get)
        with pytest.raises(NotSupported):
            await place(found, bracket())
        with pytest.raises(InvalidOrder, match="proven order book"):
            await place(found, bracket(limit_exit()))
        found.account.market = ReferenceMarketData(found.instruments.get, Prices())
        assert len(await place(found, bracket(limit_exit()))) == 2

    run(scenario())


def test_stop_with_unsupported_terms_is_not_the_one_at_the_venue():
    stop_limit = orders_pb2.ORDER_TYPE_STOP_LIMIT
    odd = order(ALTERNATIVE, stop_limit, side=SELL, stop_price="95", price="94", post_only=True)
    usual = order(ALTERNATIVE, stop_limit, side=SELL, stop_price="95", price="94")
    capabilities = replace(CAPABILITIES, types=CAPABILITIES.types | {stop_limit})
    assert preferred([odd, usual], capabilities) is odd
    assert preferred([odd, usual], replace(capabilities, plain_stops_only=True)) is usual
    assert preferred([odd], replace(capabilities, plain_stops_only=True)) is None
    assert preferred([usual], replace(capabilities, types=frozenset())) is None


def test_exits_are_not_checked_against_current_prices_and_balances():
    """Neither the distance of an exit's price from the market nor the balance that it will need is
    checked when the group is placed."""

    async def scenario():
        found = await ready()
        exits = order(EXIT, side=SELL, price="60")
        assert len(await place(found, bracket(exits, price="50"))) == 2
        with pytest.raises(InvalidOrder, match="at most"):
            await place(found, group(entry(price="130"), limit_exit(), group_id="h"))

    run(scenario())


def test_repeated_group_request_returns_the_same_orders():
    async def scenario():
        found = await ready()
        twice = await asyncio.gather(place(found, bracket()), place(found, bracket()))
        names = [[one.client_order_id for one in orders] for orders in twice]
        assert names[0] == names[1]
        assert [one.client_order_id for one in await place(found, bracket())] == names[0]
        assert set(found.venue.sends.values()) == {1}
        other = bracket()
        other["g1"].price = "111"
        with pytest.raises(RequestIdReused):
            await place(found, other)

    run(scenario())


def test_partly_known_group_and_used_group_id_are_rejected():
    async def scenario():
        found, _ = await placed(bracket())
        part = bracket()
        part["new"] = part.pop("g2")
        with pytest.raises(RequestIdReused) as refused:
            await place(found, part)
        assert refused.value.metadata["request_id"] == "g0"
        same_id = {f"x{name}": content for name, content in bracket().items()}
        with pytest.raises(InvalidOrder) as refused:
            await place(found, same_id)
        assert refused.value.metadata["field"] == "group.group_id"
        assert len(found.account.state.index.orders) == 3

    run(scenario())


def test_order_with_a_group_cannot_be_placed_alone():
    async def scenario():
        found = await ready()
        (one, *_) = approved(found, bracket())
        with pytest.raises(InvalidOrder, match="placed together"):
            await flow(found).PlaceOrder(trade_flow_pb2.PlaceOrderRequest(approved=one), None)
        assert not found.venue.sends

    run(scenario())


def test_each_member_needs_its_own_approval():
    async def scenario():
        found = await ready()
        requests = approved(found, bracket())
        requests[2].signature = requests[1].signature
        with pytest.raises(Exception, match="signature"):
            await flow(found).PlaceOrderGroup(
                batches_pb2.PlaceOrderGroupRequest(approved=requests), None
            )
        assert not found.venue.sends

    run(scenario())


def test_members_approved_with_different_keys_are_rejected():
    async def scenario():
        found = await ready()
        requests = approved(found, bracket())
        requests[0].key_id = "other"
        with pytest.raises(InvalidOrder) as refused:
            await flow(found).PlaceOrderGroup(
                batches_pb2.PlaceOrderGroupRequest(approved=requests), None
            )
        assert refused.value.metadata["field"] == "key_id"
        assert not found.venue.sends

    run(scenario())


def test_full_disk_leaves_no_member_of_a_group():
    async def scenario():
        found = await ready()
        found.disk.fail(OSError(28, "full"))
        with pytest.raises(StoreUnavailable):
            await place(found, bracket())
        index = found.account.state.index
        assert (index.orders, index.open, index.groups) == ({}, {}, {})
        found.disk.fail(None)
        await found.let_pass(2)
        assert len(await place(found, bracket())) == 3

    run(scenario())


@pytest.mark.parametrize("contents", [bracket, oco])
def test_group_that_was_not_sent_before_a_crash_is_rejected(contents):
    async def scenario():
        found = await lost_before_sent(contents())
        assert set(standing(entries(found, contents()))) == {"REJECTED"}
        assert not found.venue.sends
        assert {one.state for one in await place(found, contents())} == {order_states.REJECTED}

    run(scenario())


def test_entry_held_here_opens_its_group_when_triggered():
    async def scenario():
        contents = group(
            order(ENTRY, STOP, stop_price="120"), order(EXIT, LIMIT, side=SELL, price="130")
        )
        found, (opening, profit) = await placed(contents)
        assert not found.venue.sends
        found.prices.trade("131", "120")
        await found.let_pass(3)
        assert found.venue.sends == {opening.key: 1}
        found.venue.fill(found.venue.by_client_id[opening.key], 2)
        await found.let_pass(3)
        assert found.venue.sends == {opening.key: 1, profit.key: 1}

    run(scenario())


def test_ended_members_are_kept_while_their_group_is_open():
    async def scenario():
        contents = bracket()
        found, (opening, _, _) = await placed(contents)
        found.venue.fill(found.venue.by_client_id[opening.key], 2)
        await found.let_pass(3)
        index = found.account.state.index
        later_ns = found.clock.time_ns() * 2
        assert sum(index.forget(later_ns, later_ns, 1)) == 0
        await found.account.submitter.cancel_all()
        await found.let_pass(3)
        assert sum(index.forget(later_ns, later_ns, 1)) == 3
        assert index.groups == {}

    run(scenario())
