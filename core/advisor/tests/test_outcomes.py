"""Each entry has one outcome, whatever happens to the process."""

import asyncio

import psycopg
import pytest
from venuemesh.events.v1 import checks_pb2, decisions_pb2, event_pb2

from core.advisor.decider import decision_event
from core.advisor.outcome_observer import (
    BAR_NS,
    RECORD_WAIT_NS,
    OutcomeObserver,
    OutcomeTimes,
)
from core.advisor.recorded_bars import BarsUnavailable
from core.advisor.tests.examples import (
    BAR_END_NS,
    CLOSE,
    FLIP,
    NOW_NS,
    OPEN,
    RULES,
    bar,
    facts,
    platt_map,
    results,
    signal,
    signal_event,
)
from core.advisor.tests.test_synthesis_stage import answered, asking
from kit.events.consumer import Consumption, EventConsumer
from kit.events.tests.rig import rig_for
from tests.support.manual_clock import ManualClock
from tests.support.waiting import eventually, until

SIGNALS = event_pb2.EVENT_STREAM_SIGNALS
DECISIONS = event_pb2.EVENT_STREAM_DECISIONS
BLOCKED = checks_pb2.CHECK_RESULT_BLOCKED
LIMIT_S = 600
SECOND_NS = 1_000_000_000
LIMIT_NS = NOW_NS + LIMIT_S * SECOND_NS


class Record:
    """The recorded bars."""

    def __init__(self):
        self.bars = []
        self.asked = []
        self.is_away = False
        self.failures = 0

    def add(self, **fields):
        """The next minute, without a barrier unless ``fields`` have one."""
        start_ns = BAR_END_NS + len(self.bars) * BAR_NS
        times = {"open_time_ns": start_ns, "close_time_ns": start_ns + BAR_NS}
        prices = {"open": "60000", "high": "60100", "low": "59900", "close": "60050"}
        self.bars.append(bar(**times | prices | fields))

    async def opened_in(self, venue, symbol, interval, times_ns):
        if self.is_away:
            self.failures += 1
            raise BarsUnavailable("history does not answer")
        self.asked.append((venue, symbol, interval))
        return [one for one in self.bars if one.open_time_ns in times_ns]


class Advisor:
    """The part of the process that observes outcomes, and what it reads."""

    def __init__(self, rig):
        self.rig = rig
        self.record = Record()
        self.clock = ManualClock()
        self.clock.now_ns = NOW_NS
        self.wakes = 0

    def observer(self):
        """As after a start of the process."""
        times = OutcomeTimes(LIMIT_S, 60)
        return OutcomeObserver(self.rig.database, self.record, times, self._wake, self.clock)

    def _wake(self):
        self.wakes += 1

    async def decide(self, *signals, applied=None):
        """Store decisions on signals, and let the consumer note the entries."""
        await self.rig.append(*signals, stream=SIGNALS)
        made = [decision_event(one, facts(), RULES, calibration_map=applied) for one in signals]
        await self.rig.append(*made, stream=DECISIONS)
        await self.consume()
        return made

    async def consume(self):
        noted = asyncio.Event()
        consumption = Consumption("outcomes", (DECISIONS,), self.observer().handle, noted.set)
        rig = self.rig
        consumer = EventConsumer(consumption, rig.database, rig.reader(), rig.reasons, self.clock)
        task = asyncio.create_task(consumer.run())
        await asyncio.wait_for(noted.wait(), 60)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def outcomes(self):
        events = [one.event() for one in await self.rig.stored(DECISIONS)]
        return [one for one in events if one.HasField("outcome_observed")]

    async def open_ids(self):
        async with self.rig.database.reading() as connection:
            rows = await connection.execute(b"SELECT decision_id FROM advisor_open_outcomes")
            return [bytes(row[0]) for row in await rows.fetchall()]


@pytest.fixture
async def advisor(valkey_url, postgres_url):
    async with rig_for(valkey_url, postgres_url) as rig:
        yield Advisor(rig)


async def test_an_entry_has_one_outcome_when_the_bars_show_it(advisor):
    (decision,) = await advisor.decide(signal_event(1, signal(regime="calm")))
    advisor.record.add()
    await advisor.observer().observe()
    assert await advisor.outcomes() == []
    advisor.record.add(high="60610")
    await advisor.observer().observe()
    (event,) = await advisor.outcomes()
    end_ns = BAR_END_NS + 2 * BAR_NS
    assert event.cause_ids == [decision.event_id]
    assert (event.lifecycle_id, event.time_ns) == (decision.lifecycle_id, end_ns)
    assert event.outcome_observed == decisions_pb2.OutcomeObserved(
        strategy="ema_cross",
        regime="calm",
        conviction=decision.decision_made.intent.conviction,
        barrier=decisions_pb2.OUTCOME_BARRIER_TARGET,
        price="60610",
        is_won=True,
    )
    assert [one.open_time_ns for one in event.inputs] == [end_ns - BAR_NS]
    assert advisor.record.asked[-1] == ("binance", "BTCUSDT", "1m")
    assert await advisor.open_ids() == []
    assert advisor.wakes == 1
    await advisor.observer().observe()
    assert len(await advisor.outcomes()) == 1


async def test_only_entries_have_outcomes(advisor):
    blocked = signal_event(2, signal(conviction=0.0))
    made = await advisor.decide(signal_event(1), blocked, signal_event(3, signal(CLOSE)))
    assert await advisor.open_ids() == [made[0].event_id]


