"""Where an order wakes can be changed while it waits, here and at the venue."""

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.errors import InvalidOrder, NotSupported
from kit.execution.contract import OutcomeUnknown
from kit.execution.journal import records
from kit.execution.orders import states
from kit.execution.orders.messages import order_message
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
    """A world with an order to sell that waits, here or at the venue, and what it is."""
    found = world(capabilities=capabilities)
    found.prices = Prices()
    found.start()
    await found.ready()
    content = limit_order(type=kind, side=SELL, **{"price": "", "stop_price": "90"} | more)
    entry = await found.account.submitter.submit(
        verified(content, "r"), held_here=kind not in capabilities.types
    )
    return found, entry, content


def again(found):
    """The order as the process knows it that runs now."""
    (entry,) = found.account.state.index.orders.values()
    return entry


def test_a_stop_that_waits_here_wakes_at_its_new_price():
    async def scenario():
        found, entry, content = await waiting()
        content.stop_price = "95"
        told = await amended(found, entry, content)
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
        sent = found.venue.by_client_id[entry.key].now
        assert (sent.type, sent.stop_price) == (orders_pb2.ORDER_TYPE_MARKET, None)

    run(scenario())


def test_a_trailing_stop_follows_at_its_new_distance_from_the_best_price_so_far():
    async def scenario():
        found, entry, content = await waiting(TRAILING, stop_price="", trailing_offset="10")
        found.prices.trade("100", "120", "115")
        content.trailing_offset = "5.5"
        told = await amended(found, entry, content)
        assert told.content.trailing_offset == "5.5"
        found.prices.trade("115")
        await found.let_pass(2)
        assert not found.venue.sends
        found.prices.trade("114.5")
        await found.let_pass(2)
        assert found.venue.sends == {entry.key: 1}

    run(scenario())


def test_one_whose_price_was_reached_does_not_wait_any_more():
    async def scenario():
        found, entry, content = await waiting()
        found.account.readiness.state = 3
        found.prices.trade("90")
        found.account.readiness.state = 2
        content.stop_price = "80"
        with pytest.raises(InvalidOrder, match="was reached") as refused:
            await amended(found, entry, content)
        assert refused.value.metadata["field"] == "stop_price"

    run(scenario())


def test_one_whose_price_is_reached_meanwhile_stays_as_it_was():
    async def scenario():
        found, entry, content = await waiting()
        commit = found.account.journal.commit

        async def reached_meanwhile(*also):
            await commit(*also)
            found.prices.trade("90")

        found.account.journal.commit = reached_meanwhile
        content.stop_price = "80"
        with pytest.raises(InvalidOrder, match="was reached"):
            await amended(found, entry, content)
        assert order_message(entry).content.stop_price == "90"
        await found.let_pass(2)
        assert found.venue.sends == {entry.key: 1}

    run(scenario())


@pytest.mark.parametrize("step", range(1, 24))
def test_whenever_the_process_dies_it_wakes_at_the_one_price_or_the_other(step):
    async def scenario():
        found, entry, content = await waiting()
        content.stop_price = "95"
        found.process.dies_at = found.process.steps + step
        await found.do(amend(found.account.amender, entry, content, "a"))
        found.crash()
        found.start()
        await found.ready()
        entry = again(found)
        await amend(found.account.amender, entry, content, "a")
        assert order_message(entry).content.stop_price == "95"
        assert not entry.is_amending
        found.prices.trade("95")
        await found.let_pass(5)
        assert found.venue.sends == {entry.key: 1}

    run(scenario())


def test_at_a_venue_that_changes_stops_it_is_changed_there():
    async def scenario():
        found, entry, content = await waiting(STOP_LIMIT, NATIVE, price="89")
        content.stop_price = "95"
        told = await amended(found, entry, content)
        assert told.content.stop_price == "95"
        at_venue = found.venue.by_client_id[entry.key].now
        assert (at_venue.stop_price, at_venue.price) == (Decimal(95), Decimal(89))

    run(scenario())


@pytest.mark.parametrize(
    ("kind", "field", "capabilities", "terms"),
    [
        (STOP, "stop_price", replace(NATIVE, amends_stop_price=False), {}),
        (TRAILING, "trailing_offset", NATIVE, {"stop_price": "", "trailing_offset": "5"}),
    ],
)
def test_where_the_venue_cannot_the_field_is_named(kind, field, capabilities, terms):
    async def scenario():
        found, entry, content = await waiting(kind, capabilities, **terms)
        setattr(content, field, "6")
        with pytest.raises(NotSupported, match=field) as refused:
            await amended(found, entry, content)
        assert refused.value.metadata["wanted"] == field
        content.CopyFrom(entry.content)
        content.size = "1"
        assert (await amended(found, entry, content, "b")).content.size == "1"

    run(scenario())


@pytest.mark.parametrize("was_done", [True, False])
def test_without_an_answer_the_stop_price_tells_what_was_done(was_done):
    async def scenario():
        found, entry, content = await waiting(STOP_LIMIT, NATIVE, price="89")
        truth = found.venue.by_client_id[entry.key]

        async def amend(key, request):
            if was_done:
                found.venue.amend(truth, request)
            return OutcomeUnknown("lost")

        found.account.client.amend = amend
        content.stop_price = "95"
        await amended(found, entry, content)
        assert entry.is_amending
        await found.until(lambda: not entry.is_amending)
        assert entry.stop_price == truth.now.stop_price == (95 if was_done else 90)

    run(scenario())


def test_what_the_venue_tells_of_before_does_not_bring_the_old_one_back():
    async def scenario():
        found, entry, content = await waiting(STOP_LIMIT, NATIVE, price="89")
        before = found.venue.by_client_id[entry.key].now
        content.stop_price = "95"
        await amended(found, entry, content)
        found.account.state.apply_order(replace(before, venue_time_ns=found.clock.time_ns()))
        assert entry.stop_price == 95
        moved = replace(before, stop_price=Decimal(93), venue_time_ns=found.clock.time_ns())
        await found.let_pass(120)
        found.account.state.apply_order(
            replace(moved, venue_time_ns=found.clock.time_ns()), is_answer=True
        )
        assert entry.stop_price == 93

    run(scenario())


def test_a_type_without_a_stop_price_gets_none():
    async def scenario():
        found = world()
        found.start()
        await found.ready()
        content = limit_order()
        entry = await found.account.submitter.submit(verified(content, "r"))
        content.stop_price = "95"
        with pytest.raises(InvalidOrder) as refused:
            await amended(found, entry, content)
        assert refused.value.metadata["field"] == "stop_price"

    run(scenario())


def test_an_exit_wakes_at_its_new_price_and_so_does_its_next_attempt():
    async def scenario():
        contents = bracket()
        found, (entry, profit, stop) = await placed(contents)
        content = contents["g2"]
        content.stop_price = "97"
        await amended(found, stop, content)
        fill(found, entry, 2)
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


def test_a_journal_of_before_is_read():
    stood = states_of_before()
    decoded = records.decode(msgspec.msgpack.encode(stood))
    assert (decoded.is_triggered, decoded.stop_price, decoded.trailing_offset) == (True, None, None)

    async def scenario():
        _, entry, _ = await waiting()
        entry.restore(decoded)
        assert entry.stop_price == 90

    run(scenario())


def states_of_before():
    """Where an order stood, as it was written without a stop price."""
    times, best = (1, 2), None
    amounts = ("2", None, "0", None)
    return ["o", "k", "7", int(states.OPEN), *amounts, 0, "", True, False, *times, best, True]
