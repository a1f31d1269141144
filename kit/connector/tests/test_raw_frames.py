"""Frames on their way into CHANNEL_FRAMES."""

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2

from kit.base.cursor import CHANNELS
from kit.base.telemetry import Meter
from kit.connector.feed.raw_frame_publisher import GATHERED_BYTES_MAX, RawFramePublisher
from kit.connector.feed.websocket_feed import WebsocketFeed
from kit.connector.publishing.hub import Hub
from kit.connector.tests.fakes import TRADES, FakeSocket, Stage, trade
from tests.support.manual_clock import ManualClock
from tests.support.waiting import until


class Listener:
    """Gets the events of the connection above."""

    def __init__(self):
        self.heard = []

    def opened(self, socket):
        self.heard.append("opened")

    def frames(self, payloads, received_time_ns):
        self.heard.append(payloads)

    def closed(self, reason):
        self.heard.append(reason)


class RawFrameFixture:
    """Raw frames over simulated sockets."""

    def __init__(self):
        self.clock = ManualClock()
        self.hub = Hub("somewhere", 1, self.clock, Meter("somewhere"))
        self._reader = self.hub.reader({}, earliest=CHANNELS, latest=(), symbols=frozenset())
        self.raw = RawFramePublisher(self.hub)
        self._open = self.raw.over(lambda url, sink, _: FakeSocket(url, sink, self.clock))

    def open(self):
        listener = Listener()
        return self._open("ws://somewhere", listener, None), listener

    def batches(self) -> list[batch_pb2.MarketDataBatch]:
        response = market_data_pb2.SubscribeResponse.FromString(self._reader.take())
        return list(response.batches)


async def test_frames_are_passed_on_whole_and_in_order():
    fixture = RawFrameFixture()
    (first, listener), (second, _) = fixture.open(), fixture.open()
    first.open()
    first.say(b'{"a":1}', b"\0\xff")
    times = [fixture.clock.time_ns()] * 2
    await fixture.clock.advance(1)
    second.say(b"b")
    first.close("gone")
    fixture.raw.publish()
    # On a busy machine the timer may have published a part before.
    batches = fixture.batches()
    assert {batch.channel for batch in batches} == {types_pb2.CHANNEL_FRAMES}
    frames = [frame for batch in batches for frame in batch.frames.frame]
    assert frames == [b'{"a":1}', b"\0\xff", b"b"]
    assert [one for batch in batches for one in batch.frames.connection] == [1, 1, 2]
    received = [one for batch in batches for one in batch.frames.received_time_ns]
    assert received == [*times, fixture.clock.time_ns()]
    assert {entry.symbol for batch in batches for entry in batch.instruments} == {""}
    assert listener.heard == ["opened", [b'{"a":1}', b"\0\xff"], "gone"]


async def test_they_are_published_without_being_asked():
    fixture = RawFrameFixture()
    socket, _ = fixture.open()
    socket.say(b"a")
    found = []
    await until(lambda: found.extend(fixture.batches()) or found)
    assert list(found[0].frames.frame) == [b"a"]
    fixture.raw.publish()
    assert fixture.batches() == []


async def test_many_bytes_do_not_wait():
    fixture = RawFrameFixture()
    socket, _ = fixture.open()
    socket.say(b"x" * (GATHERED_BYTES_MAX - 1))
    assert fixture.batches() == []
    socket.say(b"y")
    (batch,) = fixture.batches()
    assert len(batch.frames.frame) == 2


async def test_a_session_handles_what_is_passed_on():
    stage = Stage()
    raw = RawFramePublisher(stage.hub)
    stage.feed = WebsocketFeed(stage.feed_handler, stage._open, raw_frames=raw)
    try:
        socket = await stage.start("A")
        socket.say(trade(1), trade(2))
        raw.publish()
        assert stage.numbers(TRADES) == [1, 2]
        frames = [frame for batch in stage.heard() for frame in batch.frames.frame]
        assert frames == [trade(1), trade(2)]
    finally:
        await stage.stop()
