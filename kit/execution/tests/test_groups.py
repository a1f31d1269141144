"""One exit of a group is at the venue, and together they fill no more than there is to close."""

from dataclasses import replace
from decimal import Decimal

import pytest

from kit.execution.contract import Fee, RequestRejected
from kit.execution.orders import order_states
from kit.execution.orders.order_messages import order_message
from kit.execution.tests.fake_venue import ALL_TYPES, CAPABILITIES
from kit.execution.tests.order_groups import (
    ALTERNATIVE,
    EXIT,
    MARKET,
    PROFIT,
    SELL,
    STOP,
    STOP_LIMIT,
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
from kit.execution.tests.simulated_process import run
from kit.execution.tests.test_exit_retry import said
from kit.execution.tests.test_native_stops import WAYS, cancelled_at_the_exchange

NATIVE = replace(CAPABILITIES, types=ALL_TYPES)
STEP_S = 3


def test_exits_wait_for_the_end_of_the_entry():
    async def scenario():
        found, (entry, profit, stop) = await placed(bracket())
        assert live(found).keys() == {entry.key}
        assert [order_message(one).held_here for one in (entry, profit, stop)] == [
            False,
            True,
            True,
        ]
        fill(found, entry, 2)
        await found.let_pass(STEP_S)
        assert live(found).keys() == {profit.key}
        assert live(found)[profit.key].size == 2
        fill(found, profit, 2)
        await found.let_pass(STEP_S)
        assert standing([entry, profit, stop]) == ["FILLED", "FILLED", "CANCELLED"]
        assert "filled all of it" in stop.detail
        assert not live(found)

    run(scenario())


def test_triggered_stop_replaces_the_exit_at_the_venue():
    async def scenario():
        found, (entry, profit, stop) = await placed(bracket())
        fill(found, entry, 2)
        await found.let_pass(STEP_S)
        fill(found, profit, "0.5")
        found.prices.trade("96", "95")
        await found.let_pass(STEP_S)
        assert standing([profit, stop]) == ["CANCELLED", "OPEN"]
        sent = at_venue(found, stop).now
        assert (sent.type, sent.size) == (MARKET, Decimal("1.5"))
        fill(found, stop, "1.5")
        await found.let_pass(STEP_S)
        assert standing([stop]) == ["FILLED"]
        assert set(found.venue.sends.values()) == {1}

    run(scenario())


def test_exit_is_sent_only_when_the_other_has_ended():
    async def scenario():
        found, (entry, profit, stop) = await placed(bracket())
        fill(found, entry, 2)
        await found.let_pass(STEP_S)
        unanswered = []

        async def cancel(key):
            unanswered.append(key)
            return RequestRejected(1, "no")

        cancelling, found.account.client.cancel = found.account.client.cancel, cancel
        found.prices.trade("95")
        await found.let_pass(60)
        assert unanswered
        assert at_venue(found, stop) is None
        found.account.client.cancel = cancelling
        await found.until(lambda: at_venue(found, stop) is not None, 120)
        assert standing([profit]) == ["CANCELLED"]

    run(scenario())


def test_fill_during_a_cancellation_reduces_the_next_exit():
    async def scenario():
        found, (entry, profit, stop) = await placed(bracket())
        fill(found, entry, 2)
        await found.let_pass(STEP_S)
        cancelling = found.account.client.cancel

        async def cancel(key):
            fill(found, profit, "1.999")
            return await cancelling(key)

        found.account.client.cancel = cancel
        found.prices.trade("95")
        await found.let_pass(STEP_S)
        assert at_venue(found, stop) is None
        assert standing([profit, stop]) == ["CANCELLED", "CANCELLED"]
        assert stop.detail == "the size left is 0.001; the venue's minimum is 0.053"

    run(scenario())


def test_rest_of_a_partly_filled_entry_is_cancelled_first():
    async def scenario():
        found, (entry, profit, stop) = await placed(bracket())
        found.prices.trade("95", "120")
        fill(found, entry, "0.7")
        await found.let_pass(STEP_S)
        assert (profit.size, stop.size) == (Decimal("0.7"), Decimal("0.7"))
        assert live(found).keys() == {entry.key}
        found.prices.trade("95")
        await found.let_pass(STEP_S)
        assert standing([entry, profit]) == ["CANCELLED", "OPEN"]
        assert live(found).keys() == {stop.key}
        assert live(found)[stop.key].size == Decimal("0.7")
        fill(found, stop, "0.7")
        await found.let_pass(STEP_S)
        assert standing([entry, profit, stop]) == ["CANCELLED", "CANCELLED", "FILLED"]

    run(scenario())


def test_limit_exit_is_triggered_before_the_entry_is_filled():
    async def scenario():
        found, (entry, profit, stop) = await placed(bracket())
        fill(found, entry, "0.7")
        await found.let_pass(STEP_S)
        found.prices.trade("110")
        await found.let_pass(STEP_S)
        assert live(found).keys() == {profit.key}
        sent = live(found)[profit.key]
        assert (sent.size, sent.price) == (Decimal("0.7"), Decimal(110))
        assert stop.held_here

    run(scenario())


@pytest.mark.parametrize(
    "state", [order_states.CANCELLED, order_states.REJECTED, order_states.EXPIRED]
)
def test_entry_without_a_fill_ends_its_exits(state):
    async def scenario():
        found, (entry, profit, stop) = await placed(bracket())
        found.venue.end(at_venue(found, entry), state)
        await found.let_pass(STEP_S)
        assert standing([profit, stop]) == ["CANCELLED", "CANCELLED"]
        assert "without a fill" in stop.detail
        assert found.venue.sends == {entry.key: 1}

    run(scenario())


def test_rejected_entry_is_answered_with_cancelled_exits():
    async def scenario():
        found, _ = await placed(bracket())

        async def refuse(request):
            return RequestRejected(2, "too little")

        found.account.client.verdicts = [refuse]
        orders = await place(found, oco_of("x"))
        assert [one.state for one in orders] == [order_states.REJECTED, order_states.CANCELLED]

    def oco_of(name):
        exits = [order(EXIT, STOP, side=SELL, stop_price="95")]
        contents = bracket(*exits)
        for content in contents.values():
            content.group.group_id = name
        return {f"{name}{key}": content for key, content in contents.items()}

    run(scenario())


def test_fee_in_the_base_asset_reduces_the_exit():
    async def scenario():
        found, (entry, profit, _) = await placed(bracket())
        truth = at_venue(found, entry)
        tell = found.venue.publish
        fee = (Fee("BTC", Decimal("0.0004")),)
        found.venue.publish = lambda news: tell(
            replace(news, fees=fee) if hasattr(news, "fees") else news
        )
        found.venue.fill(truth, Decimal(2))
        await found.let_pass(STEP_S)
        assert live(found)[profit.key].size == Decimal("1.999")

    run(scenario())


def test_missing_fills_of_the_entry_are_awaited_for_a_time():
    async def scenario():
        found, (entry, profit, _) = await placed(bracket())
        truth = at_venue(found, entry)
        truth.now = replace(truth.now, state=order_states.FILLED, filled_size=Decimal(2))
        found.venue.change(truth)
        await found.let_pass(5)
        assert profit.held_here
        await found.let_pass(15)
        assert live(found)[profit.key].size == 2

    run(scenario())


def test_limit_order_is_the_alternative_at_the_venue():
    async def scenario():
        found, (limit, stop) = await placed(oco())
        assert live(found).keys() == {limit.key}
        fill(found, limit, "0.5")
        found.prices.trade("94")
        await found.let_pass(STEP_S)
        assert live(found).keys() == {stop.key}
        assert live(found)[stop.key].size == Decimal("1.5")

    run(scenario())


def test_stop_of_the_venue_is_preferred_to_a_take_profit():
    async def scenario():
        others = (
            order(ALTERNATIVE, PROFIT, side=SELL, stop_price="110"),
            order(ALTERNATIVE, STOP, side=SELL, stop_price="95"),
        )
        found, (profit, stop) = await placed(oco(*others), capabilities=NATIVE)
        assert live(found).keys() == {stop.key}
        assert live(found)[stop.key].type == STOP
        found.prices.trade("110")
        await found.let_pass(STEP_S)
        assert live(found).keys() == {profit.key}
        # It was woken here, so it goes out as what it becomes.
        assert live(found)[profit.key].type == MARKET

    run(scenario())


def test_exit_supported_by_the_venue_rests_there_as_a_stop():
    async def scenario():
        exits = (
            order(EXIT, PROFIT, side=SELL, stop_price="110"),
            order(EXIT, STOP, side=SELL, stop_price="95"),
        )
        found, (entry, profit, stop) = await placed(bracket(*exits), capabilities=NATIVE)
        fill(found, entry, "0.5")
        await found.account.submitter.cancel(entry)
        await found.let_pass(STEP_S)
        assert live(found).keys() == {stop.key}
        assert (live(found)[stop.key].type, live(found)[stop.key].size) == (STOP, Decimal("0.5"))
        assert profit.held_here

    run(scenario())


def test_unsupported_stops_are_all_held_here():
    async def scenario():
        others = (
            order(ALTERNATIVE, PROFIT, side=SELL, stop_price="110"),
            order(ALTERNATIVE, STOP, side=SELL, stop_price="95"),
        )
        found, (profit, stop) = await placed(oco(*others))
        assert not found.venue.sends
        found.prices.trade("110")
        await found.let_pass(STEP_S)
        assert live(found).keys() == {profit.key}
        found.prices.trade("95")
        await found.let_pass(STEP_S)
        assert live(found).keys() == {stop.key}

    run(scenario())


@pytest.mark.parametrize("state", [order_states.CANCELLED, order_states.EXPIRED])
def test_others_can_trigger_after_the_one_at_the_venue_ended(state):
    async def scenario():
        found, (entry, profit, stop) = await placed(bracket(), capabilities=NATIVE)
        fill(found, entry, 2)
        await found.let_pass(STEP_S)
        found.venue.end(at_venue(found, profit), state)
        await found.let_pass(STEP_S)
        assert (standing([stop]), live(found)) == (["OPEN"], {})
        found.prices.trade("95")
        await found.let_pass(STEP_S)
        assert live(found).keys() == {stop.key}

    run(scenario())


@pytest.mark.parametrize("how", WAYS)
def test_group_whose_last_stop_a_person_cancels_at_the_exchange_is_left_open(how):
    async def scenario():
        exits = (
            order(EXIT, PROFIT, side=SELL, stop_price="110"),
            order(EXIT, STOP, side=SELL, stop_price="95"),
        )
        contents = bracket(*exits)
        found, (entry, profit, stop) = await placed(contents, capabilities=NATIVE)
        fill(found, entry, 2)
        await found.let_pass(STEP_S)
        assert live(found).keys() == {stop.key}
        await cancelled_at_the_exchange(found, at_venue(found, stop), how)
        await found.until(lambda: said(found), seconds=900)
        (one,) = said(found)
        assert (one.client_order_id, one.found) == (stop.key, "2")
        assert "no stop is left" in one.detail
        _, profit, stop = entries(found, contents)
        assert standing([profit, stop]) == ["OPEN", "CANCELLED"]

    run(scenario())


@pytest.mark.parametrize("others", [("95",), ("95", "96")])
def test_group_that_keeps_a_stop_is_not_left_open(others):
    async def scenario():
        stops = [order(EXIT, STOP, side=SELL, stop_price=price) for price in others]
        contents = bracket(order(EXIT, side=SELL, price="110"), *stops)
        found, (entry, profit, *_) = await placed(contents, capabilities=NATIVE)
        fill(found, entry, 2)
        await found.let_pass(STEP_S)
        found.venue.end(at_venue(found, profit), order_states.CANCELLED)
        await found.let_pass(60)
        assert not said(found)

    run(scenario())


def test_sent_stop_limit_is_replaced_by_another_triggered_exit():
    async def scenario():
        exits = (
            order(EXIT, STOP_LIMIT, side=SELL, stop_price="95", price="94"),
            order(EXIT, STOP, side=SELL, stop_price="90"),
        )
        found, (entry, first, second) = await placed(bracket(*exits))
        fill(found, entry, 2)
        await found.let_pass(STEP_S)
        found.prices.trade("95")
        await found.let_pass(STEP_S)
        fill(found, first, "0.5")
        assert live(found)[first.key].price == 94
        found.prices.trade("90")
        await found.let_pass(STEP_S)
        assert live(found).keys() == {second.key}
        assert live(found)[second.key].size == Decimal("1.5")

    run(scenario())
