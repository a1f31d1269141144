"""Flatten cancels, closes and confirms in every state of the account, and closes nothing twice."""

from dataclasses import replace
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import flatten_pb2, orders_pb2, signed_pb2, trade_flow_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import (
    AccountNotReady,
    ApprovalRejected,
    BadRequest,
    InvalidOrder,
    RequestIdReused,
    UnknownInstrument,
)
from kit.execution.contract import OutcomeUnknown, RequestAccepted, RequestRejected
from kit.execution.orders import order_states
from kit.execution.readiness import REFUSED
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.order_groups import WHERE, bracket, flow, live, place
from kit.execution.tests.position_venue import SYMBOL, flatten, position_world
from kit.execution.tests.simulated_process import (
    KEYS,
    NEVER_NS,
    Prices,
    heartbeat,
    run,
    signer,
    verified,
)


async def ready(held="2", **more):
    """A world with a position, whose account is ready."""
    found = position_world(held=held, **more)
    found.prices = Prices()
    found.start()
    await found.ready()
    await found.let_pass(5)
    return found


async def submit(found, content, request_id, *, held_here=False):
    content.symbol = found.venue.symbol
    return await found.account.submitter.submit(verified(content, request_id), held_here=held_here)


def stop_order(price="90"):
    return limit_order(
        price="",
        type=orders_pb2.ORDER_TYPE_STOP,
        stop_price=price,
        side=types_pb2.SIDE_SELL,
        reduce_only=True,
    )


def check_flat(found, answer, held=0):
    assert [one.detail for one in answer.left_open] == []
    assert not answer.under_way
    assert found.venue.held == held
    assert not found.venue.opened_by_market
    assert not live(found)
    assert not found.account.state.index.open
    assert set(found.venue.sends.values()) <= {1}


@pytest.mark.parametrize("held", ["2", "-1.5"])
@pytest.mark.parametrize("symbol", [SYMBOL, ""])
def test_flatten_cancels_all_orders_and_closes_the_position(held, symbol):
    async def scenario():
        found = await ready(held)
        entry = await submit(found, limit_order(), "entry")
        stop = await submit(found, stop_order(), "stop", held_here=True)
        answer = await flatten(found, symbol)
        check_flat(found, answer)
        assert {entry.state, stop.state} == {order_states.CANCELLED}
        (closing,) = answer.orders
        assert closing.request_id == f"f/{SYMBOL}/1"
        assert closing.content.reduce_only
        assert Decimal(closing.filled_size) == abs(Decimal(held))
        # What the stop would have closed is closed.
        found.prices.trade("80")
        await found.let_pass(60)
        assert len(found.venue.sends) == 2

    run(scenario())


def test_exits_of_a_bracket_do_not_fire_besides():
    async def scenario():
        found = await ready("0")
        contents = bracket()
        for content in contents.values():
            content.symbol = SYMBOL
        await place(found, contents)
        await found.let_pass(1)
        (entry,) = live(found).values()
        found.venue.fill(found.venue.orders[entry.venue_order_id], Decimal(1))
        await found.let_pass(3)
        sends = len(found.venue.sends)
        found.prices.trade("95")
        answer = await flatten(found)
        check_flat(found, answer)
        found.prices.trade("95", "110", "95")
        await found.let_pass(120)
        assert len(found.venue.sends) <= sends + 2
        check_flat(found, answer)

    run(scenario())


def test_rest_of_a_partly_filled_close_is_closed_by_the_next_one():
    async def scenario():
        found = await ready("2")
        found.venue.share_filled = [Decimal("0.5"), Decimal("0.5"), Decimal(1)]
        answer = await flatten(found)
        check_flat(found, answer)
        assert [one.content.size for one in answer.orders] == ["2", "1", "0.5"]

    run(scenario())


def test_no_second_close_is_sent_before_the_outcome_of_the_first_is_known():
    async def scenario():
        found = await ready("2")
        venue = found.venue

        async def lose_answer(request):
            venue.later(9, venue.arrive, request)
            return OutcomeUnknown("no answer")

        venue.client.verdicts.append(lose_answer)
        answer = await flatten(found)
        check_flat(found, answer)
        assert len(answer.orders) == 1

    run(scenario())


