"""Reductions are always taken, one at a time; every other order stays within its limits."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import batches_pb2, orders_pb2, trade_flow_pb2

from kit.base.errors import AccountNotReady, ApprovalRejected, InvalidOrder, LimitExceeded
from kit.execution.account_terms import OrderLimits
from kit.execution.contract import OutcomeUnknown, RequestAccepted
from kit.execution.orders import order_states
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.order_caller import (
    NOTHING,
    VALIDITY_NS,
    NoPrices,
    Terms,
    caller,
    exit_order,
)
from kit.execution.tests.simulated_process import KEYS, Prices, run

BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL
STOP = orders_pb2.ORDER_TYPE_STOP
ENTRY, EXIT = orders_pb2.GROUP_ROLE_ENTRY, orders_pb2.GROUP_ROLE_EXIT


@pytest.mark.parametrize(
    ("changes", "is_allowed"),
    [
        ({}, True),
        ({"size": "5"}, True),
        ({"size": "5.5"}, False),
        ({"side": BUY}, False),
        ({"reduce_only": False}, False),
        ({"symbol": "ETHUSDT"}, False),
        ({"symbol": "BTCUSDT", "reduce_only": False}, True),
        ({"symbol": "BTCUSDT", "reduce_only": False, "size": "5.5"}, False),
    ],
)
def test_break_glass_key_only_reduces_what_is_held(monkeypatch, changes, is_allowed):
    async def scenario():
        at = await caller()
        monkeypatch.setitem(KEYS, "authority", replace(KEYS["authority"], role="reduce"))
        content = exit_order(**changes)
        if is_allowed:
            assert (await at.place(content)).state == orders_pb2.ORDER_STATE_OPEN
        else:
            with pytest.raises(ApprovalRejected) as caught:
                await at.place(content)
            assert caught.value.metadata["why"] == "reduce_only"
            assert not at.world.venue.sends

    run(scenario())


def test_stop_that_waits_here_needs_live_data():
    async def scenario():
        at = await caller()
        at.world.prices.problem = "BTCUSDT is silent"
        with pytest.raises(InvalidOrder, match="BTCUSDT is silent"):
            await at.place(limit_order(type=STOP, side=SELL, price="", stop_price="90"))

    run(scenario())


def test_break_glass_key_does_not_close_a_position_twice(monkeypatch):
    async def scenario():
        at = await caller()
        await at.place(exit_order("3", type=orders_pb2.ORDER_TYPE_LIMIT, price="200"))
        monkeypatch.setitem(KEYS, "authority", replace(KEYS["authority"], role="reduce"))
        with pytest.raises(ApprovalRejected, match="2 can be closed"):
            await at.place(exit_order("3"))
        await at.place(exit_order("2"))

    run(scenario())


def test_break_glass_key_places_no_bracket(monkeypatch):
    async def scenario():
        at = await caller()
        monkeypatch.setitem(KEYS, "authority", replace(KEYS["authority"], role="reduce"))
        group = {"group_id": "g", "count": 2}
        with pytest.raises(ApprovalRejected):
            await at.place_group(
                exit_order(group=orders_pb2.OrderGroup(role=ENTRY, **group)),
                limit_order(
                    symbol="SWAP", price="90", group=orders_pb2.OrderGroup(role=EXIT, **group)
                ),
            )
        assert not at.world.venue.sends

    run(scenario())


@pytest.mark.parametrize("symbol", ["SWAP", "BTCUSDT"])
@pytest.mark.parametrize("case", ["silent", "limits", "no book", "price", "halted", "small"])
def test_reduction_is_never_rejected(symbol, case):
    async def scenario():
        prices = NoPrices() if case == "no book" else Prices()
        terms = Terms(NOTHING, authority=NOTHING) if case == "limits" else Terms()
        at = await caller(terms, prices)
        size, more = "5", {}
        if case == "silent":
            at.account.dead_man.has_fired = True
        elif case == "price":
            more = {"type": orders_pb2.ORDER_TYPE_LIMIT, "price": "1"}
        elif case == "halted":
            halted = types_pb2.Instrument()
            halted.CopyFrom(at.world.instruments[symbol])
            halted.status = types_pb2.INSTRUMENT_STATUS_HALTED
            at.world.instruments[symbol] = halted
        elif case == "small":
            size = "0.002"
        entry = {**more, "side": BUY, "reduce_only": False}
        if case == "price":
            entry["price"] = "1000"
        with pytest.raises((AccountNotReady, InvalidOrder, LimitExceeded)):
            await at.place(exit_order(size, symbol, **entry))
        order = await at.place(exit_order(size, symbol, **more))
        assert order.state == orders_pb2.ORDER_STATE_OPEN, order.detail
        found = at.account.state.index.orders[order.client_order_id]
        assert found.is_protective

    run(scenario())


def test_label_does_not_make_a_reduction():
    async def scenario():
        at = await caller(held="0")
        at.account.dead_man.has_fired = True
        with pytest.raises(AccountNotReady):
            await at.place(exit_order())
        at.hold("1")
        with pytest.raises(AccountNotReady):
            await at.place(exit_order("2"))
        at.hold("2")
        await at.place(exit_order("2"))

    run(scenario())


async def unknown(request):
    """The venue does not answer, and never gets the order."""
    return OutcomeUnknown("no answer")


def test_next_reduction_waits_for_the_outcome_of_the_first():
    async def scenario():
        at = await caller()
        client = at.account.client
        client.verdicts.append(unknown)
        client.failures = 1000
        first = await at.place(exit_order("5"))
        assert first.state == orders_pb2.ORDER_STATE_UNKNOWN
        second = asyncio.create_task(at.place(exit_order("5")))
        while "reduction" not in at.account.message().detail:
            await asyncio.sleep(0.05)
            assert not second.done()
        assert len(at.world.venue.sends) == 1
        client.failures = 0
        assert (await second).state == orders_pb2.ORDER_STATE_OPEN
        order = at.account.state.index.orders[first.client_order_id]
        assert order.reject_reason == orders_pb2.REJECT_REASON_NEVER_ARRIVED
        assert "reduction" not in at.account.message().detail

    run(scenario())


def test_reduction_is_checked_again_after_it_has_waited():
    async def scenario():
        at = await caller()
        at.account.dead_man.has_fired = True
        outcome = asyncio.get_running_loop().create_future()

        async def late(request):
            await outcome
            return RequestAccepted(at.world.venue.arrive(request).now.venue_order_id)

        at.account.client.verdicts.append(late)
        first = asyncio.create_task(at.place(exit_order("5")))
        second = asyncio.create_task(at.place(exit_order("5")))
        await asyncio.sleep(0)
        outcome.set_result(None)
        order = await first
        truth = at.world.venue.by_client_id[order.client_order_id]
        at.world.venue.fill(truth, Decimal(5))
        at.hold("0")
        with pytest.raises(AccountNotReady):
            await second
        assert len(at.world.venue.sends) == 1

    run(scenario())


@pytest.mark.parametrize("why", ["expired", "stale_epoch"])
def test_approval_that_ends_while_it_waits_is_not_used(why):
    async def scenario():
        at = await caller()
        at.account.client.verdicts.append(unknown)
        at.account.client.failures = 1000
        first = await at.place(exit_order("2"))
        assert first.state == orders_pb2.ORDER_STATE_UNKNOWN
        second = asyncio.create_task(at.place(exit_order("2")))
        await asyncio.sleep(0)
        if why == "expired":
            at.world.clock.jumped_ns = VALIDITY_NS
        else:
            at.account.verifier.fencing_epoch = 9
        while "reduction" not in at.account.message().detail:
            await asyncio.sleep(0.05)
        order = at.account.state.index.orders[first.client_order_id]
        at.account.state.transition(order, order_states.CANCELLED)
        with pytest.raises(ApprovalRejected) as caught:
            await second
        assert caught.value.metadata["why"] == why

    run(scenario())


def test_limits_of_account_and_key_hold_and_cancels_are_exempt():
    async def scenario():
        terms = Terms(OrderLimits(open_orders_max=2), authority=OrderLimits(open_orders_max=1))
        at = await caller(terms)
        order = await at.place(limit_order())
        with pytest.raises(LimitExceeded) as caught:
            await at.place(limit_order())
        assert caught.value.metadata["whose"] == "the key authority"
        terms.keys.clear()
        await at.place(limit_order())
        with pytest.raises(LimitExceeded, match="open_orders_max of the account fake/main"):
            await at.place(limit_order())
        terms.limits = NOTHING
        assert (await at.cancel(order.client_order_id)).state == orders_pb2.ORDER_STATE_CANCELLED
        with pytest.raises(LimitExceeded):
            await at.place(limit_order())

    run(scenario())


def test_stop_that_waits_here_counts_when_it_is_placed():
    async def scenario():
        at = await caller(Terms(OrderLimits(position_size_max={"SWAP": Decimal(6)})))
        stop = limit_order("1", "", "SWAP", type=STOP, stop_price="110")
        assert (await at.place(stop)).held_here
        with pytest.raises(LimitExceeded):
            await at.place(stop)
        at.account.dead_man.has_fired = True
        protective = exit_order("5", type=STOP, stop_price="90")
        assert (await at.place(protective)).held_here

    run(scenario())


def test_entry_of_a_bracket_counts_and_its_exits_do_not():
    async def scenario():
        terms = Terms(OrderLimits(open_orders_max=1, orders_per_second_max=1))
        at = await caller(terms, held="0")

        def bracket(name, size):
            group = {"group_id": name, "count": 3}
            entry, exit_ = (orders_pb2.OrderGroup(role=role, **group) for role in (ENTRY, EXIT))
            rest = {"size": size, "symbol": "SWAP"}
            return (
                limit_order(**rest, price="95", group=entry),
                limit_order(**rest, price="105", side=SELL, group=exit_),
                limit_order(**rest, price="", stop_price="85", type=STOP, side=SELL, group=exit_),
            )

        assert len(await at.place_group(*bracket("g", "1"))) == 3
        with pytest.raises(LimitExceeded, match="orders_per_second_max"):
            await at.place_group(*bracket("h", "1"))
        terms.limits = OrderLimits(open_orders_max=1)
        with pytest.raises(LimitExceeded, match="open_orders_max"):
            await at.place_group(*bracket("h", "1"))

    run(scenario())


def test_alternatives_count_once_as_a_position():
    async def scenario():
        terms = Terms(OrderLimits(position_size_max={"SWAP": Decimal(3)}))
        at = await caller(terms, held="0")

        def pair(name):
            group = orders_pb2.OrderGroup(
                group_id=name, count=2, role=orders_pb2.GROUP_ROLE_ALTERNATIVE
            )
            rest = {"size": "2", "symbol": "SWAP", "group": group}
            return (
                limit_order(**rest, price="95"),
                limit_order(**rest, price="", stop_price="110", type=STOP),
            )

        await at.place_group(*pair("g"))
        with pytest.raises(LimitExceeded):
            await at.place_group(*pair("h"))
        await at.place(limit_order("1", symbol="SWAP"))

    run(scenario())


def test_amendment_that_enlarges_counts_and_one_that_reduces_does_not():
    async def scenario():
        terms = Terms(OrderLimits(position_size_max={"SWAP": Decimal(3)}))
        at = await caller(terms, held="0")
        first = (await at.place(limit_order("2", symbol="SWAP"))).client_order_id
        await at.amend(first, limit_order("3", symbol="SWAP"))
        with pytest.raises(LimitExceeded, match="position_size_max"):
            await at.amend(first, limit_order("3.5", symbol="SWAP"))
        terms.limits = NOTHING
        assert (await at.amend(first, limit_order("2.5", "99", "SWAP"))).content.size == "2.5"
        with pytest.raises(LimitExceeded):
            await at.amend(first, limit_order("2.5", "99.5", "SWAP"))

    run(scenario())


def test_protective_stop_is_amended_while_the_authority_is_silent():
    async def scenario():
        at = await caller(Terms(NOTHING))
        stop = exit_order("5", type=STOP, stop_price="90")
        key = (await at.place(stop)).client_order_id
        at.account.dead_man.has_fired = True
        stop.stop_price = "95"
        assert (await at.amend(key, stop)).content.stop_price == "95"

    run(scenario())


def test_request_that_is_repeated_while_it_waits_is_sent_once():
    async def scenario():
        at = await caller()
        client = at.account.client
        client.verdicts.append(unknown)
        client.failures = 20
        await at.place(exit_order("2"))
        approved = at.approve(exit_order("3"))
        request = trade_flow_pb2.PlaceOrderRequest(approved=approved)
        both = [asyncio.create_task(at.flow.PlaceOrder(request, None)) for _ in range(2)]
        first, second = [await one for one in both]
        assert first.order.client_order_id == second.order.client_order_id
        assert sum(at.world.venue.sends.values()) == 2

    run(scenario())


def test_reductions_of_a_batch_take_turns():
    async def scenario():
        at = await caller()
        approved = [at.approve(exit_order("2")) for _ in range(3)]
        request = batches_pb2.PlaceOrdersRequest(approved=approved, venue="fake", account="main")
        placing = asyncio.create_task(at.flow.PlaceOrders(request, None))
        held = Decimal(5)
        for number in (1, 2):
            while len(at.world.venue.orders) < number:
                await asyncio.sleep(0.01)
            assert len(at.world.venue.sends) == number
            truth = list(at.world.venue.orders.values())[-1]
            at.world.venue.fill(truth, Decimal(2))
            held -= 2
            at.hold(held)
        results = (await placing).results
        assert all(one.order.client_order_id for one in results[:2])

    run(scenario())
