"""Turns for REST calls: the pace, the order, and a venue that wants to be left alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from conftest import free_port
from kit.base.clock import SystemClock
from kit.base.errors import RateLimited
from kit.base.request_budget import (
    CONCURRENT_MAX,
    WAITING_MAX,
    Priority,
    RequestBudget,
    TokenBucket,
)
from kit.connector.rest import ccxt_loader, retry_after
from tests.support.manual_clock import ManualClock

CANCEL, PROTECT, NEW, QUESTION, BACKFILL = Priority


class BudgetCallers:
    """Callers of a budget, and the order in which they had their turn."""

    def __init__(self, per_second: float, **bounds: float) -> None:
        self.clock = ManualClock()
        self.budget = RequestBudget("somewhere", per_second, self.clock, **bounds)
        self.served: list[object] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def ask(self, name: object, priority: Priority, seconds: float = 0.0) -> None:
        self.tasks.append(asyncio.create_task(self._call(name, priority, seconds)))
        await self.clock.settle()

    async def _call(self, name: object, priority: Priority, seconds: float) -> None:
        async with self.budget.turn(priority):
            self.served.append(name)
            if seconds:
                await self.clock.sleep(seconds)


async def test_turns_come_at_the_pace_after_a_burst() -> None:
    callers = BudgetCallers(per_second=2, burst=3)
    for number in range(7):
        await callers.ask(number, NEW)
    assert callers.served == [0, 1, 2]
    await callers.clock.advance(0.4)
    assert callers.served == [0, 1, 2]
    for expected in range(4, 8):
        await callers.clock.advance(0.5)
        assert len(callers.served) == expected


async def test_later_turns_wait_for_the_orders_of_a_batch() -> None:
    callers = BudgetCallers(per_second=1, burst=3)
    await callers.ask("batch", NEW)
    callers.budget.spend(4)
    await callers.ask("next", NEW)
    await callers.clock.advance(2.9)
    assert callers.served == ["batch"]
    await callers.clock.advance(0.2)
    assert callers.served == ["batch", "next"]


async def test_what_matters_more_goes_first_and_equals_in_their_order() -> None:
    callers = BudgetCallers(per_second=1, burst=1)
    await callers.ask("first", BACKFILL)
    asked = [
        ("b1", BACKFILL),
        ("q", QUESTION),
        ("n", NEW),
        ("b2", BACKFILL),
        ("p", PROTECT),
        ("c", CANCEL),
    ]
    for name, priority in asked:
        await callers.ask(name, priority)
    await callers.clock.advance(10)
    assert callers.served == ["first", "c", "p", "n", "q", "b1", "b2"]


async def test_slow_calls_leave_room_for_what_cannot_wait() -> None:
    callers = BudgetCallers(per_second=1000, burst=100)
    for number in range(CONCURRENT_MAX + 3):
        await callers.ask(number, BACKFILL, seconds=60)
    assert len(callers.served) == CONCURRENT_MAX - 1
    await callers.ask("cancel", CANCEL)
    assert callers.served[-1] == "cancel"
    await callers.clock.advance(61)
    assert len(callers.served) == CONCURRENT_MAX + 4


async def test_a_turn_that_is_free_is_taken_without_a_step_between() -> None:
    budget = BudgetCallers(per_second=1, burst=1).budget
    turn = budget.turn(NEW)
    with pytest.raises(StopIteration):
        turn.__aenter__().send(None)
    await turn.__aexit__(None, None, None)


async def test_who_comes_does_not_overtake_who_waits() -> None:
    callers = BudgetCallers(per_second=1000, burst=100, concurrent_max=2)
    async with callers.budget.turn(NEW):
        await callers.ask("waits", NEW)
        assert not callers.served
    async with callers.budget.turn(BACKFILL):
        assert callers.served == ["waits"]


async def test_nobody_asks_while_it_is_closed() -> None:
    callers = BudgetCallers(per_second=1, burst=1)
    await callers.ask("first", NEW)
    await callers.ask("waits", CANCEL)
    callers.budget.suspend(30)
    await callers.ask("late", CANCEL)
    for task in callers.tasks[1:]:
        with pytest.raises(RateLimited) as refused:
            await task
        assert int(refused.value.metadata["retry_after_ms"]) == 30_000
    callers.budget.suspend(5)
    assert callers.budget.suspended_s() == 30
    await callers.clock.advance(31)
    await callers.ask("after", NEW)
    assert callers.served == ["first", "after"]


async def test_who_gives_up_waiting_takes_nothing() -> None:
    callers = BudgetCallers(per_second=1, burst=1)
    for name in ("first", "second", "third"):
        await callers.ask(name, NEW)
    callers.tasks[1].cancel()
    await callers.clock.advance(1.01)
    assert callers.served == ["first", "third"]


async def test_more_than_so_many_do_not_wait() -> None:
    callers = BudgetCallers(per_second=1, burst=1)
    await callers.ask("first", NEW)
    for number in range(WAITING_MAX):
        callers.tasks.append(asyncio.create_task(callers._call(number, NEW, 0.0)))
    await callers.ask("too many", NEW)
    assert callers.budget.waiting_count == WAITING_MAX
    with pytest.raises(RateLimited):
        await callers.tasks[-1]
    for task in callers.tasks:
        task.cancel()


async def test_a_quiet_time_saves_up_no_more_than_a_burst() -> None:
    clock = ManualClock()
    bucket = TokenBucket(10, 2, clock)
    await clock.advance(1000)
    for _ in range(2):
        assert bucket.wait_s() == 0
        bucket.take()
    assert bucket.wait_s() == pytest.approx(0.1)


@asynccontextmanager
async def asked(
    status: int, headers: dict[str, str], budget: RequestBudget | None = None
) -> AsyncIterator[tuple[Any, list[str]]]:
    """A client of ccxt, and the paths of a venue that answers so."""
    paths: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.json_response(
            {"code": -1003, "msg": "Slow down"}, status=status, headers=headers
        )

    application = web.Application()
    application.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    address = f"http://127.0.0.1:{port}/api/v3"
    client = ccxt_loader.load("binance")({"urls": {"api": {"public": address}}})
    client.request_budget = budget
    try:
        yield client, paths
    finally:
        await client.close()
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"Retry-After": "37"}, 37),
        (418, {"retry-after": "120"}, 120),
        (429, {}, retry_after.RETRY_S_DEFAULT),
        (429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, retry_after.RETRY_S_DEFAULT),
    ],
)
async def test_a_venue_that_says_slow_down_closes_the_budget(
    status: int, headers: dict[str, str], seconds: float
) -> None:
    budget = RequestBudget("binance", 100, SystemClock())
    async with asked(status, headers, budget) as (client, paths):
        for _ in range(3):
            with pytest.raises(RateLimited) as refused:
                await ccxt_loader.call("binance", budget, BACKFILL, client.publicGetTime)
            left_ms = int(refused.value.metadata["retry_after_ms"])
            assert seconds * 1000 - 5000 < left_ms <= seconds * 1000
        assert len(paths) == 1


async def test_without_a_budget_a_call_goes_at_once() -> None:
    async with asked(429, {"Retry-After": "37"}) as (client, paths):
        for _ in range(2):
            with pytest.raises(RateLimited):
                await ccxt_loader.call("binance", None, NEW, client.publicGetTime)
        assert len(paths) == 2


async def test_orders_have_a_pace_of_their_own_and_a_ban_closes_all() -> None:
    clock = ManualClock()
    budget = RequestBudget("somewhere", 1, clock, burst=1)
    orders = budget.sibling(per_second=10, burst=3)
    served: list[str] = []

    async def ask(name: str, of: RequestBudget) -> None:
        async with of.turn(NEW):
            served.append(name)

    for number in range(3):
        await ask(f"order {number}", orders)
    await ask("question", budget)
    assert served == ["order 0", "order 1", "order 2", "question"]
    waiting = asyncio.create_task(ask("order 3", orders))
    await clock.settle()
    budget.ban(5)
    await clock.advance(1)
    with pytest.raises(RateLimited):
        await waiting
    with pytest.raises(RateLimited):
        await ask("order 4", orders)
    await clock.advance(5)
    await ask("order 5", orders)
    assert served[-1] == "order 5"
