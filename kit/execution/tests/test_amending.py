"""Amendments of the stop price of an order, held here or at the venue."""

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.errors import InvalidOrder, NotSupported
from kit.base.request_budget import Priority
from kit.execution.contract import OutcomeUnknown
from kit.execution.journal import records
from kit.execution.orders import order_states
from kit.execution.orders.order_messages import order_message
from kit.execution.tests.fake_venue import ALL_TYPES, CAPABILITIES, limit_order
from kit.execution.tests.order_groups import bracket, fill, live, placed
from kit.execution.tests.simulated_process import Prices, amend, run, verified, world
from kit.execution.tests.test_exit_retry import attempt, refusing
from kit.execution.tests.test_group_changes import amended

SELL = types_pb2.SIDE_SELL
STOP = orders_pb2.ORDER_TYPE_STOP
STOP_LIMIT = orders_pb2.ORDER_TYPE_STOP_LIMIT
TRAILING = orders_pb2.ORDER_TYPE_TRAILING_STOP
NATIVE = replace(CAPABILITIES, types=ALL_TYPES, amends_stop_price=True)


async def waiting(kind=STOP, capabilities=CAPABILITIES, **more):
    """A world with an untriggered stop to sell, here or at the venue; its order and content."""
    found = world(capabilities=capabilities)
    found.prices = Prices()
    found.start()
    await found.ready()
    content = limit_order(type=kind, side=SELL, **{"price": "", "stop_price": "90"} | more)
    order = await found.account.submitter.submit(
        verified(content, "r"), held_here=kind not in capabilities.types
    )
    return found, order, content


def again(found):
    """The order in the process that runs now."""
    (order,) = found.account.state.index.orders.values()
    return order


def test_amended_local_stop_triggers_at_its_new_price():
    async def scenario():
        found, order, content = await waiting()
        content.stop_price = "95"
        told = await amended(found, order, content)
        assert told.content.stop_price == "95"
        found.crash()
        found.start()
        await found.ready()
        found.prices.trade("96")
        await found.let_pass(2)
        assert not found.venue.sends
        assert order_message(again(found)).content.stop_price == "95"
        found.prices.trade("95")
        await found.let_pass(2)
        sent = found.venue.by_client_id[order.key].now
        assert (sent.type, sent.stop_price) == (orders_pb2.ORDER_TYPE_MARKET, None)

    run(scenario())


def test_amendment_of_a_stop_at_the_venue_goes_before_new_orders():
    async def scenario():
        found, order, content = await waiting(capabilities=NATIVE)
        content.stop_price = "95"
        await amended(found, order, content)
        assert found.venue.priorities == [Priority.PROTECT, Priority.PROTECT]

    run(scenario())


def test_amended_trailing_stop_keeps_its_best_price():
    async def scenario():
        found, order, content = await waiting(TRAILING, stop_price="", trailing_offset="10")
        found.prices.trade("100", "120", "115")
        content.trailing_offset = "5.5"
        told = await amended(found, order, content)
        assert told.content.trailing_offset == "5.5"
        found.prices.trade("115")
        await found.let_pass(2)
        assert not found.venue.sends
        found.prices.trade("114.5")
        await found.let_pass(2)
        assert found.venue.sends == {order.key: 1}

    run(scenario())


def test_triggered_stop_cannot_be_amended():
    async def scenario():
        found, order, content = await waiting()
        found.account.readiness.state = 3
        found.prices.trade("90")
        found.account.readiness.state = 2
        content.stop_price = "80"
        with pytest.raises(InvalidOrder, match="was reached") as refused:
            await amended(found, order, content)
        assert refused.value.metadata["field"] == "stop_price"

    run(scenario())


def test_stop_triggered_during_its_amendment_is_unchanged():
    async def scenario():
        found, order, content = await waiting()
        commit = found.account.journal.commit

        async def reached_meanwhile(*also):
            await commit(*also)
            found.prices.trade("90")

        found.account.journal.commit = reached_meanwhile
        content.stop_price = "80"
        with pytest.raises(InvalidOrder, match="was reached"):
            await amended(found, order, content)
        assert order_message(order).content.stop_price == "90"
        await found.let_pass(2)
        assert found.venue.sends == {order.key: 1}

    run(scenario())


@pytest.mark.parametrize("step", range(1, 24))
def test_stop_has_its_old_or_new_price_after_a_crash(step):
    async def scenario():
        found, order, content = await waiting()
        content.stop_price = "95"
        found.process.dies_at = found.process.steps + step
        await found.do(amend(found.account.amender, order, content, "a"))
        found.crash()
        found.start()
        await found.ready()
        order = again(found)
        await amend(found.account.amender, order, content, "a")
        assert order_message(order).content.stop_price == "95"
        assert not order.is_amending
        found.prices.trade("95")
        await found.let_pass(5)
        assert found.venue.sends == {order.key: 1}

    run(scenario())


def test_stop_is_amended_at_a_venue_that_supports_it():
    async def scenario():
        found, order, content = await waiting(STOP_LIMIT, NATIVE, price="89")
        content.stop_price = "95"
        told = await amended(found, order, content)
        assert told.content.stop_price == "95"
        at_venue = found.venue.by_client_id[order.key].now
        assert (at_venue.stop_price, at_venue.price) == (Decimal(95), Decimal(89))

    run(scenario())


