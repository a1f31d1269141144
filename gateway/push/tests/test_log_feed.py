"""Logs of processes that serve Admin, as topics of the websocket."""

import asyncio
import logging
from contextlib import aclosing, asynccontextmanager

import pytest
from venuemesh.admin.v1 import admin_pb2
from venuemesh.registry.v1 import registry_pb2

from gateway.push.channels import CONFLATED, LOSSLESS, TopicKey
from gateway.push.feeds.log_feed import KEPT_RECORDS_MAX, LogFeed
from gateway.push.settings import PushSettings
from gateway.push.tests.test_topics import FakeSink, reading
from gateway.push.topics import Topics
from kit.base import rpc
from kit.base.access.made_calls import MadeCalls
from kit.base.admin import AdminServicer
from kit.base.clock import SystemClock
from kit.base.errors import BadRequest, CursorExpired
from kit.base.recent_logs import RecentLogs
from kit.base.telemetry import Meter
from tests.support.waiting import WAIT_SECONDS_MAX, until

ADMIN = admin_pb2.DESCRIPTOR.services_by_name["Admin"]
CLOCK = SystemClock()
EVERY = TopicKey("logs", delivery=LOSSLESS)
RECORDER = TopicKey("logs", service="recorder", delivery=LOSSLESS)


class Process:
    """A process that logs what a test says."""

    def __init__(self, service_id, start_time_ns):
        self.instance = registry_pb2.ServiceInstance(
            service_id=service_id, instance_id=f"host-{service_id}", start_time_ns=start_time_ns
        )
        self.logs = RecentLogs(start_time_ns, CLOCK)

    def log(self, *events, level=logging.INFO, name="venuemesh.tests"):
        for event in events:
            self.logs.handle(logging.LogRecord(name, level, "", 0, event, (), None))


class Processes:
    """A directory of those that run."""

    def __init__(self):
        self._running = []
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def running(self, service_id, start_time_ns):
        """A process until the end of the context, which ends it like a kill."""
        process = Process(service_id, start_time_ns)
        meter, calls = Meter(service_id), MadeCalls(CLOCK)
        server = rpc.server()
        servicer = AdminServicer(process.instance, meter, lambda: None, calls, process.logs)
        rpc.serve(server, ADMIN, servicer)
        process.instance.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        self._running.append(process.instance)
        self._changed.set()
        try:
            yield process
        finally:
            self._running.remove(process.instance)
            self._changed.set()
            await server.stop(0)

    async def services(self, kind=""):
        return [registry_pb2.Service(instance=instance) for instance in self._running]

    async def watch(self, kind=""):
        while True:
            self._changed.clear()
            yield await self.services()
            await self._changed.wait()


@pytest.fixture
def processes():
    return Processes()


@pytest.fixture
async def topics(processes):
    """Topics that read these processes."""
    made = Topics(lambda key: LogFeed(key, processes, CLOCK), PushSettings(), CLOCK)
    yield made
    await made.close()


def events(sink):
    return [row["event"] for one in sink.messages for row in one["rows"]]


def gaps(sink):
    return [gap for one in sink.messages for gap in one.get("gaps", ())]


async def read(feed, count, after=None):
    """Updates until there are so many rows."""
    found = []
    async with asyncio.timeout(WAIT_SECONDS_MAX), aclosing(feed.updates(after)) as stream:
        async for updates in stream:
            found += updates
            if sum(len(update.rows) for update in found) >= count:
                break
    return found


async def test_what_is_kept_comes_first_and_then_each_record(processes, topics):
    async with processes.running("recorder", 5) as recorder:
        recorder.log("one", "two")
        sink = FakeSink()
        reading(topics.shared(RECORDER).topic, sink)
        await until(lambda: events(sink) == ["one", "two"])
        recorder.log("three")
        await until(lambda: events(sink) == ["one", "two", "three"])
        row = sink.messages[-1]["rows"][0]
        assert (row["service_id"], row["instance_id"]) == ("recorder", "host-recorder")
        assert (row["start_time_ns"], row["number"], row["level"]) == ("5", "3", "info")
        assert sink.cursors == ["5-2", "5-3"]
        late = FakeSink()
        reading(topics.shared(RECORDER).topic, late)
        assert events(late) == ["one", "two", "three"]
        assert late.messages[0]["cursor"] == "5-0"


async def test_a_cursor_of_a_process_outlives_the_topic(processes):
    async with processes.running("recorder", 5) as recorder:
        recorder.log(*(f"{number}" for number in range(KEPT_RECORDS_MAX + 5)))
        first = await read(LogFeed(RECORDER, processes, CLOCK), KEPT_RECORDS_MAX)
        assert first[0].position == (5, 5)
        rest = await read(LogFeed(RECORDER, processes, CLOCK), KEPT_RECORDS_MAX + 2, (5, 3))
        rows = [row["number"] for update in rest for row in update.rows]
        assert rows == [f"{number}" for number in range(4, KEPT_RECORDS_MAX + 6)]


