"""In which scope and at which priority the REST calls of an account are made."""

import asyncio

import pytest

from kit.base.clock import SystemClock
from kit.base.request_budget import Priority, RequestBudget, Scope
from kit.connector.orders.rest_session import OrderApiRequest
from kit.connector.orders.tests.test_order_socket import REQUEST, place, read
from kit.execution.contract import RequestRejected


@pytest.mark.parametrize(
    ("closed", "priority", "is_sent"),
    [
        (Scope.ORDER_ENTRY, Priority.CANCEL, True),
        (Scope.ORDER_ENTRY, Priority.PROTECT, False),
        (Scope.ORDER_ENTRY, Priority.NEW, False),
        (Scope.CANCEL, Priority.CANCEL, False),
        (Scope.CANCEL, Priority.PROTECT, True),
        (Scope.CANCEL, Priority.NEW, True),
    ],
)
async def test_closed_scope_stops_its_own_calls_only(closed, priority, is_sent):
    budget = RequestBudget("binance", 100, SystemClock())
    budget.suspend(60, closed)
    async with place(is_begun=False, budget=budget) as at:
        alone = await at.session.send(REQUEST, priority, read)
        joined = await at.session.send_many(lambda: REQUEST, priority, lambda answer: [answer])
        assert [isinstance(one, RequestRejected) for one in (alone, joined)] == [not is_sent] * 2
        assert len(at.venue.sent) == 2 * is_sent


async def test_calls_in_sequence_take_turns_by_their_priority():
    def request(name):
        return OrderApiRequest(REQUEST.method, {"symbol": name})

    async with place(is_begun=False, in_sequence=True) as at:
        released = at.venue.held["/order"] = asyncio.Event()
        calls = [asyncio.create_task(at.session.send(request("first"), Priority.NEW, read))]
        while not at.venue.sent:
            await asyncio.sleep(0.001)
        for name, priority in (("new", Priority.NEW), ("cancel", Priority.CANCEL)):
            calls.append(asyncio.create_task(at.session.send(request(name), priority, read)))
            await asyncio.sleep(0)
        asks = at.session.ask(REQUEST.method, {"symbol": "question"}, Priority.QUESTION)
        calls.insert(2, asyncio.create_task(asks))
        await asyncio.sleep(0)
        released.set()
        await asyncio.gather(*calls)
        sent = [call.params["symbol"] for call in at.venue.sent]
    assert sent == ["first", "cancel", "new", "question"]


async def test_call_that_ccxt_makes_by_itself_is_not_sent_during_a_ban():
    """It keeps listen keys alive; a call during a ban may make it longer."""
    budget = RequestBudget("binance", 100, SystemClock())
    async with place(is_begun=False, budget=budget) as at:
        call = getattr(at.session.exchange, REQUEST.method)
        await call({"symbol": "first"})
        budget.ban(60)
        with pytest.raises(Exception, match="banned for another 60 s"):
            await call({"symbol": "second"})
        assert [one.params["symbol"] for one in at.venue.sent] == ["first"]