def test_close_that_never_arrived_is_followed_by_another():
    async def scenario():
        found = await ready("2")

        async def lose(request):
            lost.append(request.client_order_id)
            return OutcomeUnknown("no answer")

        async def accept(request):
            assert found.account.state.index.orders[lost[0]].is_final
            return RequestAccepted(found.venue.arrive(request).now.venue_order_id)

        lost = []
        found.venue.client.verdicts = [lose, accept]
        answer = await flatten(found)
        while answer.under_way:
            answer = await flatten(found)
        check_flat(found, answer)
        assert [one.reject_reason for one in answer.orders] == [
            orders_pb2.REJECT_REASON_NEVER_ARRIVED,
            orders_pb2.REJECT_REASON_UNSPECIFIED,
        ]

    run(scenario())


def test_answers_older_than_the_last_fill_close_nothing_again():
    async def scenario():
        found = await ready("2")
        found.venue.lag_s = found.venue.capabilities.lag_s - 0.1
        answer = await flatten(found)
        check_flat(found, answer)
        assert len(answer.orders) == 1

    run(scenario())


@pytest.mark.parametrize("jumped_s", [0, 3600, -3600])
def test_position_just_opened_is_not_taken_for_flat(jumped_s):
    async def scenario():
        found = await ready("0")
        found.venue.lag_s = found.venue.capabilities.lag_s - 0.1
        order = await submit(found, limit_order(), "entry")
        found.venue.fill(found.venue.by_client_id[order.key], Decimal(2))
        await found.let_pass(0.1)
        found.clock.jumped_ns = jumped_s * NANOSECONDS_PER_SECOND
        check_flat(found, await flatten(found, ""))

    run(scenario())


def test_flatten_needs_no_heartbeat():
    async def scenario():
        found = await ready("2")
        await found.account.heartbeat(heartbeat(found.account, 1))
        await found.until(lambda: found.account.dead_man.has_fired)
        check_flat(found, await flatten(found))

    run(scenario())


def test_flatten_needs_no_ready_account_but_an_answer_of_the_venue():
    async def scenario():
        found = await ready("2")
        found.account.session.set_readiness(REFUSED, "for this test")
        client = found.venue.client
        ask, client.failures = client.positions, 10_000
        answer = await flatten(found)
        assert answer.under_way
        assert {one.found for one in answer.left_open} == {""}
        assert any("what is held is not known" in one.detail for one in answer.left_open)
        assert not found.venue.sends
        client.failures = 0
        assert client.positions == ask
        check_flat(found, await flatten(found))

    run(scenario())


def test_flatten_waits_for_the_journal():
    async def scenario():
        found = position_world()
        found.start()
        with pytest.raises(AccountNotReady):
            await flatten(found)
        await found.ready()
        check_flat(found, await flatten(found))

    run(scenario())


def test_key_for_emergencies_may_flatten(monkeypatch):
    monkeypatch.setitem(KEYS, "authority", replace(KEYS["authority"], role="reduce"))

    async def scenario():
        found = await ready("2")
        check_flat(found, await flatten(found))

    run(scenario())


@pytest.mark.parametrize("is_spot", [False, True])
def test_without_market_data_the_close_goes_out_without_a_worst_price(is_spot):
    async def scenario():
        found = await ready("2", is_spot=is_spot)
        found.prices.best = lambda symbol: None
        requests = []

        async def accept(request):
            requests.append(request)
            found.venue.arrive(request)
            return OutcomeUnknown("no answer")

        found.venue.client.verdicts.append(accept)
        check_flat(found, await flatten(found, found.venue.symbol))
        assert [one.worst_price for one in requests] == [None]

    run(scenario())


