"""Each outcome is counted once, wherever the process is killed."""

import asyncio
import random

import msgspec
import psycopg
import pytest
from venuemesh.events.v1 import calibrations_pb2, decisions_pb2, event_pb2

from core.advisor.app import CALIBRATION
from core.advisor.calibration.tests.planted import joined, line, planted
from core.advisor.calibration_handler import CalibrationHandler, learn
from core.advisor.learned_models import StoredModels
from core.advisor.tests.examples import NOW_NS, signal
from core.advisor.tests.process import advisor_process
from kit.events.consumer import Consumption, EventConsumer
from kit.events.event_ids import event_id
from kit.events.event_log import encoded
from kit.events.tests.rig import rig_for
from tests.support.manual_clock import ManualClock
from tests.support.waiting import eventually

DECISIONS = event_pb2.EVENT_STREAM_DECISIONS
LOCKS = (
    "LOCK TABLE advisor_calibrations IN EXCLUSIVE MODE",
    "SELECT FROM event_streams WHERE stream = 'decisions' FOR UPDATE",
)
"""What the transaction waits for, one after the other."""
REGIMES = ("calm", "wild", "")


def shape(found):
    """What a map makes of convictions, and whether it is used."""
    kept = calibrations_pb2.CalibrationMap()
    kept.CopyFrom(found)
    for name in ("outcomes", "pooled_outcomes", "reason"):
        kept.ClearField(name)
    return kept


def outcome(number, conviction, is_won, **fields) -> event_pb2.Event:
    """The event of an outcome. The regimes take turns."""
    regime = REGIMES[number % 3]
    values = {"strategy": "ema_cross", "regime": regime, "conviction": conviction, "is_won": is_won}
    return event_pb2.Event(
        event_id=event_id("test", "outcome", [str(number).encode()]),
        source="advisor",
        time_ns=NOW_NS + number,
        outcome_observed=decisions_pb2.OutcomeObserved(**values | fields),
    )


def outcomes(count, **fields) -> list[event_pb2.Event]:
    rows = zip(*planted(line(0.6, -0.7), count, 1), strict=True)
    return [outcome(number, *row, **fields) for number, row in enumerate(rows)]


class Advisor:
    """The part of the process that learns from outcomes."""

    def __init__(self, rig):
        self.rig = rig
        self.clock = ManualClock()

    async def consume(self, *events):
        """Store outcomes, and learn from them, as after a start of the process."""
        await self.rig.append(*events, stream=DECISIONS)
        last = (await self.rig.stored(DECISIONS))[-1].sequence
        task = asyncio.create_task(self.consumer().run())

        async def is_reached() -> bool:
            return await self.position() >= last

        await eventually(is_reached)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def consumer(self):
        rig = self.rig
        handler = CalibrationHandler(rig.database, lambda: None, self.clock)
        consumption = Consumption(
            CALIBRATION,
            (DECISIONS,),
            handler.handle,
            handler.committed,
            prepare=handler.prepare,
        )
        return EventConsumer(consumption, rig.database, rig.reader(), rig.reasons, self.clock)

    async def position(self) -> int:
        query = f"SELECT sequence FROM event_positions WHERE consumer = '{CALIBRATION}'"
        async with self.rig.database.reading() as connection:
            found = await (await connection.execute(query.encode())).fetchone()
        return found[0] if found else 0

    async def state(self):
        """The stored maps and series, without the numbers of the events."""
        query = (
            "SELECT strategy, is_pool, regime, calibration, series FROM advisor_calibrations"
            " ORDER BY strategy, is_pool, regime"
        )
        async with self.rig.database.reading() as connection:
            rows = await connection.execute(query.encode())
            return [tuple(row) for row in await rows.fetchall()]

    async def events(self):
        """What was learned, in order."""
        found = [one.event() for one in await self.rig.stored(DECISIONS)]
        return [one for one in found if not one.HasField("outcome_observed")]

    async def map_of(self, regime):
        (found,) = await StoredModels(self.rig.database).load([signal(regime=regime)])
        return found.calibration_map


def expected(events):
    """What is learned from some outcomes at once."""
    learned = learn({}, list(enumerate(events, 1)))
    state = [
        (
            row.strategy,
            row.regime is None,
            row.regime or "",
            row.calibration.SerializeToString(deterministic=True),
            msgspec.msgpack.encode(row.series),
        )
        for row in learned.rows
    ]
    return sorted(state), [encoded(one) for one in learned.events]


@pytest.fixture
async def advisor(valkey_url, postgres_url):
    async with rig_for(valkey_url, postgres_url) as rig:
        yield Advisor(rig)


async def learned(advisor):
    """The stored state, and the bytes of the events."""
    return sorted(await advisor.state()), [encoded(one) for one in await advisor.events()]