async def test_a_process_that_starts_again_is_followed_and_says_so(processes, topics):
    sink = FakeSink()
    async with processes.running("recorder", 5) as recorder:
        recorder.log("before")
        reading(topics.shared(RECORDER).topic, sink)
        await until(lambda: events(sink) == ["before"])
    async with processes.running("recorder", 6) as recorder:
        recorder.log("after")
        await until(lambda: events(sink) == ["before", "after"])
    (gap,) = gaps(sink)
    assert (gap["reason"], gap["service_id"]) == ("GAP_REASON_RESTART", "recorder")
    assert sink.cursors == ["5-1", "6-1"]


async def test_all_processes_are_followed_as_they_come_and_go(processes, topics):
    sink = FakeSink()
    reading(topics.shared(EVERY).topic, sink)
    async with processes.running("recorder", 5) as recorder:
        recorder.log("one")
        await until(lambda: events(sink) == ["one"])
        async with processes.running("bars", 6) as bars:
            bars.log("two")
            await until(lambda: events(sink) == ["one", "two"])
        recorder.log("three")
        await until(lambda: events(sink) == ["one", "two", "three"])
        assert gaps(sink) == []
        async with processes.running("bars", 7) as bars:
            bars.log("four")
            await until(lambda: events(sink)[3:] == ["four"])
    assert [(gap["reason"], gap["service_id"]) for gap in gaps(sink)] == [
        ("GAP_REASON_RESTART", "bars")
    ]


async def test_a_client_of_all_resumes_in_what_is_kept_only(processes, topics):
    sink = FakeSink()
    async with processes.running("recorder", 5) as recorder:
        topic = topics.shared(EVERY).topic
        reading(topic, sink)
        recorder.log("one")
        await until(lambda: events(sink) == ["one"])
        recorder.log("two")
        await until(lambda: events(sink) == ["one", "two"])
        position = tuple(map(int, sink.cursors[0].split("-")))
        again = FakeSink()
        reading(topics.resumed(EVERY, position), again, position)
        assert events(again) == ["two"]
        with pytest.raises(CursorExpired):
            await read(LogFeed(EVERY, processes, CLOCK), 1, position)


async def test_a_flood_of_one_process_delays_no_other(processes, topics):
    sink = FakeSink()
    async with processes.running("bars", 5) as bars, processes.running("recorder", 6) as recorder:
        reading(topics.shared(EVERY).topic, sink)
        await until(lambda: topics.shared(EVERY).topic.newest_position is not None)
        is_flooding = True

        async def flood():
            while is_flooding:
                bars.log(*["noise"] * 100)
                await asyncio.sleep(0.01)

        flooding = asyncio.create_task(flood())
        await until(lambda: gaps(sink))
        for number in range(5):
            recorder.log(f"quiet {number}")
            await until(lambda number=number: f"quiet {number}" in events(sink))
        is_flooding = False
        await flooding
    lost = [gap for gap in gaps(sink) if gap["service_id"] == "bars"]
    assert lost == gaps(sink)
    assert all(int(gap["dropped_records"]) > 0 for gap in lost)


async def test_nothing_is_lost_without_a_gap_that_counts_it(processes, topics):
    sink = FakeSink()
    async with processes.running("bars", 5) as bars:
        bars.log("first")
        reading(topics.shared(EVERY).topic, sink)
        await until(lambda: events(sink) == ["first"])
        bars.log(*["noise"] * 5_000)
        last = 5_001
        await until(lambda: sink.messages[-1]["rows"][-1]["number"] == str(last))
    assert len(events(sink)) + sum(int(gap["dropped_records"]) for gap in gaps(sink)) == last


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"level": "warning"}, ["three"]),
        ({"logger": "venuemesh.x"}, ["two"]),
        ({"service": "bars"}, ["one"]),
        ({"service": "bars@host-bars"}, ["one"]),
    ],
)
async def test_records_are_chosen(processes, topics, options, found):
    key, sink = TopicKey("logs", delivery=LOSSLESS, **options), FakeSink()
    async with processes.running("bars", 5) as bars, processes.running("recorder", 6) as recorder:
        bars.log("one")
        recorder.log("two", name="venuemesh.x.y")
        recorder.log("three", level=logging.ERROR)
        reading(topics.shared(key).topic, sink)
        await until(lambda: len(events(sink)) >= len(found))
        assert events(sink) == found


async def test_the_newest_record_of_each_logger_and_level_is_a_state(processes):
    key = TopicKey("logs", delivery=CONFLATED)
    async with processes.running("bars", 5) as bars:
        bars.log("one", "two")
        bars.log("three", level=logging.ERROR)
        found = await read(LogFeed(key, processes, CLOCK), 3)
    newest = {update.key: update.rows[0]["event"] for update in found if update.rows}
    assert newest == {
        "bars/host-bars/venuemesh.tests/info": "two",
        "bars/host-bars/venuemesh.tests/error": "three",
    }


async def test_an_unknown_process_is_named_with_those_that_run(processes):
    async with processes.running("recorder", 5):
        key = TopicKey("logs", service="recorderr", delivery=LOSSLESS)
        with pytest.raises(BadRequest, match="did you mean 'recorder'") as refused:
            await read(LogFeed(key, processes, CLOCK), 1)
        assert refused.value.metadata["allowed"] == "recorder"