def test_lasting_rejection_is_left_open_with_its_reason():
    async def scenario():
        found = await ready("2")

        async def reject(request):
            return RequestRejected(orders_pb2.REJECT_REASON_NOTIONAL, "below 10 USDT")

        found.venue.client.verdicts = [reject]
        answer = await flatten(found)
        (left,) = answer.left_open
        assert not answer.under_way
        assert (left.symbol, left.found) == (SYMBOL, "2")
        assert left.client_order_id == answer.orders[0].client_order_id
        assert left.detail == "rejected: below 10 USDT"
        assert list(found.account.retries.left_open) == [left]

    run(scenario())


def test_passing_rejection_is_followed_by_another_close():
    async def scenario():
        found = await ready("2")

        async def reject(request):
            return RequestRejected(orders_pb2.REJECT_REASON_PRICE, "too far")

        found.venue.client.verdicts = [reject, reject]
        answer = await flatten(found)
        check_flat(found, answer)
        assert len(answer.orders) == 3

    run(scenario())


def test_spot_balance_is_sold_and_dust_is_left_open_with_its_reason():
    async def scenario():
        found = await ready("1.2345", is_spot=True)
        answer = await flatten(found, "BTCUSDT")
        assert found.venue.held == Decimal("0.0005")
        (left,) = answer.left_open
        assert left.found == "0.0005"
        assert "below the minimum" in left.detail
        assert not answer.under_way
        (sale,) = answer.orders
        assert (sale.content.size, sale.content.reduce_only) == ("1.234", False)

    run(scenario())


def test_entries_are_rejected_while_the_account_is_flattened():
    async def scenario():
        found = await ready("2")

        async def try_to_enter(request):
            with pytest.raises(AccountNotReady, match="flattened"):
                await flow(found).PlaceOrder(
                    trade_flow_pb2.PlaceOrderRequest(
                        approved=signer().approve(limit_order(symbol=SYMBOL), "e", NEVER_NS)
                    ),
                    None,
                )
            found.venue.arrive(request)
            return OutcomeUnknown("no answer")

        found.venue.client.verdicts.append(try_to_enter)
        check_flat(found, await flatten(found))
        found.account.check_ready()

    run(scenario())


def test_two_requests_close_one_position_once():
    async def scenario():
        found = await ready("2")
        first = found.process.start(flatten(found, SYMBOL, "f"))
        second = found.process.start(flatten(found, "", "g"))
        same = found.process.start(flatten(found, SYMBOL, "f"))
        for task in (first, second, same):
            check_flat(found, await task)
        assert len(found.venue.sends) == 1

    run(scenario())


def test_approval_is_for_this_operation_and_symbol_only():
    async def scenario():
        found = await ready("2")
        content = orders_pb2.OrderContent(symbol=SYMBOL, **WHERE)
        flatten_all = orders_pb2.OrderContent(**WHERE)
        for approved, why in (
            (signer().approve(content, "f", NEVER_NS), "operation"),
            (
                signer().approve(content, "f", NEVER_NS, signed_pb2.OPERATION_CANCEL_ALL),
                "operation",
            ),
            (signer().approve(flatten_all, "f", NEVER_NS, signed_pb2.OPERATION_FLATTEN), "target"),
            (None, "missing"),
        ):
            request = flatten_pb2.FlattenRequest(symbol=SYMBOL, approved=approved, **WHERE)
            with pytest.raises(ApprovalRejected) as refused:
                await flow(found).Flatten(request, None)
            assert refused.value.metadata["why"] == why
        assert not found.venue.sends

    run(scenario())


def test_request_without_sense_is_rejected():
    async def scenario():
        found = await ready("2", is_spot=True)
        with pytest.raises(InvalidOrder, match="spot markets only"):
            await flatten(found, "")
        with pytest.raises(UnknownInstrument):
            await flatten(found, "BTCEUR")
        with pytest.raises(BadRequest, match="request_id"):
            await flatten(found, "BTCUSDT", "f/BTCUSDT/1")
        assert not found.venue.sends

    run(scenario())


def test_request_id_of_work_under_way_is_for_its_symbol():
    async def scenario():
        found = await ready("2")
        first = found.process.start(flatten(found))
        await found.let_pass(0.01)
        with pytest.raises(RequestIdReused):
            await flatten(found, "")
        check_flat(found, await first)

    run(scenario())
