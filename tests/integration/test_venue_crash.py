"""kill -9 of the venue process loses unpublished events, and gaps are recorded for them."""

import os
import signal
import time
from itertools import pairwise
from unittest import mock

import pytest
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc

from tests.integration import capture, recorded
from tests.integration.mesh import NO_TRADING, SYMBOL, VENUE, metadata, replaying

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

SPEED = "1"
KILLED_AT = (0.2, 0.6)
"""Shares of the capture. Between them a busy machine has time to start the venue again."""
UNREAD_FRAMES = 150
NUMBERS = {"trades": "trade_id", "quotes": "sequence"}
SECOND_NS = capture.NANOSECONDS_PER_SECOND
END_SECONDS_MAX = 60.0
BY_HAND = {"VENUEMESH_REPAIR_AUTOMATIC": "false"}
"""Repair is off, so that missing trades stay missing."""


@pytest.fixture(scope="module")
def truth(short_capture):
    """The events of the played capture."""
    return capture.read(capture.lines(short_capture))


@pytest.fixture(scope="module")
def mesh(short_capture, truth):
    """A mesh whose venue process was killed twice."""
    frames = len(capture.lines(short_capture))
    with (
        mock.patch.dict(os.environ, BY_HAND),
        replaying(short_capture, SPEED, *NO_TRADING) as running,
    ):
        epoch = 0
        for share in KILLED_AT:
            running.wait_until(lambda epoch=epoch: recorded_epoch(running) > epoch, "it is read")
            epoch = recorded_epoch(running)
            kill_with_full_hands(running, int(share * frames))
        running.wait_until(lambda: running.replay()["finished"], "the capture has been played")
        running.wait_until(
            lambda: recorded.last_trade(running) == truth.trades[-1], "the last trade"
        )
        running.wait_until(
            lambda: recorded.last_quote(running) == truth.quotes[-1], "the last quote"
        )
        yield running


def recorded_epoch(running):
    """The newest recorded epoch of the venue."""
    return running.sql("SELECT coalesce(max(epoch), 0) FROM stream_positions")[0][0]


def kill_with_full_hands(running, frames):
    """Kill the venue at this place of the capture, with frames that it has not handled."""
    running.wait_until(
        lambda: running.replay()["frames_played"] > frames, "its place on the capture"
    )
    os.kill(running.children()[VENUE]["pid"], signal.SIGSTOP)
    stopped_at = running.replay()["frames_played"]
    running.wait_until(
        lambda: running.replay()["frames_played"] > stopped_at + UNREAD_FRAMES, "frames wait"
    )
    running.kill(VENUE)


@pytest.mark.parametrize("channel", NUMBERS)
def test_missing_trades_are_exactly_those_of_the_gaps(channel, mesh, truth):
    number = NUMBERS[channel]
    rows = mesh.sql(f"SELECT {number}, received_time_ns FROM {channel} ORDER BY {number}")
    expected = [event[0] for event in getattr(truth, channel)]
    lost = set(expected) - {id_ for id_, _ in rows}
    assert lost
    reported = set()
    for gap in gaps_of(mesh, channel):
        before = max(id_ for id_, received_ns in rows if received_ns < gap.detected_time_ns)
        after = min(id_ for id_, received_ns in rows if received_ns >= gap.detected_time_ns)
        reported.update(id_ for id_ in expected if before < id_ < after)
    assert reported == lost


@pytest.mark.parametrize("channel", ["trades", "quotes", "book"])
def test_each_restart_is_a_gap_of_each_channel(channel, mesh):
    assert mesh.children()[VENUE]["restarts"] == len(KILLED_AT)
    reasons = [gap.reason for gap in gaps_of(mesh, channel)]
    assert reasons.count("restart") == len(KILLED_AT)


def test_recorded_events_equal_those_of_the_capture(mesh, truth):
    assert set(recorded.trades(mesh)) <= set(truth.trades)
    assert set(recorded.quotes(mesh)) <= set(truth.quotes)
    for events in (recorded.trades(mesh), recorded.quotes(mesh)):
        assert all(one[0] < other[0] for one, other in pairwise(events))


def test_the_book_continues_only_from_a_snapshot(mesh, truth):
    snapshot, *rest = recorded.book_updates(mesh)
    assert snapshot.snapshot
    assert [found.update for found in rest] == truth.joining_updates[: len(rest)]
    stub = market_data_pb2_grpc.MarketDataStub(mesh.channel)
    request = market_data_pb2.GetOrderBookRequest(venue=VENUE, symbol=SYMBOL)
    # The only snapshot of the capture is older than what was missed.
    served = stub.GetOrderBook(request, metadata=metadata())
    assert served.state != market_data_pb2.BOOK_STATE_PROVEN


def test_incomplete_bars_are_marked(mesh, truth):
    there = recorded.trades(mesh)
    mesh.wait_until(
        lambda: recorded.bars(mesh, "1s") == capture.bars(there, 1), "the bars of all trades"
    )
    rows = mesh.sql("SELECT open_time_ns, covered_ns FROM bars WHERE interval = '1s'")
    covered = dict(rows)
    for trade in set(truth.trades) - set(there):
        open_ns = trade.time_ns - trade.time_ns % SECOND_NS
        assert covered.get(open_ns, 0) < SECOND_NS


def test_a_killed_supervisor_leaves_no_processes(mesh):
    mesh.process.kill()
    mesh.process.wait()
    deadline = time.monotonic() + END_SECONDS_MAX
    while left := mesh.leftovers():
        assert time.monotonic() < deadline, left


def gaps_of(mesh, channel):
    """The gaps of one channel."""
    return [gap for gap in recorded.gaps(mesh) if gap.channel == channel]