@pytest.mark.parametrize(
    ("kind", "field", "capabilities", "terms"),
    [
        (STOP, "stop_price", replace(NATIVE, amends_stop_price=False), {}),
        (TRAILING, "trailing_offset", NATIVE, {"stop_price": "", "trailing_offset": "5"}),
    ],
)
def test_unsupported_stop_amendment_names_the_field(kind, field, capabilities, terms):
    async def scenario():
        found, order, content = await waiting(kind, capabilities, **terms)
        setattr(content, field, "6")
        with pytest.raises(NotSupported, match=field) as refused:
            await amended(found, order, content)
        assert refused.value.metadata["wanted"] == field
        content.CopyFrom(order.content)
        content.size = "1"
        assert (await amended(found, order, content, "b")).content.size == "1"

    run(scenario())


@pytest.mark.parametrize("was_done", [True, False])
def test_stop_price_resolves_an_amendment_without_a_verdict(was_done):
    async def scenario():
        found, order, content = await waiting(STOP_LIMIT, NATIVE, price="89")
        truth = found.venue.by_client_id[order.key]

        async def amend(key, request, priority):
            if was_done:
                found.venue.amend(truth, request)
            return OutcomeUnknown("lost")

        found.account.client.amend = amend
        content.stop_price = "95"
        await amended(found, order, content)
        assert order.is_amending
        await found.until(lambda: not order.is_amending)
        assert order.stop_price == truth.now.stop_price == (95 if was_done else 90)

    run(scenario())


def test_old_update_does_not_restore_the_old_stop_price():
    async def scenario():
        found, order, content = await waiting(STOP_LIMIT, NATIVE, price="89")
        before = found.venue.by_client_id[order.key].now
        content.stop_price = "95"
        await amended(found, order, content)
        found.account.state.apply_order(replace(before, venue_time_ns=found.clock.time_ns()))
        assert order.stop_price == 95
        moved = replace(before, stop_price=Decimal(93), venue_time_ns=found.clock.time_ns())
        await found.let_pass(120)
        found.account.state.apply_order(
            replace(moved, venue_time_ns=found.clock.time_ns()), is_answer=True
        )
        assert order.stop_price == 93

    run(scenario())


def test_amendment_cannot_add_a_stop_price():
    async def scenario():
        found = world()
        found.start()
        await found.ready()
        content = limit_order()
        order = await found.account.submitter.submit(verified(content, "r"))
        content.stop_price = "95"
        with pytest.raises(InvalidOrder) as refused:
            await amended(found, order, content)
        assert refused.value.metadata["field"] == "stop_price"

    run(scenario())


def test_exit_and_its_retry_trigger_at_the_amended_price():
    async def scenario():
        contents = bracket()
        found, (order, profit, stop) = await placed(contents)
        content = contents["g2"]
        content.stop_price = "97"
        await amended(found, stop, content)
        fill(found, order, 2)
        await found.let_pass(3)
        refusing(found, 1)
        found.prices.trade("97.5")
        await found.let_pass(3)
        assert live(found).keys() == {profit.key}
        found.prices.trade("97")
        await found.let_pass(5)
        again = attempt(found, "g2", 2)
        assert live(found).keys() == {again.key}
        assert order_message(again).content.stop_price == "97"

    run(scenario())


def test_journal_without_stop_prices_is_read():
    stood = states_of_before()
    decoded = records.decode(msgspec.msgpack.encode(stood))
    assert (decoded.is_triggered, decoded.stop_price, decoded.trailing_offset) == (True, None, None)

    async def scenario():
        _, order, _ = await waiting()
        order.restore(decoded)
        assert order.stop_price == 90

    run(scenario())


def states_of_before():
    """An update of an order as it was written before it had a stop price."""
    times, best = (1, 2), None
    amounts = ("2", None, "0", None)
    return ["o", "k", "7", int(order_states.OPEN), *amounts, 0, "", True, False, *times, best, True]


LATER = replace(CAPABILITIES, amends_later=True)


async def acknowledged():
    """A world with an order of 2 at 100 whose amendment to 3 at 99 was acknowledged only."""
    found = world(capabilities=LATER)
    found.start()
    await found.ready()
    order = await found.account.submitter.submit(verified(limit_order(), "r"))
    await amend(found.account.amender, order, limit_order(size="3", price="99"), "a")
    (waiting_amendment,) = found.venue.acknowledged
    return found, order, waiting_amendment


def outcome(order):
    """The outcome of the only amendment."""
    (amendment,) = order.amendments.values()
    return amendment.outcome


def test_acknowledged_amendment_is_pending_until_the_venue_shows_it():
    async def scenario():
        found, order, (truth, request) = await acknowledged()
        await found.let_pass(1)
        assert outcome(order) == records.AmendmentOutcome.PENDING
        assert (order.size, order.price) == (2, 100)
        found.venue.amend(truth, request)
        await found.until(lambda: outcome(order) == records.AmendmentOutcome.DONE)
        assert (order.size, order.price) == (3, 99)

    run(scenario())


def test_acknowledged_amendment_that_the_venue_never_does_is_rejected():
    async def scenario():
        found, order, _ = await acknowledged()
        await found.until(lambda: not order.is_amending)
        assert outcome(order) == records.AmendmentOutcome.REJECTED
        assert (order.size, order.price) == (2, 100)

    run(scenario())


def test_rejection_over_the_stream_ends_an_acknowledged_amendment():
    async def scenario():
        found, order, (truth, _) = await acknowledged()
        assert outcome(order) == records.AmendmentOutcome.PENDING
        found.venue.deliver(replace(truth.now, amendment_rejection="51509 no"))
        await found.let_pass(0.01)
        assert outcome(order) == records.AmendmentOutcome.REJECTED
        assert order.amendments["a"].detail == "51509 no"
        assert (order.size, order.price) == (2, 100)

    run(scenario())
