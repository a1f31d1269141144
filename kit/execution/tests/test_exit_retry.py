"""An exit that the venue rejects for a reason that may pass is tried again, as another order."""

from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from venuemesh.tradeflow.v1 import differences_pb2, orders_pb2

from kit.base.errors import StoreUnavailable
from kit.execution.client_order_ids import client_order_id
from kit.execution.contract import OutcomeUnknown, RequestRejected
from kit.execution.orders import order_states
from kit.execution.orders.order_messages import order_message
from kit.execution.request_ids import ATTEMPTS_MAX
from kit.execution.tests.fake_venue import ALL_TYPES, CAPABILITIES
from kit.execution.tests.order_groups import (
    EXIT,
    MARKET,
    SELL,
    STOP,
    at_venue,
    bracket,
    entries,
    fill,
    live,
    oco,
    order,
    place,
    placed,
    standing,
)
from kit.execution.tests.simulated_process import Prices, amend, run, world

TOO_LITTLE = orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS
LEFT_OPEN = differences_pb2.DIFFERENCE_KIND_LEFT_OPEN
PAUSES_S = [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]


def refusing(found, times, reason=TOO_LITTLE):
    """Have the venue reject the next orders. Returns the times at which they arrived."""
    came = []

    async def refuse(request):
        came.append(round(found.venue.time))
        return RequestRejected(reason, "not now")

    found.account.client.verdicts = [refuse] * times
    return came


async def reached(found, entry, *exits):
    """A bracket of 2 whose stop is triggered while no exit is at the venue."""
    fill(found, entry, 2)
    await found.let_pass(0.5)
    found.prices.trade("95")


def attempt(found, name, number):
    """An attempt of an exit; None if there is none."""
    key = client_order_id("fake", "main", f"{name}~{number}")
    return found.account.state.index.orders.get(key)


def said(found):
    """What was published as left open, over the stream and in the snapshot."""
    account = found.account
    events = [one.difference for one in account.executions._events if one.HasField("difference")]
    told = [one for one in events if one.kind == LEFT_OPEN]
    assert list(account._snapshot().left_open) == told
    return told


async def with_a_stop():
    contents = bracket(order(EXIT, STOP, side=SELL, stop_price="95"))
    return await placed(contents)


def test_exit_is_retried_with_growing_pauses():
    async def scenario():
        found, (entry, stop) = await with_a_stop()
        came = refusing(found, 4)
        await reached(found, entry)
        await found.let_pass(2)
        again = order_message(attempt(found, "g1", 3))
        assert (again.state, again.held_here) == (order_states.OPEN, True)
        assert "attempt 3 of 12" in again.detail
        await found.let_pass(30)
        assert standing([stop]) == ["REJECTED"]
        between = [after - before for before, after in pairwise(came)]
        assert all(
            wait <= found <= wait + 1 for wait, found in zip(PAUSES_S, between, strict=False)
        )
        taken = attempt(found, "g1", 5)
        assert live(found).keys() == {taken.key}
        assert (live(found)[taken.key].type, live(found)[taken.key].size) == (MARKET, Decimal(2))
        assert set(found.venue.sends.values()) == {1}
        fill(found, taken, 2)
        await found.let_pass(3)
        assert standing([taken]) == ["FILLED"]
        assert not found.account.state.index.open
        assert not said(found)

    run(scenario())


def test_last_attempt_is_published_as_left_open_once():
    async def scenario():
        found, (entry, _) = await with_a_stop()
        came = refusing(found, 100)
        await reached(found, entry)
        await found.let_pass(sum(PAUSES_S) + 60)
        assert len(came) == ATTEMPTS_MAX
        assert not found.account.state.index.open
        last = attempt(found, "g1", ATTEMPTS_MAX)
        (one,) = said(found)
        assert (one.symbol, one.client_order_id, one.found) == ("BTCUSDT", last.key, "2")
        assert "REJECTED after 12 attempts: not now; no exit is left" in one.detail
        found.crash()
        found.start()
        await found.ready()
        await found.until(lambda: said(found))
        await found.let_pass(30)
        assert len(said(found)) == 1
        assert sum(found.venue.sends.values()) == 1 + ATTEMPTS_MAX

    run(scenario())


