"""kill -9 at every step, with a venue that lies: no order twice, never more closed than opened."""

import asyncio
import random
from contextlib import suppress
from decimal import Decimal

import pytest

from core.inspector.submissions import TAKEN
from core.inspector.tests.lying_venue import UNKNOWN
from core.inspector.tests.rig import DECISIONS, SPOT, close, decision
from core.inspector.tests.test_manual_orders import LENA, bracket
from tests.support.waiting import eventually, until

DUST = Decimal(SPOT.size_min)
ORDERS = 4
"""An entry, its two exits, and the order that closes."""
STEPS_MAX = 400
WAYS = ("", "", "", "lost", "unanswered", "late")


async def play(rig, first):
    """Open a position and close it. Returns whether the process has reached its last step."""
    process = rig.process
    decisions = (decision(first), close(first + 1))
    await rig.put(DECISIONS, decisions[0])
    await until(lambda: process.points.reached.is_set() or len(rig.venue.made) >= 3)
    await rig.put(DECISIONS, decisions[1])

    async def is_over():
        return process.points.reached.is_set() or not await rig.open_positions()

    await eventually(is_over)


async def run_to_the_end(rig):
    """Start it again, for good."""
    await rig.kill()
    await rig.start()

    async def is_over():
        outcomes = await rig.outcomes()
        return len(outcomes) >= 2 and not await rig.open_positions()

    await eventually(is_over)


def check(rig):
    assert len(rig.venue.made) == len(set(rig.venue.made))
    assert 0 <= rig.venue.held() < DUST, rig.venue.made


@pytest.mark.parametrize("phase", range(6))
async def test_killed_at_any_step_it_closes_what_it_has_opened_and_no_more(rig, phase):
    seen = []
    for at in range(1 + phase, STEPS_MAX, 6):
        rig.venue.made.clear()
        before = len(await rig.outcomes())
        await rig.kill()
        process = await rig.start(at=at)
        await play(rig, at * 2)
        was_killed = process.points.reached.is_set()
        await rig.kill()
        await rig.start()

        async def is_over():
            outcomes = await rig.outcomes()
            return len(outcomes) == before + 2 and not await rig.open_positions()  # noqa: B023

        await eventually(is_over)
        assert len(rig.venue.made) == ORDERS, (at, process.points.steps)
        assert {one.outcome for one in await rig.outcomes()} == {TAKEN}
        # Dust of one position after the other.
        assert 0 <= rig.venue.held() < DUST * (len(seen) + 1), (at, process.points.steps)
        seen.append(process.points.steps[-1])
        if not was_killed:
            break
    assert set(seen) >= {"begin", "commit", "committed"}


async def test_killed_at_any_step_the_group_of_a_person_is_placed_once(rig):
    for at in range(1, STEPS_MAX):
        rig.venue.made.clear()
        process = await rig.start(at=at)
        was_killed = process.points.reached.is_set
        await until(lambda: was_killed() or process.active.is_active)  # noqa: B023
        asking = asyncio.create_task(process.manual.submit(bracket(f"b{at}"), LENA))
        await until(lambda: was_killed() or asking.done())  # noqa: B023
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
        await rig.kill()
        process = await rig.start()
        await until(lambda: process.active.is_active)  # noqa: B023
        answer = await process.manual.submit(bracket(f"b{at}"), LENA)
        assert answer.submitted.outcome == TAKEN
        assert [one.request_id for one in answer.submitted.orders] == rig.venue.made
        assert len(rig.venue.made) == len(bracket().others) + 1
        await rig.kill()
        if not was_killed():
            break
    assert at > 1


@pytest.mark.parametrize("seed", range(8))
async def test_killed_again_and_again_with_a_venue_that_lies(rig, seed):
    chance = random.Random(seed)
    rig.venue.faults = [chance.choice(WAYS) for _ in range(30)]
    if seed % 2:
        rig.venue.closing_state = UNKNOWN
    await rig.put(DECISIONS, decision(1))
    for life in range(6):
        process = await rig.start(at=chance.randint(1, 40))
        if life == 2:
            await rig.put(DECISIONS, close(2))
        await until(process.points.reached.is_set)
        await rig.kill()
        if chance.random() < 0.5:
            rig.venue.arrive_late()
    rig.venue.closing_state = 7
    await rig.start()

    async def has_asked():
        rig.venue.arrive_late()
        rig.venue.end_unknown(is_filled=chance.random() < 0.5)
        return not await rig.open_positions()

    await eventually(has_asked)
    rig.venue.arrive_late()
    check(rig)
    assert len({one.request_ids[0] for one in await rig.outcomes()}) == len(await rig.outcomes())
