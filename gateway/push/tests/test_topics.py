"""Topics: what slow readers get, and how one resumes."""

import asyncio

import pytest

from gateway.push.channels import CONFLATED, LOSSLESS, TopicKey
from gateway.push.conflated_topic import ConflatedTopic
from gateway.push.encoding import Encoding
from gateway.push.feeds.paced_feed import PacedFeed
from gateway.push.lossless_topic import LosslessTopic
from gateway.push.subscription import TopicReader
from gateway.push.tests.conftest import FakeFeed, next_of, quote, subscribe
from gateway.push.tests.test_server import NEWEST, QUOTES
from gateway.push.updates import Update
from kit.base.clock import SystemClock
from kit.base.errors import UnknownService
from tests.support.waiting import until

LOSSLESS_KEY = TopicKey("quotes", "binance", "BTCUSDT", delivery=LOSSLESS)
LOGS_KEY = TopicKey("logs", delivery=LOSSLESS)
CONFLATED_KEY = TopicKey("quotes", "binance", delivery=CONFLATED, interval_ms=10)
LARGE = "x" * 40_000


class FakeSink:
    """A socket that takes bytes, or does not."""

    def __init__(self, encoding=Encoding.JSON):
        self.encoding = encoding
        self.is_writable = True
        self.messages = []
        self.frames = []
        self.endings = []

    def write(self, frame):
        self.frames.append(frame)
        self.messages.append(self.encoding.read(frame))

    def ended(self, reader, position, error):
        self.endings.append((position, error["details"][0]["reason"]))

    @property
    def cursors(self):
        return [one["cursor"] for one in self.messages if one["type"] == "data"]

    @property
    def prices(self):
        return [row["bid_price"] for one in self.messages for row in one["rows"]]


def reading(topic, sink=None, position=None):
    reader = TopicReader(sink or FakeSink(), topic, position)
    reader.begin()
    return reader


def test_a_topic_of_logs_begins_with_what_it_keeps():
    topic, early, late = LosslessTopic(LOGS_KEY, 1_000), FakeSink(), FakeSink()
    topic.publish([Update(position=(1, 0))])
    reading(topic, early)
    for number in range(1, 50):
        topic.publish([quote(number)])
    reading(topic, late)
    kept = late.cursors
    assert kept == early.cursors[-len(kept) :]
    assert 1 < len(kept) < 49
    assert (late.messages[0]["rows"], late.messages[0]["cursor"]) == ([], f"1-{49 - len(kept)}")
    topic.publish([quote(50)])
    assert late.cursors == [*kept, "1-50"]


def test_all_readers_of_an_encoding_get_the_same_bytes():
    topic, sinks = LosslessTopic(LOSSLESS_KEY, 10_000), [FakeSink(), FakeSink()]
    binary = FakeSink(Encoding.MSGPACK)
    for sink in (*sinks, binary):
        reading(topic, sink)
    topic.publish([quote(1)])
    assert sinks[0].frames[-1] is sinks[1].frames[-1]
    assert binary.messages[-1] == sinks[0].messages[-1]


def test_a_reader_that_is_late_for_a_while_misses_nothing():
    topic, sink = LosslessTopic(LOSSLESS_KEY, 10_000), FakeSink()
    reader = reading(topic, sink)
    sink.is_writable = False
    topic.publish([quote(1), quote(2)])
    assert sink.cursors == []
    sink.is_writable = True
    reader.wake()
    assert sink.cursors == ["1-1", "1-2"]


def test_a_reader_that_is_too_late_ends_with_its_cursor_and_disturbs_nobody():
    topic, slow, quick = LosslessTopic(LOSSLESS_KEY, 1_000), FakeSink(), FakeSink()
    for sink in (slow, quick):
        reading(topic, sink)
    topic.publish([quote(1)])
    slow.is_writable = False
    for number in range(2, 100):
        topic.publish([quote(number)])
    assert slow.endings == [((1, 1), "SUBSCRIBER_TOO_SLOW")]
    assert quick.cursors == [f"1-{number}" for number in range(1, 100)]
    assert topic.history_bytes <= 1_000 + len(quick.frames[-1])
    assert len(topic.readers) == 1


def test_a_reader_that_has_nothing_yet_and_is_too_late_has_no_cursor():
    topic, sink = LosslessTopic(LOSSLESS_KEY, 300), FakeSink()
    reading(topic, sink)
    sink.is_writable = False
    topic.publish([quote(number) for number in range(1, 9)])
    assert sink.endings == [(None, "SUBSCRIBER_TOO_SLOW")]


@pytest.mark.parametrize("after", range(1, 4))
def test_a_reader_resumes_within_what_is_kept(after):
    topic, sink = LosslessTopic(LOSSLESS_KEY, 10_000), FakeSink()
    topic.publish([quote(number) for number in range(1, 4)])
    assert topic.holds((1, after))
    reading(topic, sink, position=(1, after))
    assert sink.cursors == [f"1-{number}" for number in range(after + 1, 4)]
    assert not topic.holds((1, 0))
    assert not topic.holds((1, 4))
    assert not topic.holds((0, 9))