async def test_each_change_of_a_map_is_an_event(advisor):
    events = outcomes(240)
    await advisor.consume(*events[:199])
    assert await advisor.events() == []
    found = await advisor.map_of("calm")
    assert (found.outcomes, found.pooled_outcomes, found.is_applied) == (67, 199, False)
    assert found.reason == "199 outcomes in all regimes; 200 are needed"
    for event in events[199:203]:
        before = {regime: await advisor.map_of(regime) for regime in REGIMES}
        count = len(await advisor.events())
        await advisor.consume(event)
        made = (await advisor.events())[count:]
        changed = {
            one.calibration_updated.map.regime: one.calibration_updated.map
            for one in made
            if not one.calibration_updated.map.is_pool
        }
        for regime in REGIMES:
            found = await advisor.map_of(regime)
            if shape(found) != shape(before[regime]):
                assert changed.pop(regime) == found
        assert not changed
        assert {tuple(one.cause_ids) for one in made} == {(event.event_id,)}
    assert found.is_applied
    assert await learned(advisor) == expected(events[:203])


async def test_a_regime_without_outcomes_has_the_map_of_all_regimes(advisor):
    assert (await advisor.map_of("new")).reason == "0 outcomes in all regimes; 200 are needed"
    await advisor.consume(*outcomes(210))
    found = await advisor.map_of("new")
    assert (found.is_pool, found.is_applied, found.outcomes) == (True, True, 210)
    pooled = [one for one in await advisor.events() if one.calibration_updated.map.is_pool]
    assert found.slope == pooled[-1].calibration_updated.map.slope


async def test_a_drift_is_an_event_and_decisions_follow_the_rules(advisor):
    before, after = planted(line(1.0, 0.7), 300, 1), planted(line(-1.0, 0.0), 120, 2)
    rows = enumerate(zip(*joined(before, after), strict=True))
    await advisor.consume(*(outcome(number, *row, regime="calm") for number, row in rows))
    drifts = [
        one.calibration_drift for one in await advisor.events() if one.HasField("calibration_drift")
    ]
    (drift,) = (one for one in drifts if not one.is_pool)
    assert (drift.strategy, drift.regime) == ("ema_cross", "calm")
    assert drift.log_loss_after > drift.log_loss_before
    found = await advisor.map_of("calm")
    assert (found.is_applied, found.conviction_max) == (False, 0.5)
    assert found.reason.startswith("the log-loss of the map before has risen")


async def test_outcomes_that_are_unknown_teach_nothing(advisor):
    unknown = outcome(1, 0.5, None)
    await advisor.consume(unknown, outcome(3, 0.5, True))
    assert (await advisor.map_of("")).pooled_outcomes == 1


async def test_regimes_with_any_characters_are_kept_apart_as_far_as_they_are_stored(advisor):
    regimes = "a\0b", "é" * 999
    await advisor.consume(*(outcome(1 + len(one), 0.5, True, regime=one) for one in regimes))
    for regime, key in zip(regimes, ("ab", "é" * 200), strict=True):
        found = await advisor.map_of(regime)
        assert (found.regime, found.outcomes, found.pooled_outcomes) == (key, 1, 2)


async def test_outcomes_that_a_backup_has_brought_back_are_counted_once(advisor):
    events = outcomes(205)
    await advisor.consume(*events)
    await advisor.rig.execute("UPDATE event_positions SET sequence = 0")
    await advisor.consume(outcome(205, 0.5, True))
    assert await learned(advisor) == expected([*events, outcome(205, 0.5, True)])


@pytest.mark.parametrize("lock", LOCKS, ids=["map", "event"])
async def test_ended_within_its_transaction_it_learns_once(advisor, postgres_url, lock):
    events = outcomes(205)
    await advisor.consume(*events[:198])
    await advisor.rig.append(*events[198:-1], stream=DECISIONS)
    before = await advisor.state()
    async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
        await connection.execute(lock.encode())
        task = asyncio.create_task(advisor.consumer().run())

        async def someone_waits() -> bool:
            query = "SELECT FROM pg_locks WHERE NOT granted"
            return bool((await connection.execute(query)).rowcount)

        await eventually(someone_waits)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await advisor.state() == before
    await advisor.consume(events[-1])
    assert await learned(advisor) == expected(events)


async def test_killed_again_and_again_it_learns_the_same(advisor, valkey_url, postgres_url):
    process = advisor_process(postgres_url, valkey_url)
    events = outcomes(4 * 60)
    for number in range(4):
        process.start()
        await advisor.rig.append(*events[60 * number : 60 * number + 30], stream=DECISIONS)
        least = await advisor.position() + random.randrange(20)

        async def is_reached(least=least) -> bool:
            return await advisor.position() > least

        await eventually(is_reached)
        await advisor.rig.append(*events[60 * number + 30 : 60 * number + 60], stream=DECISIONS)
        process.kill()
    process.start()
    last = (await advisor.rig.stored(DECISIONS))[-1].sequence

    async def is_done() -> bool:
        return await advisor.position() >= last

    await eventually(is_done)
    process.kill()
    assert await learned(advisor) == expected(events)
