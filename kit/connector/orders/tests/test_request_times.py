"""A request is not sent after its approval has expired, and the clock is corrected when the venue
rejects the time of one."""

import asyncio
from dataclasses import replace

import pytest
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.base.clock import SystemClock
from kit.base.request_budget import Priority, RequestBudget
from kit.connector.orders.batch_calls import BatchCalls, BatchRow
from kit.connector.orders.rest_session import OrderApiRequest
from kit.connector.orders.tests.test_order_socket import ERRORS, REQUEST, place, read
from kit.execution.contract import OrderKey, RequestAccepted, RequestRejected


@pytest.mark.parametrize("is_by_rest", [False, True])
async def test_request_is_not_sent_after_its_approval_expired(is_by_rest):
    budget = RequestBudget("binance", 1000, SystemClock(), concurrent_max=2)
    operation = "" if is_by_rest else "place"
    now_s = asyncio.get_running_loop().time()
    late = replace(REQUEST, operation=operation, send_by_s=now_s + 1e-6)
    async with place(budget=budget) as at:
        first, waiting = at.start(), at.start(late)
        await at.written.get()
        await at.venue.send({"n": 1, "answer": {"id": "a"}})
        assert await first == RequestAccepted("a")
        rejected = await waiting
        assert isinstance(rejected, RequestRejected)
        assert rejected.detail == "not sent: its approval expired while it waited for its turn"
        assert at.written.empty()
        assert not at.venue.sent
        sending = at.start(replace(late, send_by_s=now_s + 3600))
        if not is_by_rest:
            await at.venue.send({"n": (await at.written.get())["n"], "answer": {"id": "b"}})
        assert isinstance(await sending, RequestAccepted)


class Batches:
    """Joins orders by their symbols; all are accepted."""

    place_method = cancel_method = REQUEST.method

    def place(self, params):
        return OrderApiRequest(REQUEST.method, {"symbols": [one["symbol"] for one in params]})

    cancel = place

    def rows(self, answer):
        return [BatchRow(symbol, "", {"id": symbol}) for symbol in answer["placed"]]


@pytest.mark.parametrize("validities_s", [(0.02, 3600), (0.02, 0.02)])
async def test_order_that_expires_while_its_call_waits_is_left_out(validities_s):
    loop = asyncio.get_running_loop()
    now_s = loop.time()
    ends_s = [now_s + one for one in validities_s]
    waiting = {
        OrderKey(symbol, symbol, ""): replace(REQUEST, params={"symbol": symbol}, send_by_s=end_s)
        for symbol, end_s in zip("ab", ends_s, strict=True)
    }
    budget = RequestBudget("binance", 1000, SystemClock(), concurrent_max=2)
    async with place(budget=budget) as at:
        at.venue.answer("/order", {"placed": ["b"]})
        first = at.start()
        await at.written.get()
        calls = BatchCalls(at.session, Batches(), read)
        sending = asyncio.create_task(calls.send(Batches().place, waiting, Priority.NEW))
        while loop.time() <= min(ends_s):
            await asyncio.sleep(0)
        assert not at.venue.sent
        await at.venue.send({"n": 1, "answer": {"id": "a"}})
        assert await first == RequestAccepted("a")
        verdicts = list((await sending).values())
    is_late = [isinstance(one, RequestRejected) for one in verdicts]
    assert is_late == [end_s < ends_s[0] + 1 for end_s in ends_s]
    assert len(at.venue.sent) == is_late.count(False)


async def test_clock_is_corrected_after_a_rejection_for_the_time(monkeypatch):
    corrections = []

    async def load():
        corrections.append(1)

    async with place() as at:
        at.session.errors = replace(ERRORS, by_code={"-4": pb.REJECT_REASON_CLOCK})
        monkeypatch.setattr(at.session.exchange, "load_time_difference", load)
        at.venue.answer("/order", {"code": -4, "msg": "recvWindow"}, {"id": "again"})
        rest = replace(REQUEST, operation="")
        verdict = await at.send(rest)
        assert isinstance(verdict, RequestRejected)
        assert verdict.reason == pb.REJECT_REASON_CLOCK
        assert corrections == [1]
        at.venue.answer("/order", {"code": -4, "msg": "recvWindow"}, {"id": "again"})
        assert await at.send(rest, Priority.CANCEL) == RequestAccepted("again")
        assert corrections == [1, 1]
        at.venue.answer("/order", {"code": -4, "msg": "recvWindow"})
        calls = BatchCalls(at.session, Batches(), read)
        key = OrderKey("BTCUSDT", "a", "")
        verdicts = await calls.send(Batches().place, {key: rest}, Priority.NEW)
        assert verdicts == {key: verdict}
        assert corrections == [1, 1, 1]
