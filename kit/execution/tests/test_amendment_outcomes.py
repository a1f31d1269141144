"""The outcome of an amendment without a clear answer, at a venue whose answers may be old."""

from dataclasses import replace
from decimal import Decimal

import pytest

from kit.execution.contract import OutcomeUnknown, RequestAccepted
from kit.execution.journal.records import AmendmentOutcome
from kit.execution.orders import order_states
from kit.execution.tests.fake_venue import LAG_S, limit_order
from kit.execution.tests.simulated_process import amend, run, started, verified

DONE, REJECTED = AmendmentOutcome.DONE, AmendmentOutcome.REJECTED


async def placed():
    """A world with an order of 2 at 100 and an account that is ready."""
    found = await started()
    order = await found.account.submitter.submit(verified(limit_order(), "r"))
    return found, order, found.venue.by_client_id[order.key]


async def amended(found, order, price):
    """Amend the price of an order; the id of the amendment is the price."""
    await amend(found.account.amender, order, limit_order(price=price), price)


def losing(found, truth, done_after_s=None):
    """Have amendments lost from now on, or done only after their answer was lost."""

    async def amend(key, request, priority):
        if done_after_s is not None:
            found.venue.later(done_after_s, found.venue.amend, truth, request)
        return OutcomeUnknown("lost")

    found.account.client.amend = amend


def answer_late(venue):
    """Have the answers of a venue be as old as they may be, and its stream be silent."""

    def visible(truth):
        known = [order for at, order in truth.past if at <= venue.time - LAG_S]
        return known[-1] if known else truth.past[0][1]

    venue.visible, venue.publishes = visible, False


def outcomes(order):
    """The outcomes of all amendments, by their prices."""
    return {price: one.outcome for price, one in order.amendments.items()}


@pytest.mark.parametrize("was_done", [True, False])
def test_old_answer_does_not_prove_that_an_order_has_its_first_price_again(was_done):
    async def scenario():
        found, order, truth = await placed()
        answer_late(found.venue)
        await amended(found, order, "99")
        losing(found, truth, done_after_s=0 if was_done else None)
        await amended(found, order, "100")
        await found.until(lambda: not order.is_amending)
        assert outcomes(order) == {"99": DONE, "100": DONE if was_done else REJECTED}
        assert order.price == truth.now.price == (100 if was_done else 99)

    run(scenario())


def test_old_answer_does_not_restore_the_price_before_a_later_amendment():
    async def scenario():
        found, order, truth = await placed()
        answer_late(found.venue)
        send = found.account.client.amend
        losing(found, truth, done_after_s=0)
        await amended(found, order, "99")
        await found.let_pass(LAG_S)
        found.account.client.amend = send
        await amended(found, order, "98")
        found.account.resolver.hasten(order)
        await found.until(lambda: not order.is_amending)
        assert order.price == truth.now.price == 98

    run(scenario())


def test_price_that_an_order_never_had_proves_its_amendment_at_once():
    async def scenario():
        found, order, truth = await placed()
        losing(found, truth, done_after_s=0)
        await amended(found, order, "99")
        await found.until(lambda: not order.is_amending, seconds=LAG_S)
        assert outcomes(order) == {"99": DONE}

    run(scenario())


def test_price_before_two_amendments_on_their_way_does_not_prove_the_second():
    async def scenario():
        found, order, truth = await placed()
        losing(found, truth, done_after_s=8)
        await amended(found, order, "99")
        losing(found, truth)
        await amended(found, order, "100")
        await found.until(lambda: not order.is_amending)
        assert outcomes(order) == {"99": DONE, "100": REJECTED}
        assert order.price == truth.now.price == 99

    run(scenario())


def test_later_amendment_is_judged_by_its_own_time():
    async def scenario():
        found, order, truth = await placed()
        losing(found, truth)
        await amended(found, order, "99")
        await found.let_pass(10)
        losing(found, truth, done_after_s=8)
        await amended(found, order, "98")
        await found.let_pass(5)
        found.account.resolver.hasten(order)
        await found.until(lambda: not order.is_amending)
        assert outcomes(order) == {"99": REJECTED, "98": DONE}
        assert order.price == truth.now.price == 98

    run(scenario())


def test_amendment_is_not_judged_while_it_is_sent():
    async def scenario():
        found, order, truth = await placed()
        losing(found, truth)
        await amended(found, order, "99")
        await found.let_pass(found.settings.arrival_s + 2 * LAG_S)

        async def send(key, request, priority):
            found.account.resolver.hasten(order)
            await found.let_pass(2)
            assert outcomes(order) == {"99": REJECTED, "98": AmendmentOutcome.PENDING}
            found.venue.amend(truth, request)
            return RequestAccepted(truth.now.venue_order_id)

        found.account.client.amend = send
        await amended(found, order, "98")
        assert outcomes(order) == {"99": REJECTED, "98": DONE}
        assert order.price == 98

    run(scenario())


def test_restart_begins_the_time_of_an_amendment_anew():
    async def scenario():
        found, order, truth = await placed()
        losing(found, truth, done_after_s=9)
        await amended(found, order, "99")
        found.crash()
        found.start()
        await found.ready()
        order = found.account.order(order.key)
        assert order.is_amending
        await found.until(lambda: not order.is_amending)
        assert outcomes(order) == {"99": DONE}
        assert order.price == truth.now.price == 99

    run(scenario())


@pytest.mark.parametrize("is_answered", [True, False])
def test_order_filled_before_the_answer_to_its_amendment_has_the_amended_size(is_answered):
    async def scenario():
        found, order, truth = await placed()

        async def send(key, request, priority):
            found.venue.amend(truth, request)
            found.venue.fill(truth, request.size)
            await found.until(lambda: order.is_final)
            return RequestAccepted(truth.now.venue_order_id) if is_answered else OutcomeUnknown("")

        found.account.client.amend = send
        await amend(found.account.amender, order, limit_order(size="1.5"), "smaller")
        assert outcomes(order) == {"smaller": DONE}
        assert (order.size, order.filled_size) == (Decimal("1.5"), Decimal("1.5"))
        found.crash()
        found.start()
        await found.ready()
        again = found.account.order(order.key)
        assert (again.state, again.size) == (order_states.FILLED, Decimal("1.5"))

    run(scenario())


def test_old_answer_after_one_with_the_present_price_does_not_undo_an_amendment():
    async def scenario():
        found, order, truth = await placed()
        before = truth.now
        await amended(found, order, "99")
        state = found.account.state
        state.apply_order(truth.now, is_answer=True)
        assert order.price == 99
        # It does not say when it was made.
        state.apply_order(replace(before, venue_time_ns=0), is_answer=True)
        assert order.price == truth.now.price == 99
        await found.let_pass(61)
        state.apply_order(replace(truth.now, price=Decimal(98), venue_time_ns=0), is_answer=True)
        assert order.price == 98

    run(scenario())