def test_a_reader_of_the_past_goes_on_in_the_shared_topic_without_hole_or_repetition():
    shared, sink = LosslessTopic(LOSSLESS_KEY, 10_000), FakeSink()
    shared.publish([quote(5), quote(6)])
    past = LosslessTopic(LOSSLESS_KEY, 10_000, after=(1, 2), successor=shared)
    reading(past, sink, position=(1, 2))
    past.publish([quote(3), quote(4)])
    shared.publish([quote(7)])
    past.publish([quote(5)])
    shared.publish([quote(8)])
    assert sink.cursors == [f"1-{number}" for number in range(3, 9)]
    assert (len(past.readers), len(shared.readers)) == (0, 1)


async def test_the_past_is_not_read_faster_than_its_reader():
    shared, sink = LosslessTopic(LOSSLESS_KEY, 10_000), FakeSink()
    past = LosslessTopic(LOSSLESS_KEY, 1_000, after=(1, 0), successor=shared)
    reader = reading(past, sink, position=(1, 0))
    sink.is_writable = False
    past.publish([quote(number) for number in range(1, 7)])
    waiting = asyncio.create_task(past.has_room())
    await asyncio.sleep(0)
    assert not waiting.done()
    sink.is_writable = True
    reader.wake()
    await waiting
    assert (sink.endings, len(sink.cursors)) == ([], 6)


def test_a_late_reader_of_the_newest_skips_what_was_replaced():
    topic, sink = ConflatedTopic(CONFLATED_KEY), FakeSink()
    reader = reading(topic, sink)
    topic.publish([quote(1)])
    sink.is_writable = False
    for number in range(2, 100):
        topic.publish([quote(number), quote(1_000 + number, "ETHUSDT")])
    sink.is_writable = True
    reader.wake()
    assert sink.prices == ["1", "99", "1099"]
    assert sink.endings == []


def test_a_snapshot_of_the_newest_has_every_key():
    topic = ConflatedTopic(CONFLATED_KEY)
    topic.publish([quote(1), quote(2, "ETHUSDT"), quote(3)])
    first, second = FakeSink(), FakeSink()
    for sink in (first, second):
        reading(topic, sink)
    assert sorted(first.prices) == ["2", "3"]
    assert [one["type"] for one in first.messages] == ["snapshot"]
    assert first.frames[0] is second.frames[0]


def test_a_subscription_that_waits_for_its_first_state_gets_it_as_a_snapshot():
    topic, sink = ConflatedTopic(CONFLATED_KEY), FakeSink()
    reading(topic, sink)
    assert sink.messages == []
    topic.publish([])
    topic.publish([quote(1)])
    assert [one["type"] for one in sink.messages] == ["snapshot", "data"]


async def test_a_paced_feed_yields_the_newest_of_each_key_and_then_its_error():
    feed = FakeFeed(CONFLATED_KEY, [])
    stream = PacedFeed(feed, 0.01, SystemClock()).updates(None)
    for update in (quote(1), quote(2, "ETHUSDT"), quote(3), ValueError("gone")):
        feed.put(update)
    found = {}

    async def read():
        async for updates in stream:
            found.update({update.key: update.rows[0]["bid_price"] for update in updates})

    with pytest.raises(ValueError, match="gone"):
        await read()
    assert found == {"BTCUSDT": "3", "ETHUSDT": "2"}


async def test_a_stream_that_is_lost_before_its_first_message_is_a_gap(websockets, connect):
    socket = await connect()
    await subscribe(socket, QUOTES)
    websockets.feeds.opened[0].put(UnknownService("away", name="bridge"))
    assert (await next_of(socket, "data"))["gaps"][0]["reason"] == "GAP_REASON_RECONNECT"


async def test_a_stream_that_is_lost_continues_after_its_last_message(websockets, connect):
    socket = await connect()
    await subscribe(socket, QUOTES)
    feed = websockets.feeds.opened[0]
    feed.put(quote(1))
    feed.put(UnknownService("away", name="bridge"))
    await until(lambda: len(feed.asked_after) == 2)
    feed.put(quote(2))
    assert [(await next_of(socket, "data"))["cursor"] for _ in range(2)] == ["1-1", "1-2"]
    assert feed.asked_after == [None, (1, 1)]


@pytest.mark.parametrize("settings", [{"history_bytes_max": 200_000, "write_buffer_bytes": 65_536}])
async def test_a_client_that_does_not_read_disturbs_nobody(websockets, connect):
    slow, quick = await connect(), await connect()
    for socket in (slow, quick):
        await subscribe(socket, QUOTES, NEWEST)
    lossless, newest = websockets.feeds.opened
    for number in range(1, 301):
        lossless.put(quote(number, text=LARGE))
        newest.put(quote(number, text=LARGE))
        while (await next_of(quick, "data", "snapshot"))["topic"].endswith("100"):
            pass
    readers = {
        running.topic.key.is_lossless: len(running.topic.readers)
        for running in websockets.topics._shared.values()
    }
    # The lossless subscription has ended, the conflated one waits.
    assert readers == {True: 1, False: 2}


def test_an_update_without_rows_only_says_where_the_stream_is():
    topic, sink = LosslessTopic(LOSSLESS_KEY, 10_000), FakeSink()
    topic.publish([Update(position=(7,))])
    assert topic.holds((7,))
    reading(topic, sink)
    assert sink.messages[0]["cursor"] == "7"
    topic.publish([Update([{"symbol": "x"}], "x", (8,))])
    assert sink.cursors == ["8"]
