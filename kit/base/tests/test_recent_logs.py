"""The newest log records of a process, as readers get them."""

import asyncio
import logging
import threading
from contextlib import aclosing, contextmanager

import pytest
from venuemesh.admin.v1.admin_pb2 import StreamLogsRequest

from kit.base.clock import SystemClock
from kit.base.recent_logs import (
    EVENT_CHARACTERS_MAX,
    FIELDS_CHARACTERS_MAX,
    PART_RECORDS_MAX,
    RecentLogs,
)
from kit.base.request_id import REQUEST_ID, begin_request
from kit.base.telemetry import logger

START_NS = 7
NAME = "venuemesh.tests.recent"


class Unprintable:
    def __str__(self):
        raise ValueError("no text")


@contextmanager
def kept(records_max=1_000):
    """The ring of a process, and a logger that fills it."""
    logs, log = RecentLogs(START_NS, SystemClock(), records_max), logger("tests.recent")
    log.addHandler(logs)
    log.propagate = False
    log.setLevel(logging.DEBUG)
    try:
        yield logs, log
    finally:
        log.removeHandler(logs)
        log.propagate = True
        log.setLevel(logging.NOTSET)


async def read(logs, **request):
    """The parts that a reader gets until the end."""
    logs.end()
    return [part async for part in logs.stream(StreamLogsRequest(**request))]


async def numbers(logs, **request):
    parts = await read(logs, **request)
    return [record.number for part in parts for record in part.records]


def lines(log, count):
    for number in range(1, count + 1):
        log.info("line %d", number)


async def test_a_reader_gets_what_is_kept_and_then_each_record():
    with kept() as (logs, log):
        log.warning("first", extra={"text": "why", "count": 3})
        async with aclosing(logs.stream(StreamLogsRequest())) as stream:
            (record,) = (part := await anext(stream)).records
            assert (part.start_time_ns, part.newest_number, part.dropped_records) == (7, 1, 0)
            assert (record.number, record.level, record.event) == (1, "warning", "first")
            assert (record.logger, dict(record.fields)) == (NAME, {"text": "why", "count": "3"})
            assert record.time_ns > 0
            await asyncio.to_thread(log.error, "of another thread")
            assert [one.event for one in (await anext(stream)).records] == ["of another thread"]


async def test_the_first_part_comes_at_once_without_records_too():
    with kept() as (logs, _):
        async with aclosing(logs.stream(StreamLogsRequest())) as stream:
            assert (await anext(stream)).start_time_ns == START_NS


async def test_many_records_come_in_parts_without_hole_or_repetition():
    with kept() as (logs, log):
        lines(log, 2 * PART_RECORDS_MAX + 1)
        parts = await read(logs)
        assert [len(part.records) for part in parts] == [PART_RECORDS_MAX, PART_RECORDS_MAX, 1]
        assert await numbers(logs) == list(range(1, 2 * PART_RECORDS_MAX + 2))


async def test_a_reader_continues_after_a_number():
    with kept() as (logs, log):
        lines(log, 5)
        assert await numbers(logs, after_number=3) == [4, 5]
        assert await numbers(logs, after_number=3, start_time_ns=START_NS) == [4, 5]
        assert await numbers(logs, after_number=9) == []


async def test_a_number_of_an_earlier_start_begins_with_the_oldest_record():
    with kept(records_max=3) as (logs, log):
        lines(log, 5)
        (part,) = await read(logs, after_number=4, start_time_ns=1, kept_records_max=1)
        assert [record.number for record in part.records] == [3, 4, 5]
        assert part.dropped_records == 2


async def test_what_was_dropped_is_counted():
    with kept(records_max=3) as (logs, log):
        async with aclosing(logs.stream(StreamLogsRequest())) as stream:
            await anext(stream)
            lines(log, 10)
            part = await anext(stream)
        assert part.dropped_records == 7
        assert [record.number for record in part.records] == [8, 9, 10]
        # Somebody who has asked for nothing before has lost nothing.
        (first,) = await read(logs)
        assert first.dropped_records == 0


async def test_only_the_newest_of_the_wanted_records_are_sent():
    with kept() as (logs, log):
        for number in range(1, 5):
            log.warning("wanted %d", number)
            log.info("not wanted %d", number)
        assert await numbers(logs, kept_records_max=2, level="warning") == [5, 7]
        assert await numbers(logs, kept_records_max=2) == [7, 8]
        assert await numbers(logs, kept_records_max=2, level="error") == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"level": "debug"}, [1, 2, 3]),
        ({"level": "error"}, [3]),
        ({"logger": "venuemesh"}, [1, 2, 3]),
        ({"logger": NAME}, [1, 2, 3]),
        ({"logger": f"{NAME}.below"}, [2]),
        ({"logger": NAME[:-1]}, []),
    ],
)
async def test_records_are_chosen_by_level_and_logger(wanted, found):
    with kept() as (logs, log):
        log.debug("one")
        log.getChild("below").warning("two")
        log.error("three")
        assert await numbers(logs, **wanted) == found


async def test_a_reader_hears_how_far_the_stream_is_if_nothing_is_wanted():
    with kept() as (logs, log):
        lines(log, 1)
        async with aclosing(logs.stream(StreamLogsRequest(level="error"))) as stream:
            assert (await anext(stream)).newest_number == 1
            lines(log, 50)
            part = await anext(stream)
            assert (part.newest_number, len(part.records)) == (51, 0)


async def test_texts_are_bounded_and_of_characters_that_can_be_sent():
    with kept() as (logs, log):
        log.info("x" * 10_000, extra={"a" * 9_000: "b", "never": "kept"})
        log.info("broken \ud800", extra={"text": "\udfff"})
        (part,) = await read(logs)
        long, broken = part.records
        assert len(long.event) == EVENT_CHARACTERS_MAX
        assert sum(len(name + value) for name, value in long.fields.items()) == (
            FIELDS_CHARACTERS_MAX
        )
        assert (broken.event, broken.fields["text"]) == ("broken ?", "?")


async def test_an_exception_and_the_request_are_fields():
    with kept() as (logs, log):
        begin_request([(REQUEST_ID, "r-1")])
        try:
            raise ValueError("reason")
        except ValueError:
            log.exception("failed")
        (part,) = await read(logs)
        fields = part.records[0].fields
        assert fields["request_id"] == "r-1"
        assert fields["exception"].endswith("ValueError: reason")


async def test_a_record_that_cannot_be_printed_stops_nothing(monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with kept() as (logs, log):
        log.info("bad", extra={"value": Unprintable()})
        log.info("%d", "no number")
        log.info("good")
        (part,) = await read(logs)
        assert [(record.number, record.event) for record in part.records] == [(1, "good")]


async def test_records_of_many_threads_are_each_kept_once():
    with kept() as (logs, log):
        threads = [threading.Thread(target=lines, args=(log, 100)) for _ in range(8)]
        async with aclosing(logs.stream(StreamLogsRequest())) as stream:
            for thread in threads:
                thread.start()
            found = []
            async for part in stream:
                found += [record.number for record in part.records]
                if len(found) >= 800:
                    break
        assert found == list(range(1, 801))
