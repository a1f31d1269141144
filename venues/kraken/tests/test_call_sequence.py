"""Cancels at Kraken while its answers are slow, and nonces that arrive out of order."""

import asyncio

from kit.execution.contract import RequestAccepted, RequestRejected
from tests.support.waiting import WAIT_SECONDS_MAX
from venues.kraken.tests.test_orders import KEY, REQUEST, done, prepared

LATE = {"error": ["EAPI:Invalid nonce"]}


async def test_cancels_are_sent_while_four_slow_questions_have_no_answer():
    async with prepared() as (venue, client):
        venue.answer("/BalanceEx", done({}))
        venue.answer("/CancelAll", done({"count": 2}))
        venue.answer("/CancelOrder", done({"count": 1}))
        await client.balances()
        venue.held["/BalanceEx"] = asyncio.Event()
        questions = [asyncio.create_task(client.balances()) for _ in range(4)]
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not venue.sent[-1].path.endswith("/BalanceEx"):
                await asyncio.sleep(0.001)
            assert await client.cancel_all() == RequestAccepted("")
            assert await client.cancel(KEY) == RequestAccepted("")
        assert not any(question.done() for question in questions)
        venue.held["/BalanceEx"].set()
        assert await asyncio.gather(*questions) == [[]] * 4
        nonces = [int(call.params["nonce"]) for call in venue.sent if "nonce" in call.params]
        assert nonces == sorted(set(nonces))


async def test_cancel_that_arrived_late_is_signed_again_and_sent_once_more():
    async with prepared() as (venue, client):
        venue.answer("/CancelOrder", LATE, done({"count": 1}))
        assert await client.cancel(KEY) == RequestAccepted("")
        sent = [call for call in venue.sent if call.path.endswith("/CancelOrder")]
        assert int(sent[1].params["nonce"]) > int(sent[0].params["nonce"])
        venue.answer("/CancelOrder", LATE)
        assert isinstance(await client.cancel(KEY), RequestRejected)
        assert len([call for call in venue.sent if call.path.endswith("/CancelOrder")]) == 4


async def test_order_that_arrived_late_is_not_sent_again():
    async with prepared() as (venue, client):
        venue.answer("/AddOrder", LATE)
        assert isinstance(await client.place(REQUEST), RequestRejected)
        assert len([call for call in venue.sent if call.path.endswith("/AddOrder")]) == 1