HOPELESS = platt_map(intercept=-9.0)
"""No conviction is a probability that suffices."""


@pytest.mark.parametrize("action", [OPEN, FLIP])
async def test_an_entry_that_the_map_blocks_has_an_outcome_too(advisor, action):
    raised = signal(action, regime="calm")
    (decision,) = await advisor.decide(signal_event(1, raised), applied=HOPELESS)
    made = decision.decision_made
    assert "calibrated_conviction" in [
        name for name, result in results(made).items() if result == BLOCKED
    ]
    assert made.intent.action != action
    advisor.record.add()
    advisor.record.add(high="60610")
    await advisor.observer().observe()
    (event,) = await advisor.outcomes()
    assert event.outcome_observed == decisions_pb2.OutcomeObserved(
        strategy="ema_cross",
        regime="calm",
        conviction=made.calibration.conviction,
        barrier=decisions_pb2.OUTCOME_BARRIER_TARGET,
        price="60610",
        is_won=True,
    )
    assert await advisor.open_ids() == []


async def test_an_entry_that_a_model_blocks_has_an_outcome_too(advisor):
    raised = signal(synthesis=asking(opposing_blocks=True))
    event = signal_event(1, raised)
    decision = decision_event(
        event, facts(), RULES, made=answered("opposes"), calibration_map=platt_map()
    )
    await advisor.rig.append(event, stream=SIGNALS)
    await advisor.rig.append(decision, stream=DECISIONS)
    await advisor.consume()
    assert await advisor.open_ids() == [decision.event_id]


async def test_a_blocked_entry_without_a_stop_has_no_outcome(advisor):
    without = signal_event(1, signal(request={"notional": "1000"}))
    allowed = signal_event(2)
    made = await advisor.decide(without, allowed, applied=HOPELESS)
    assert await advisor.open_ids() == [made[1].event_id]


async def test_a_gap_makes_the_outcome_unknown(advisor):
    await advisor.decide(signal_event(1))
    advisor.record.add()
    advisor.record.add(covered_ns=BAR_NS - 1)
    advisor.record.add(low="59000")
    await advisor.observer().observe()
    (event,) = await advisor.outcomes()
    observed = event.outcome_observed
    assert observed.barrier == decisions_pb2.OUTCOME_BARRIER_UNKNOWN
    assert not observed.HasField("is_won")
    assert observed.reason.startswith("nothing is recorded from")


async def test_a_record_that_ends_is_waited_for_and_then_the_outcome_is_unknown(advisor):
    await advisor.decide(signal_event(1))
    advisor.record.add()
    advisor.clock.now_ns = LIMIT_NS + RECORD_WAIT_NS
    await advisor.observer().observe()
    assert await advisor.outcomes() == []
    advisor.clock.now_ns += 1
    await advisor.observer().observe()
    (event,) = await advisor.outcomes()
    assert event.outcome_observed.barrier == decisions_pb2.OUTCOME_BARRIER_UNKNOWN
    assert event.outcome_observed.reason == "the record ends before the time limit"
    assert event.time_ns == LIMIT_NS


async def test_history_that_is_away_is_asked_again(advisor):
    await advisor.decide(signal_event(1))
    advisor.record.add(low="59000")
    advisor.record.is_away = True
    task = asyncio.create_task(advisor.observer().run())
    await until(lambda: advisor.record.failures)
    advisor.record.is_away = False

    async def is_observed() -> bool:
        await advisor.clock.advance(60)
        return bool(await advisor.outcomes())

    await eventually(is_observed)
    assert advisor.record.failures == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


LOCKS = (
    "LOCK TABLE advisor_open_outcomes IN EXCLUSIVE MODE",
    "SELECT FROM event_streams WHERE stream = 'decisions' FOR UPDATE",
)
"""What the transaction waits for, one after the other."""


@pytest.mark.parametrize("lock", LOCKS, ids=["note", "event"])
async def test_ended_within_its_transaction_it_observes_each_outcome_once(
    advisor, postgres_url, lock
):
    await advisor.decide(signal_event(1), signal_event(2))
    advisor.record.add()
    advisor.record.add(low="59000")
    found = await advisor.open_ids()
    async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
        await connection.execute(lock.encode())
        task = asyncio.create_task(advisor.observer().observe())

        async def someone_waits() -> bool:
            query = "SELECT FROM pg_locks WHERE NOT granted"
            return bool((await connection.execute(query)).rowcount)

        await eventually(someone_waits)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await advisor.outcomes() == []
    assert sorted(await advisor.open_ids()) == sorted(found)
    await asyncio.gather(*(advisor.observer().observe() for _ in range(3)))
    causes = [event.cause_ids[0] for event in await advisor.outcomes()]
    assert sorted(causes) == sorted(found)
    assert await advisor.open_ids() == []


async def test_a_note_that_a_backup_has_brought_back_is_removed(advisor):
    (decision,) = await advisor.decide(signal_event(1))
    advisor.record.add()
    advisor.record.add(low="59000")
    await advisor.observer().observe()
    insert = "INSERT INTO advisor_open_outcomes VALUES (%s, %s)"
    await advisor.rig.execute(insert, decision.event_id, LIMIT_NS)
    # With other bars, whose outcome would be another.
    advisor.record.bars[-1].low, advisor.record.bars[-1].high = "59900", "70000"
    await advisor.observer().observe()
    (event,) = await advisor.outcomes()
    assert event.outcome_observed.barrier == decisions_pb2.OUTCOME_BARRIER_STOP
    assert await advisor.open_ids() == []
