"""What a rate limit or a ban of a venue closes, and the share that cancels have of the budget."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from conftest import free_port
from kit.base.clock import SystemClock
from kit.base.errors import RateLimited, VenuemeshError
from kit.base.request_budget import BanRule, Priority, RequestBudget, Scope
from kit.connector.contract.discovery import require
from kit.connector.contract.venue import Environment
from kit.connector.rest import ccxt_loader, retry_after
from tests.support.manual_clock import ManualClock

CANCEL, PROTECT, NEW, QUESTION, BACKFILL = Priority
BANNED_MS = 600_000


@dataclass
class RecordedTurns:
    """Calls of a budget, in the order of their turns."""

    clock: ManualClock
    served: list[object] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def ask(
        self, of: RequestBudget, name: object, priority: Priority, scope: Scope, seconds: float = 0
    ) -> asyncio.Task[None]:
        async def call() -> None:
            async with of.turn(priority, scope):
                self.served.append(name)
                if seconds:
                    await self.clock.sleep(seconds)

        task = asyncio.create_task(call())
        self.tasks.append(task)
        await self.clock.settle()
        return task


async def test_closed_market_data_leaves_cancels_and_orders_going() -> None:
    turns = RecordedTurns(ManualClock())
    budget = RequestBudget("somewhere", 10, turns.clock)
    orders = budget.sibling(per_second=10, burst=10)
    budget.suspend(60, Scope.MARKET_DATA)
    refused = await turns.ask(budget, "snapshot", PROTECT, Scope.MARKET_DATA)
    with pytest.raises(RateLimited):
        await refused
    await turns.ask(budget, "candles", BACKFILL, Scope.HISTORY)
    await turns.ask(orders, "cancel", CANCEL, Scope.CANCEL)
    await turns.ask(orders, "order", NEW, Scope.ORDER_ENTRY)
    await turns.ask(orders, "balances", QUESTION, Scope.ACCOUNT)
    assert turns.served == ["candles", "cancel", "order", "balances"]


async def test_each_scope_is_closed_for_its_own_time() -> None:
    turns = RecordedTurns(ManualClock())
    orders = RequestBudget("somewhere", 10, turns.clock, burst=10)
    orders.suspend(30, Scope.ACCOUNT)
    orders.suspend(5, Scope.ORDER_ENTRY)
    assert orders.suspended_s(Scope.ACCOUNT) == 30
    assert orders.suspended_s(Scope.ORDER_ENTRY) == 5
    assert orders.suspended_s(Scope.CANCEL) == 0
    await turns.clock.advance(6)
    await turns.ask(orders, "order", NEW, Scope.ORDER_ENTRY)
    refused = await turns.ask(orders, "balances", QUESTION, Scope.ACCOUNT)
    with pytest.raises(RateLimited) as error:
        await refused
    assert error.value.metadata["retry_after_ms"] == "24000"
    assert turns.served == ["order"]


async def test_only_waiting_calls_of_the_closed_scope_fail() -> None:
    turns = RecordedTurns(ManualClock())
    orders = RequestBudget("somewhere", 1, turns.clock, burst=1)
    await turns.ask(orders, "first", NEW, Scope.ORDER_ENTRY)
    question = await turns.ask(orders, "balances", QUESTION, Scope.ACCOUNT)
    await turns.ask(orders, "cancel", CANCEL, Scope.CANCEL)
    orders.suspend(60, Scope.ACCOUNT)
    with pytest.raises(RateLimited):
        await question
    await turns.clock.advance(2)
    assert turns.served == ["first", "cancel"]


async def test_nothing_at_all_is_sent_during_a_ban() -> None:
    turns = RecordedTurns(ManualClock())
    budget = RequestBudget("somewhere", 10, turns.clock, burst=1)
    orders = budget.sibling(per_second=1, burst=1)
    await turns.ask(orders, "first", CANCEL, Scope.CANCEL)
    waiting = await turns.ask(orders, "waits", CANCEL, Scope.CANCEL)
    budget.ban(120)
    with pytest.raises(RateLimited):
        await waiting
    for scope in Scope:
        for of in (budget, orders):
            with pytest.raises(RateLimited):
                await (await turns.ask(of, scope, CANCEL, scope))
    budget.ban(1)
    assert orders.suspended_s(Scope.CANCEL) == 120
    await turns.clock.advance(121)
    await turns.ask(orders, "after", CANCEL, Scope.CANCEL)
    assert turns.served == ["first", "after"]


async def test_a_share_of_the_tokens_is_kept_for_cancels_and_protection() -> None:
    turns = RecordedTurns(ManualClock())
    orders = RequestBudget("somewhere", 0.1, turns.clock, burst=20, concurrent_max=100)
    for number in range(20):
        await turns.ask(orders, number, QUESTION, Scope.ACCOUNT)
    assert turns.served == list(range(15))
    for number in range(5):
        await turns.ask(orders, f"protect {number}", PROTECT, Scope.ORDER_ENTRY)
    assert turns.served[15:] == ["protect 0", "protect 1", "protect 2"]
    for number in range(2):
        await turns.ask(orders, f"cancel {number}", CANCEL, Scope.CANCEL)
    assert turns.served[18:] == ["cancel 0", "cancel 1"]
    for task in turns.tasks:
        task.cancel()


async def test_a_cancel_waits_for_its_own_token_only() -> None:
    turns = RecordedTurns(ManualClock())
    orders = RequestBudget("somewhere", 1, turns.clock, burst=8)
    for number in range(8):
        await turns.ask(orders, number, CANCEL, Scope.CANCEL)
    await turns.ask(orders, "balances", QUESTION, Scope.ACCOUNT)
    await turns.ask(orders, "cancel", CANCEL, Scope.CANCEL)
    await turns.clock.advance(1.01)
    assert turns.served[8:] == ["cancel"]
    await turns.clock.advance(3.01)
    assert turns.served[9:] == ["balances"]


async def test_no_number_of_slow_calls_holds_a_cancel_up() -> None:
    turns = RecordedTurns(ManualClock())
    orders = RequestBudget("somewhere", 100, turns.clock, burst=100, concurrent_max=5)
    for number in range(8):
        await turns.ask(orders, number, PROTECT, Scope.ACCOUNT, seconds=60)
    assert len(turns.served) == 5
    for _ in range(10):
        await turns.ask(orders, "cancel", CANCEL, Scope.CANCEL, seconds=60)
    assert turns.served[5:] == ["cancel"] * 10
    for task in turns.tasks:
        task.cancel()


@dataclass
class AnsweringVenue:
    """A venue that gives one answer to everything, and a client of it."""

    client: Any
    budget: RequestBudget
    paths: list[str]

    async def call(self, priority: Priority, scope: Scope) -> None:
        with pytest.raises(VenuemeshError):
            await ccxt_loader.call(
                "somewhere", self.budget, priority, self.client.publicGetTime, scope
            )


@asynccontextmanager
async def answering(
    status: int, body: str, headers: dict[str, str], ban_rules: tuple[BanRule, ...] = ()
) -> AsyncIterator[AnsweringVenue]:
    paths: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=status, text=body, headers=headers)

    application = web.Application()
    application.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    address = f"http://127.0.0.1:{port}/api/v3"
    client = ccxt_loader.load("binance")({"urls": {"api": {"public": address}}})
    budget = RequestBudget("somewhere", 100, SystemClock(), ban_rules=ban_rules)
    client.request_budget = budget
    try:
        yield AnsweringVenue(client, budget, paths)
    finally:
        await client.close()
        await runner.cleanup()


async def test_retry_after_is_obeyed_by_the_scope_that_was_turned_away() -> None:
    async with answering(429, '{"code":-1003,"msg":"slow"}', {"Retry-After": "37"}) as venue:
        await venue.call(BACKFILL, Scope.HISTORY)
        await venue.call(BACKFILL, Scope.HISTORY)
        assert len(venue.paths) == 1
        assert 30 < venue.budget.suspended_s(Scope.HISTORY) <= 37
        await venue.call(CANCEL, Scope.CANCEL)
        assert len(venue.paths) == 2


async def test_cancels_wait_shortly_where_the_venue_states_no_time() -> None:
    async with answering(429, '{"code":-1003,"msg":"slow"}', {}) as venue:
        await venue.call(CANCEL, Scope.CANCEL)
        await venue.call(QUESTION, Scope.ACCOUNT)
        assert venue.budget.suspended_s(Scope.CANCEL) <= retry_after.CANCEL_RETRY_S_DEFAULT
        assert venue.budget.suspended_s(Scope.ACCOUNT) > retry_after.CANCEL_RETRY_S_DEFAULT


BANNED_UNTIL = '{"code":-1003,"msg":"Way too many requests; IP banned until UNTIL. Please use ..."}'
BANS = [
    ("binance", 418, '{"code":-1003,"msg":"banned"}', {"Retry-After": "200"}, 200),
    ("binance", 418, '{"code":-1003,"msg":"banned"}', {}, retry_after.BAN_S_DEFAULT),
    ("binance", 429, BANNED_UNTIL, {}, BANNED_MS / 1000),
    ("binance", 403, "<html>Forbidden</html>", {}, 120),
    ("bybit", 403, "403, access too frequent", {}, 600),
    ("coinbase", 429, "error code: 1015", {}, retry_after.BAN_S_DEFAULT),
    ("okx", 429, "error code: 1015", {"Retry-After": "300"}, 300),
    ("kraken", 200, '{"error":["EGeneral:Temporary lockout"]}', {}, 900),
]


@pytest.mark.parametrize(("venue_id", "status", "body", "headers", "seconds"), BANS)
async def test_a_ban_closes_everything(
    venue_id: str, status: int, body: str, headers: dict[str, str], seconds: float
) -> None:
    rules = tuple(require(venue_id)(Environment("simulate", "http://127.0.0.1:1")).limits.ban_rules)
    body = body.replace("UNTIL", str(time.time_ns() // 1_000_000 + BANNED_MS))
    async with answering(status, body, headers, rules) as venue:
        await ccxt_call_ignoring_errors(venue)
        assert seconds - 30 < venue.budget.suspended_s(Scope.CANCEL) <= seconds
        for scope in Scope:
            await venue.call(CANCEL, scope)
        assert len(venue.paths) == 1


async def ccxt_call_ignoring_errors(venue: AnsweringVenue) -> None:
    """Make one call. ccxt may take the answer of another venue for a success."""
    try:
        await ccxt_loader.call(
            "somewhere", venue.budget, QUESTION, venue.client.publicGetTime, Scope.MARKET_DATA
        )
    except VenuemeshError:
        return


def test_an_answer_with_the_words_of_a_ban_in_its_data_is_no_ban() -> None:
    budget = RequestBudget(
        "kraken", 1, SystemClock(), ban_rules=(BanRule("temporary lockout", 900),)
    )
    body = '{"result":["temporary lockout"' + ', "x"' * 1000 + "]}"
    retry_after.observe(budget, Scope.MARKET_DATA, 200, {}, body)
    assert budget.suspended_s(Scope.CANCEL) == 0


def test_a_ban_ends_although_our_clock_is_years_behind() -> None:
    """The venue states the time of its end."""
    budget = RequestBudget("binance", 1, SystemClock())
    years_ms = 20 * 365 * 86_400_000
    body = BANNED_UNTIL.replace("UNTIL", str(time.time_ns() // 1_000_000 + years_ms))
    retry_after.observe(budget, Scope.MARKET_DATA, 429, {}, body)
    assert 0 < budget.suspended_s(Scope.CANCEL) <= retry_after.BAN_S_MAX
