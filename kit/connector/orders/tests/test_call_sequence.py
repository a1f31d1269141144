"""Turns of signed calls: one at a time, the most urgent first; no slow answer holds a cancel up."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from kit.base.request_budget import Priority
from kit.connector.orders.call_sequence import CallSequence
from tests.support.manual_clock import ManualClock
from tests.support.waiting import WAIT_SECONDS_MAX

CANCEL, PROTECT, NEW, QUESTION, BACKFILL = Priority
ARRIVES_S = 0.01
NEVER_S = 3600.0


@dataclass
class SequencedCalls:
    """Calls in a sequence, and the order in which they were sent."""

    clock: ManualClock = field(default_factory=ManualClock)
    sequence: CallSequence = field(init=False)
    sent: list[object] = field(default_factory=list)
    answered: dict[object, asyncio.Event] = field(default_factory=dict)
    """Set the event of a call to answer it."""
    tasks: dict[object, asyncio.Task[None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sequence = CallSequence(self.clock)

    async def ask(self, name: object, priority: Priority, arrives_s: float = NEVER_S) -> None:
        async def call() -> None:
            async with self.sequence.turn(priority, arrives_s):
                self.sent.append(name)
                await self.answered[name].wait()

        self.answered[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(call())
        await asyncio.sleep(0)

    async def answer(self, name: object) -> None:
        self.answered[name].set()
        await self.tasks[name]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not condition():
                await asyncio.sleep(0.001)


async def test_calls_are_sent_one_after_the_other():
    calls = SequencedCalls()
    for name in range(3):
        await calls.ask(name, QUESTION)
    assert calls.sent == [0]
    for name in range(3):
        await calls.answer(name)
    assert calls.sent == [0, 1, 2]


async def test_cancel_overtakes_a_hundred_waiting_questions():
    calls = SequencedCalls()
    for name in range(101):
        await calls.ask(name, QUESTION)
    await calls.ask("new", NEW)
    await calls.ask("cancel", CANCEL)
    await calls.answer(0)
    await calls.until(lambda: len(calls.sent) == 2)
    await calls.answer("cancel")
    await calls.until(lambda: len(calls.sent) == 3)
    assert calls.sent == [0, "cancel", "new"]
    for task in calls.tasks.values():
        task.cancel()


@pytest.mark.parametrize("priority", [CANCEL, PROTECT])
async def test_urgent_call_does_not_wait_for_a_slow_answer(priority):
    calls = SequencedCalls()
    await calls.ask("slow", QUESTION, ARRIVES_S)
    await calls.ask("next", QUESTION, ARRIVES_S)
    await calls.ask("urgent", priority)
    await calls.clock.settle()
    assert calls.sent == ["slow"]
    await calls.clock.advance(ARRIVES_S)
    assert calls.sent == ["slow", "urgent"]
    await calls.answer("urgent")
    await calls.clock.advance(2 * ARRIVES_S)
    assert calls.sent == ["slow", "urgent"]
    await calls.answer("slow")
    await calls.until(lambda: len(calls.sent) == 3)
    await calls.answer("next")


async def test_urgent_calls_wait_until_each_call_before_them_has_arrived():
    calls = SequencedCalls()
    await calls.ask("order", NEW, NEVER_S)
    await calls.ask("cancel", CANCEL, ARRIVES_S)
    await calls.clock.advance(2 * ARRIVES_S)
    assert calls.sent == ["order"]
    await calls.answer("order")
    await calls.ask("second", CANCEL, ARRIVES_S)
    await calls.clock.advance(ARRIVES_S)
    await calls.until(lambda: len(calls.sent) == 3)
    assert calls.sent == ["order", "cancel", "second"]
    await calls.answer("cancel")
    await calls.answer("second")


async def test_caller_that_gives_up_frees_its_turn():
    calls = SequencedCalls()
    for name in ("first", "second", "third"):
        await calls.ask(name, QUESTION)
    calls.tasks["second"].cancel()
    calls.tasks["first"].cancel()
    await calls.until(lambda: len(calls.sent) == 2)
    await calls.answer("third")
    assert calls.sent == ["first", "third"]
