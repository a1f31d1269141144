"""Orders after an answer that proves nothing: one exit, and the state that the venue shows."""

import json
from decimal import Decimal

import pytest
from venuemesh.tradeflow.v1 import differences_pb2, orders_pb2

from kit.execution.contract import RequestRejected
from kit.execution.orders import order_states
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.order_groups import EXIT, SELL, STOP, bracket, fill, live, order, placed
from kit.execution.tests.simulated_process import run, started, verified
from venues.binance.errors import ERRORS as BINANCE
from venues.bybit.errors import ERRORS as BYBIT
from venues.coinbase.errors import ERRORS as COINBASE
from venues.deribit.errors import ERRORS as DERIBIT
from venues.kraken.errors import ERRORS as KRAKEN
from venues.okx.errors import ERRORS as OKX

ANSWERS = {
    "binance": (BINANCE, 400, {"code": -2099, "msg": "Something new."}),
    "bybit": (BYBIT, 200, {"retCode": 3400214, "retMsg": "Server error", "result": {}}),
    "coinbase": (COINBASE, 409, {"error": "ABORTED", "message": "aborted"}),
    "coinbase cancelled": (COINBASE, 200, {"error": "CANCELLED", "message": "cancelled"}),
    "deribit": (DERIBIT, 400, {"error": {"code": 19999, "message": "something_new"}}),
    "kraken": (KRAKEN, 200, {"error": ["EGeneral:Internal error:a1b2"]}),
    "okx": (OKX, 200, {"code": "1", "data": [{"sCode": "59999", "sMsg": "new"}], "msg": ""}),
}
OTHER = differences_pb2.DIFFERENCE_KIND_OTHER
LEFT_OPEN = differences_pb2.DIFFERENCE_KIND_LEFT_OPEN
REASON_OTHER = orders_pb2.REJECT_REASON_OTHER


def verdict_of(venue):
    """The verdict on an answer with a code that the venue's table does not list."""
    errors, status, answer = ANSWERS[venue]
    body = json.dumps(answer)
    return errors.verdict(status, errors.decode(body), body)


def sold(found):
    """How much the venue has sold."""
    return sum((one.size for _, one in found.venue.fills if one.side == SELL), Decimal(0))


def differences(found, kind):
    """The published differences of one kind."""
    events = [one.difference for one in found.account.executions._events]
    return [one for one in events if one.kind == kind]


@pytest.mark.parametrize("venue", ANSWERS)
def test_exit_with_an_unclear_answer_is_not_sent_again(venue):
    async def scenario():
        stop = order(EXIT, STOP, side=SELL, stop_price="95")
        found, (entry, exit_order) = await placed(bracket(stop))
        came = []

        async def executed(request):
            came.append(request)
            found.venue.later(5, arrives, request)
            return verdict_of(venue)

        def arrives(request):
            found.venue.fill(found.venue.arrive(request), request.size)

        found.account.client.verdicts = [executed] * 20
        fill(found, entry, 2)
        await found.let_pass(0.5)
        found.prices.trade("95")
        await found.let_pass(120)
        assert len(came) == 1
        assert sold(found) == 2
        assert exit_order.state == order_states.FILLED
        assert not found.account.state.index.open

    run(scenario())


def test_exit_rejected_without_a_known_reason_is_published_and_not_sent_again():
    async def scenario():
        stop = order(EXIT, STOP, side=SELL, stop_price="95")
        found, (entry, exit_order) = await placed(bracket(stop))
        came = []

        async def rejects(request):
            came.append(request)
            return RequestRejected(REASON_OTHER, "no")

        found.account.client.verdicts = [rejects] * 20
        fill(found, entry, 2)
        await found.let_pass(0.5)
        found.prices.trade("95")
        await found.let_pass(120)
        assert len(came) == 1
        (one,) = differences(found, LEFT_OPEN)
        assert (one.client_order_id, one.found) == (exit_order.key, "2")

    run(scenario())


@pytest.mark.parametrize("is_heard", [True, False])
def test_order_that_was_rejected_by_mistake_is_open_again_and_cancelled(is_heard):
    async def scenario():
        found = await started()

        async def rejects(request):
            found.venue.publishes = is_heard
            found.venue.later(1, found.venue.arrive, request)
            return RequestRejected(REASON_OTHER, "no")

        found.account.client.verdicts = [rejects]
        one = await found.account.submitter.submit(verified(limit_order(), "r"))
        assert one.state == order_states.REJECTED
        await found.let_pass(2)
        if not is_heard:
            assert one.state == order_states.REJECTED
            found.venue.publishes = True
        await found.account.submitter.cancel(one)
        await found.let_pass(3)
        assert one.state == order_states.CANCELLED
        assert not live(found)
        (told,) = differences(found, OTHER)
        assert (told.client_order_id, told.expected, told.found) == (one.key, "REJECTED", "OPEN")
        assert list(found.venue.sends.values()) == [1]

    run(scenario())


def test_cancel_of_an_order_whose_end_is_proven_makes_no_call():
    async def scenario():
        found = await started()
        submitter = found.account.submitter
        one = await submitter.submit(verified(limit_order(), "r"))
        await submitter.cancel(one)
        await found.until(lambda: one.is_final)
        calls = dict(found.venue.calls)
        await submitter.cancel(one)
        assert found.venue.calls == calls

    run(scenario())
