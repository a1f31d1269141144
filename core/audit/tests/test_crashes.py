"""Audit as a process: killed at any moment, again and again."""

import random

import pytest

from core.audit.tests.process import audit_process
from core.audit.tests.rig import EXECUTIONS, LEDGER, fill, order, postings, rig_for
from tests.support.waiting import eventually

KILLS = 5
ROUNDS = 12


@pytest.fixture
async def rig(postgres_url, tmp_path):
    async with rig_for(postgres_url, tmp_path / "rig") as rig:
        yield rig


async def test_repeated_kills_lose_and_double_no_event_and_no_checkpoint(
    rig, postgres_url, valkey_url, tmp_path
):
    source = random.Random(3)
    process = audit_process(postgres_url, valkey_url, tmp_path, AUDIT_BATCH_EVENTS_MAX="3")
    process.start()
    try:
        for number in range(ROUNDS * KILLS):
            await rig.put(EXECUTIONS, order(number), fill(number))
            await rig.put(LEDGER, postings(number, fill(number)))
            if number % ROUNDS == ROUNDS - 1:
                wanted = source.randrange(3 * number)

                async def has_come_to(wanted: int = wanted) -> bool:
                    return await rig.store.size() >= wanted

                await eventually(has_come_to)
                process.kill()
                process.start()

        async def everything_is_signed() -> bool:
            newest = await rig.store.checkpoint()
            events = 3 * ROUNDS * KILLS
            return newest is not None and newest.size >= events

        await eventually(everything_is_signed)

        async def everything_is_anchored() -> bool:
            outcome = await rig.verify()
            return outcome.checkpoints == outcome.anchored_checkpoints

        rig.use(tmp_path)
        await eventually(everything_is_anchored)
    finally:
        process.kill()
    assert await rig.difference() == ""
    checkpoints = await rig.store.checkpoints_after(0, 1000)
    signed = await rig.execute("SELECT FROM events WHERE subject = 'checkpoint'")
    assert signed == len(checkpoints)
