"""Orders of an account do not trade with each other, at venues that prevent it and at others."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.errors import InvalidOrder
from kit.execution.checks import self_trades
from kit.execution.contract import OutcomeUnknown, RequestRejected
from kit.execution.orders import order_states
from kit.execution.settings import OrdersSettings
from kit.execution.tests.fake_venue import ALL_TYPES, CAPABILITIES, limit_order
from kit.execution.tests.simulated_process import Prices, amend, run, started, verified, world

SELL = types_pb2.SIDE_SELL
TAKER = orders_pb2.SELF_TRADE_PREVENTION_CANCEL_TAKER
MAKER = orders_pb2.SELF_TRADE_PREVENTION_CANCEL_MAKER
BOTH = orders_pb2.SELF_TRADE_PREVENTION_CANCEL_BOTH
ALLOW = orders_pb2.SELF_TRADE_PREVENTION_ALLOW
NOTHING = orders_pb2.SELF_TRADE_PREVENTION_UNSPECIFIED
STOP = orders_pb2.ORDER_TYPE_STOP
WITHOUT = replace(CAPABILITIES, self_trade_prevention=frozenset())
SOME = replace(CAPABILITIES, self_trade_prevention=frozenset({TAKER, MAKER}))
REJECTED = (order_states.REJECTED, orders_pb2.REJECT_REASON_SELF_TRADE)


async def place(found, request_id="r", *, held_here=False, **more):
    order = verified(limit_order(**more), request_id)
    return await found.account.submitter.submit(order, held_here=held_here)


async def silent(key):
    """No answer to a cancel."""
    return await asyncio.get_running_loop().create_future()


def state(order):
    return order.state, order.reject_reason


@pytest.mark.parametrize(
    ("content", "setting", "mode"),
    [
        ({}, "cancel_taker", TAKER),
        ({}, "cancel_both", BOTH),
        ({}, "allow", ALLOW),
        ({"self_trade_prevention": MAKER}, "cancel_taker", MAKER),
        ({"reduce_only": True}, "cancel_taker", MAKER),
        ({"reduce_only": True}, "allow", MAKER),
        ({"reduce_only": True, "self_trade_prevention": BOTH}, "cancel_taker", BOTH),
    ],
)
def test_order_goes_out_with_its_mode(content, setting, mode):
    async def scenario():
        settings = OrdersSettings(self_trade_prevention=setting)
        found = world(settings)
        found.start()
        await found.ready()
        order = await place(found, **content)
        assert found.venue.self_trade_modes == {order.key: mode}

    run(scenario())


@pytest.mark.parametrize("held_here", [True, False])
def test_stop_has_the_orders_in_its_way_cancelled(held_here):
    async def scenario():
        types = CAPABILITIES.types if held_here else ALL_TYPES
        found = world(capabilities=replace(CAPABILITIES, types=types))
        found.prices = Prices()
        found.start()
        await found.ready()
        terms = {"type": STOP, "side": SELL, "price": "", "stop_price": "90"}
        order = await place(found, **terms, held_here=held_here)
        found.prices.trade("90")
        await found.until(lambda: order.key in found.venue.self_trade_modes)
        assert found.venue.self_trade_modes == {order.key: MAKER}

    run(scenario())


@pytest.mark.parametrize(
    ("more", "mode"),
    [
        ({"self_trade_prevention": BOTH}, NOTHING),
        ({"self_trade_prevention": MAKER}, MAKER),
        (
            {
                "self_trade_prevention": MAKER,
                "time_in_force": orders_pb2.TIME_IN_FORCE_FILL_OR_KILL,
            },
            NOTHING,
        ),
    ],
)
def test_venue_is_asked_only_for_what_it_does(more, mode):
    async def scenario():
        fill_or_kill = frozenset({orders_pb2.TIME_IN_FORCE_FILL_OR_KILL})
        found = await started(capabilities=replace(SOME, self_trade_prevention_not_in=fill_or_kill))
        order = await place(found, **more)
        assert found.venue.self_trade_modes == {order.key: mode}

    run(scenario())


@pytest.mark.parametrize(
    ("more", "is_rejected"),
    [
        ({"price": "100"}, True),
        ({"price": "99.5", "self_trade_prevention": BOTH}, True),
        ({"price": "", "type": orders_pb2.ORDER_TYPE_MARKET}, True),
        ({"price": "100.5"}, False),
        ({"price": "100", "side": types_pb2.SIDE_BUY}, False),
        ({"price": "100", "post_only": True}, False),
        ({"price": "100", "self_trade_prevention": ALLOW}, False),
    ],
)
def test_order_that_could_meet_an_own_one_is_rejected_where_the_venue_prevents_nothing(
    more, is_rejected
):
    async def scenario():
        found = await started(capabilities=WITHOUT)
        resting = await place(found, "first", price="100")
        order = await place(found, "second", **{"side": SELL, **more})
        assert (state(order) == REJECTED) == is_rejected
        assert (order.key in found.venue.sends) != is_rejected
        if is_rejected:
            assert f"order {resting.key} (buy at 100)" in order.detail
            await found.account.submitter.cancel(resting)
            assert state(await place(found, "third", side=SELL)) != REJECTED
        else:
            assert resting.state == order_states.OPEN

    run(scenario())


def test_of_two_orders_at_the_same_time_one_is_sent():
    async def scenario():
        found = await started(capabilities=WITHOUT)
        orders = await asyncio.gather(place(found, "buy"), place(found, "sell", side=SELL))
        assert sorted(map(state, orders))[1] == REJECTED
        assert sum(found.venue.sends.values()) == 1

    run(scenario())


def test_order_of_another_program_counts():
    async def scenario():
        found = await started(capabilities=WITHOUT)
        resting = await place(found, "first")
        other = replace(found.venue.by_client_id[resting.key].now, client_order_id="",
                        venue_order_id="77", side=SELL, price=Decimal(101))  # fmt: skip
        found.venue.deliver(other)
        await found.let_pass(1)
        order = await place(found, "second", price="101")
        assert state(order) == REJECTED
        assert "order 77 (sell at 101)" in order.detail

    run(scenario())


async def holding():
    """A world with a resting order to buy and a stop to sell that waits here."""
    found = world(OrdersSettings(), capabilities=WITHOUT)
    found.prices = Prices()
    found.start()
    await found.ready()
    resting = await place(found, "buy", price="99")
    stop = await place(
        found, "stop", type=STOP, side=SELL, price="", stop_price="98", held_here=True
    )
    return found, resting, stop


def test_own_order_in_the_way_of_a_stop_is_cancelled_before_it_is_sent():
    async def scenario():
        found, resting, stop = await holding()
        found.prices.trade("98")
        await found.until(lambda: stop.key in found.venue.sends)
        assert resting.state == order_states.CANCELLED
        assert stop.state == order_states.OPEN

    run(scenario())


def test_stop_is_sent_though_the_order_in_its_way_cannot_be_cancelled(monkeypatch):
    async def scenario():
        found, resting, stop = await holding()

        monkeypatch.setattr(found.venue.client, "cancel", silent)
        found.prices.trade("98")
        began = found.venue.time
        await found.until(lambda: stop.key in found.venue.sends)
        assert self_trades.CANCEL_S <= found.venue.time - began < self_trades.CANCEL_S + 1
        assert not resting.is_final

    run(scenario())


def test_stop_that_the_venue_rejects_for_an_own_order_is_sent_again():
    async def scenario():
        found, _, stop = await holding()

        async def overlaps(request):
            return RequestRejected(orders_pb2.REJECT_REASON_SELF_TRADE, "10003 order_overlap")

        found.venue.client.verdicts.append(overlaps)
        found.prices.trade("98")
        await found.until(lambda: len(found.venue.sends) == 3)
        assert state(stop) == REJECTED

    run(scenario())


def test_entry_that_cancels_others_is_rejected_while_they_are_open(monkeypatch):
    async def scenario():
        found = await started(capabilities=WITHOUT)
        resting = await place(found, "first")
        monkeypatch.setattr(self_trades, "CANCEL_S", 0.01)

        cancel = found.venue.client.cancel
        monkeypatch.setattr(found.venue.client, "cancel", silent)
        terms = {"side": SELL, "self_trade_prevention": MAKER}
        assert state(await place(found, "second", **terms)) == REJECTED
        monkeypatch.setattr(found.venue.client, "cancel", cancel)
        await found.until(lambda: resting.is_final)
        assert (await place(found, "third", **terms)).state == order_states.OPEN

    run(scenario())


@pytest.mark.parametrize("capabilities", [CAPABILITIES, WITHOUT])
def test_amendment_that_could_meet_an_own_order_is_rejected(capabilities):
    """An amendment carries no mode at any venue."""

    async def scenario():
        found = await started(capabilities=capabilities)
        resting = await place(found, "first")
        content = limit_order(side=SELL, price="105")
        order = await place(found, "second", side=SELL, price="105")
        content.price = "100"
        with pytest.raises(InvalidOrder, match=f"own order {resting.key}"):
            await amend(found.account.amender, order, content, "a")
        assert order.price == 105
        content.price = "100.5"
        await amend(found.account.amender, order, content, "b")
        assert found.venue.by_client_id[order.key].now.price == Decimal("100.5")

    run(scenario())


@pytest.mark.parametrize("capabilities", [CAPABILITIES, WITHOUT])
def test_order_that_is_being_amended_counts_with_both_prices(capabilities):
    async def scenario():
        found = await started(capabilities=capabilities)
        first = await place(found, "first")
        second = await place(found, "second", side=SELL, price="110")

        async def lost(key, request, priority):
            return OutcomeUnknown("lost")

        found.account.client.amend = lost
        await amend(found.account.amender, first, limit_order(price="105"), "a")
        assert first.is_amending
        content = limit_order(side=SELL, price="104")
        with pytest.raises(InvalidOrder, match=f"own order {first.key}"):
            await amend(found.account.amender, second, content, "b")
        if capabilities is WITHOUT:
            third = await place(found, "third", side=SELL, price="104")
            assert state(third) == REJECTED

    run(scenario())
