"""Work of which only one instance of a service may do it."""

import asyncio

import pytest

from kit.base import active_instance
from kit.base.active_instance import ActiveInstance
from tests.support.waiting import until


class Counted:
    """Endless work that counts how often it begins and ends."""

    def __init__(self) -> None:
        self.begun = self.ended = 0
        self.fails = asyncio.Event()

    async def __call__(self) -> None:
        self.begun += 1
        try:
            await self.fails.wait()
            raise RuntimeError("failed")
        finally:
            self.ended += 1


@pytest.fixture
async def work() -> Counted:
    return Counted()


async def test_work_waits_until_the_registry_has_answered(work: Counted) -> None:
    active = ActiveInstance()
    running = asyncio.create_task(active.run(work))
    active.change(stands_by=True)
    await asyncio.sleep(0)
    assert (work.begun, active.stands_by) == (0, True)
    active.change(stands_by=False)
    await until(lambda: work.begun == 1)
    for _ in range(3):
        active.change(stands_by=False)
        await asyncio.sleep(0)
    assert (work.begun, work.ended) == (1, 0)
    running.cancel()


async def test_work_is_left_to_another_instance_and_taken_back(work: Counted) -> None:
    active = ActiveInstance()
    running = asyncio.create_task(active.run(work))
    for times in (1, 2):
        active.change(stands_by=False)
        await until(lambda times=times: work.begun == times)
        active.change(stands_by=True)
        await until(lambda times=times: work.ended == times)
    assert work.begun == 2
    running.cancel()


async def test_without_a_registry_work_begins(
    work: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(active_instance, "FIRST_ANSWER_SECONDS", 0.01)
    running = asyncio.create_task(ActiveInstance().run(work))
    await until(lambda: work.begun)
    assert (work.begun, work.ended) == (1, 0)
    running.cancel()


async def test_work_that_fails_ends_the_process(work: Counted) -> None:
    active = ActiveInstance()
    active.change(stands_by=False)
    work.fails.set()
    with pytest.raises(ExceptionGroup) as failed:
        await active.run(work)
    assert isinstance(failed.value.exceptions[0], RuntimeError)