def test_lasting_rejection_is_published_at_once():
    async def scenario():
        found, (entry, _, stop) = await placed(bracket())
        came = refusing(found, 1, orders_pb2.REJECT_REASON_PERMISSION)
        fill(found, entry, 2)
        await found.let_pass(5)
        assert len(came) == 1
        (one,) = said(found)
        assert "1 other exits are open" in one.detail
        found.prices.trade("95")
        await found.let_pass(3)
        assert live(found).keys() == {stop.key}

    run(scenario())


def test_entry_that_is_filled_after_its_rejection_is_published_as_left_open():
    async def scenario():
        found = world()
        found.prices = Prices()
        found.start()
        await found.ready()
        wrong = []

        async def reject_and_take(request):
            wrong.append(request)
            return RequestRejected(orders_pb2.REJECT_REASON_OTHER, "no")

        found.account.client.verdicts = [reject_and_take]
        contents = bracket()
        await place(found, contents)
        await found.let_pass(3)
        members = entries(found, contents)
        assert standing(members) == ["REJECTED", "CANCELLED", "CANCELLED"]
        assert not said(found)
        truth = found.venue.arrive(wrong[0])
        found.venue.fill(truth, Decimal(1))
        await found.let_pass(3)
        assert {one.found for one in said(found)} == {"1"}
        assert "no exit is left: close it" in said(found)[0].detail

    run(scenario())


def test_another_exit_may_be_sent_during_a_pause():
    async def scenario():
        found, (entry, profit, stop) = await placed(bracket())
        refusing(found, 1)
        fill(found, entry, 2)
        await found.let_pass(0.5)
        assert standing([profit, stop]) == ["REJECTED", "OPEN"]
        found.prices.trade("95")
        await found.let_pass(0.3)
        assert live(found).keys() == {stop.key}
        await found.let_pass(30)
        assert live(found).keys() == {stop.key}
        fill(found, stop, 2)
        await found.let_pass(3)
        assert attempt(found, "g1", 2).state == order_states.CANCELLED
        assert not said(found)

    run(scenario())


@pytest.mark.parametrize("is_full", [False, True])
def test_cancel_all_ends_retries_while_the_disk_is_full(is_full):
    async def scenario():
        found, (entry, _) = await with_a_stop()
        came = refusing(found, 1)
        client_place = found.account.client.verdicts[0]

        async def refuse_and_fill_disk(request):
            found.disk.fail(OSError(28, "full") if is_full else None)
            return await client_place(request)

        found.account.client.verdicts = [refuse_and_fill_disk]
        await reached(found, entry)
        await found.let_pass(0.9)
        assert len(came) == 1
        assert attempt(found, "g1", 2).state == (
            order_states.INTENDED if is_full else order_states.OPEN
        )
        with pytest.raises(StoreUnavailable) if is_full else nullcontext():
            await found.account.submitter.cancel_all()
        found.disk.fail(None)
        await found.let_pass(60)
        assert attempt(found, "g1", 2).state == order_states.CANCELLED
        assert len(came) == 1
        assert not live(found)

    run(scenario())


def test_retry_continues_after_a_full_disk():
    async def scenario():
        found, (entry, _) = await with_a_stop()
        refusing(found, 1)
        await reached(found, entry)
        await found.let_pass(0.1)
        found.disk.fail(OSError(28, "full"))
        await found.let_pass(30)
        assert not live(found)
        found.disk.fail(None)
        await found.let_pass(5)
        assert live(found).keys() == {attempt(found, "g1", 2).key}

    run(scenario())


@pytest.mark.parametrize("dies_after_s", [0, 0.001, 0.003, 0.006, 0.01, 0.1, 0.9, 1.5, 2.5])
def test_restart_continues_a_triggered_retry(dies_after_s):
    async def scenario():
        found, (entry, _) = await with_a_stop()
        came = refusing(found, 2)
        await reached(found, entry)
        await found.until(lambda: came)
        await found.let_pass(dies_after_s)
        found.crash()
        found.start()
        await found.ready()
        refusing(found, 0)
        await found.until(lambda: live(found), 60)
        await found.let_pass(60)
        (one,) = live(found).values()
        assert (one.type, one.size) == (MARKET, Decimal(2))
        assert set(found.venue.sends.values()) == {1}

    run(scenario())


@pytest.mark.parametrize(("away_s", "is_sent"), [(5, True), (3600, False)])
def test_rejection_on_disk_without_its_retry_is_retried(away_s, is_sent):
    async def scenario():
        found, (entry, _) = await with_a_stop()
        came = refusing(found, 1)
        found.account.retries.write = lambda entry: None
        await reached(found, entry)
        await found.until(lambda: came)
        await found.let_pass(0.1)
        await found.account.journal.commit()
        found.crash()
        await found.let_pass(away_s)
        found.start()
        await found.ready()
        await found.let_pass(5)
        assert bool(live(found)) is is_sent
        if is_sent:
            assert live(found).keys() == {attempt(found, "g1", 2).key}

    run(scenario())


def test_retry_keeps_an_amended_price():
    async def scenario():
        contents = bracket()
        found, (entry, profit, _) = await placed(contents)
        content = contents["g1"]
        content.price = "120"
        await amend(found.account.amender, profit, content, "a")
        refusing(found, 1)
        fill(found, entry, 2)
        await found.let_pass(5)
        assert live(found)[attempt(found, "g1", 2).key].price == 120

    run(scenario())


@pytest.mark.parametrize("reason", [TOO_LITTLE, order_states.NEVER_ARRIVED])
def test_order_rejected_in_the_answer_to_its_caller_is_not_retried(reason):
    async def scenario():
        found = world()
        found.prices = Prices()
        found.start()
        await found.ready()
        came = refusing(found, 1, reason)
        contents = oco()
        orders = await place(found, contents)
        await found.let_pass(30)
        assert [one.state for one in orders] == [order_states.REJECTED, order_states.OPEN]
        assert len(came) == 1
        assert not said(found)
        _, stop = entries(found, contents)
        found.prices.trade("95")
        refusing(found, 1)
        await found.let_pass(5)
        assert stop.state == order_states.REJECTED
        assert live(found).keys() == {attempt(found, "g1", 2).key}

    run(scenario())


def test_late_exit_is_cancelled_when_its_retry_is_open():
    async def scenario():
        found, (entry, stop) = await with_a_stop()
        late = []

        async def lose(request):
            late.append(request)
            return OutcomeUnknown("lost")

        found.account.client.verdicts = [lose]
        await reached(found, entry)
        await found.until(lambda: live(found))
        again = attempt(found, "g1", 2)
        assert stop.reject_reason == order_states.NEVER_ARRIVED
        assert live(found).keys() == {again.key}
        found.venue.arrive(late[0])
        await found.let_pass(5)
        assert live(found).keys() == {stop.key}
        fill(found, stop, 2)
        await found.let_pass(5)
        assert standing([stop, again]) == ["FILLED", "CANCELLED"]
        assert not found.account.state.index.open

    run(scenario())


def test_exit_rejected_over_the_stream_is_retried():
    async def scenario():
        found, (entry, profit, _) = await placed(bracket())
        fill(found, entry, 2)
        await found.let_pass(3)
        truth = at_venue(found, profit)
        truth.now = replace(truth.now, reject_reason=TOO_LITTLE)
        found.venue.end(truth, order_states.REJECTED)
        await found.let_pass(3)
        assert live(found).keys() == {attempt(found, "g1", 2).key}
        assert live(found)[attempt(found, "g1", 2).key].price == 110

    run(scenario())


def test_exit_whose_stop_price_the_market_has_reached_waits_here_for_the_next_trade():
    """It is needed at the moment at which the venue does not take it."""

    async def scenario():
        contents = bracket(order(EXIT, STOP, side=SELL, stop_price="95"))
        native = replace(CAPABILITIES, types=ALL_TYPES)
        found, (entry, stop) = await placed(contents, capabilities=native)
        came = refusing(found, 1, orders_pb2.REJECT_REASON_STOP_PRICE)
        fill(found, entry, 2)
        await found.let_pass(3)
        assert (len(came), standing([stop])) == (1, ["REJECTED"])
        again = attempt(found, "g1", 2)
        assert again.held_here
        assert not said(found)
        found.prices.trade("94")
        await found.let_pass(3)
        assert live(found).keys() == {again.key}
        assert (live(found)[again.key].type, live(found)[again.key].size) == (MARKET, Decimal(2))

    run(scenario())
