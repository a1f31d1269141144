"""Faults do what they say, and nothing else."""

import itertools
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.base.errors import SettingError
from kit.simulator.dialect import Channel, ExchangeStream, Frame
from kit.simulator.fault_commands import FaultCommand, FaultKind, read_script
from kit.simulator.faults import (
    NOTHING,
    UNKNOWN_EVENT,
    ConnectionDrop,
    FaultInjector,
)
from kit.simulator.outgoing_frames import OutgoingFrameQueue

TRADES_A = ExchangeStream("trades/A", Channel.TRADES, "A")
TRADES_B = ExchangeStream("trades/B", Channel.TRADES, "B")
BOOK_A = ExchangeStream("book/A", Channel.BOOK, "A")
STREAMS = [TRADES_A, TRADES_B, BOOK_A]
SECOND_NS = 1_000_000_000


def frames_of(count: int) -> list[Frame]:
    """Frames that take turns on three streams."""
    return [(STREAMS[number % 3], f"payload {number}".encode()) for number in range(count)]


class Way(FaultInjector):
    """Faults, and one connection with all streams."""

    mailbox: OutgoingFrameQueue

    def applied(
        self, frames: list[Frame], heard=STREAMS, shape=None
    ) -> list[Frame | ConnectionDrop]:
        found: list[Frame | ConnectionDrop] = []
        for part in self.apply(frames, heard):
            if isinstance(part, ConnectionDrop):
                found.append(part)
                continue
            for outgoing in part:
                found += [(outgoing.stream, text) for text in self.mailbox.open([outgoing], shape)]
        return found

    def released(self) -> list[bytes]:
        self.release()
        return self.mailbox.empty()


def faults_of(*orders: FaultCommand, seed: int = 1, own=NOTHING) -> Way:
    way = Way("fake", seed, orders, own)
    way.mailbox = OutgoingFrameQueue()
    return way


def order(fault: str, **fields) -> FaultCommand:
    return FaultCommand(venue="fake", fault=fault, **fields)


def payloads(found) -> list[bytes]:
    return [payload for _, payload in found]


def test_without_faults_frames_pass_untouched():
    faults = faults_of()
    assert faults.quiet
    assert faults.applied(frames_of(9)) == frames_of(9)


def test_drop_takes_one_frame_of_the_named_stream_only():
    frames = frames_of(9)
    faults = faults_of(order("drop", symbol="A", channel="book"))
    assert faults.applied(frames) == frames[:2] + frames[3:]
    assert faults.quiet


def test_duplicate_sends_a_frame_twice():
    frames = frames_of(4)
    faults = faults_of(order("duplicate", symbol="B"))
    assert faults.applied(frames) == [*frames[:2], frames[1], *frames[2:]]


def test_reorder_swaps_a_frame_with_the_next_of_its_stream_across_calls():
    frames = frames_of(9)
    faults = faults_of(order("reorder", channel="trades", symbol="A"))
    assert faults.applied(frames[:2]) == [frames[1]]
    assert not faults.quiet
    assert faults.applied(frames[2:]) == [frames[2], frames[3], frames[0], *frames[4:]]
    assert faults.quiet


def test_a_held_frame_is_released_at_the_end():
    frames = frames_of(1)
    faults = faults_of(order("reorder"))
    assert faults.applied(frames) == []
    assert faults.released() == payloads(frames)
    assert faults.released() == []


@pytest.mark.parametrize("fault", ["malformed", "unknown_event", "huge"])
def test_extra_frames_are_sent_before_without_loss(fault):
    frames = frames_of(3)
    found = faults_of(order(fault, symbol="B")).applied(frames)
    (extra,) = [frame for frame in found if frame not in frames]
    assert found == [frames[0], extra, *frames[1:]]
    assert extra[0] is TRADES_B
    if fault == "malformed":
        assert frames[1][1].startswith(extra[1])
        assert 0 < len(extra[1]) < len(frames[1][1])
    elif fault == "huge":
        assert len(extra[1]) > 20_000_000
    else:
        assert extra[1] == UNKNOWN_EVENT


@pytest.mark.parametrize("fault", ["disconnect", "reset", "stall"])
def test_cuts_stand_before_the_frame_that_they_waited_for(fault):
    frames = frames_of(3)
    found = faults_of(order(fault, symbol="B")).applied(frames)
    assert found == [frames[0], ConnectionDrop(FaultKind(fault), TRADES_B), *frames[1:]]


def test_a_frame_without_subscribers_uses_no_fault():
    faults = faults_of(order("drop"))
    assert faults.applied(frames_of(3), heard=[BOOK_A]) == []
    assert faults.applied(frames_of(3), heard=[TRADES_A]) == frames_of(1)


def test_a_fault_fires_with_its_probability_until_it_is_switched_off():
    faults = faults_of(order("drop", probability=0.1, count=0))
    left = faults.applied(frames_of(10_000))
    assert 8_800 < len(left) < 9_200
    (status,) = faults.status()
    assert status["fired"] == 10_000 - len(left)
    faults.clear()
    assert faults.applied(frames_of(100)) == frames_of(100)


@given(seed=st.integers(0, 99), sizes=st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_the_same_seed_gives_the_same_faults_in_blocks_of_any_size(seed, sizes):
    frames = frames_of(sum(sizes))
    orders = [order(kind, probability=0.2, count=0) for kind in ("drop", "duplicate", "reorder")]
    whole, pieces = (faults_of(*orders, seed=seed) for _ in range(2))
    expected = payloads(whole.applied(frames)) + whole.released()
    found = []
    for size in sizes:
        found += pieces.applied(frames[:size])
        frames = frames[size:]
    assert payloads(found) + pieces.released() == expected


@given(seed=st.integers(0, 99))
def test_dropped_doubled_and_swapped_frames_account_for_every_difference(seed):
    frames = frames_of(300)
    faults = faults_of(
        *(order(kind, probability=0.05, count=0) for kind in ("drop", "duplicate", "reorder")),
        seed=seed,
    )
    counts = Counter(payloads(faults.applied(frames)) + faults.released())
    fired = {one["fault"]: one["fired"] for one in faults.status()}
    assert sum(count == 2 for count in counts.values()) == fired["duplicate"]
    assert len(frames) - len(counts) == fired["drop"]


def test_lost_doubled_and_late_frames_are_counted():
    numbers = itertools.count()
    faults = faults_of(*(order(kind) for kind in ("drop", "duplicate", "reorder", "malformed")))
    frames = [(TRADES_A, outgoing) for outgoing in (b"a", b"b", b"c", b"d", b"efgh", b"i")]
    found = faults.applied(frames, shape=lambda payload: b"%d%b" % (next(numbers), payload))
    assert payloads(found) == [b"1b", b"1b", b"3d", b"2c", b"4e", b"4efgh", b"5i"]


def test_a_venue_has_faults_of_its_own():
    own = {
        "empty": lambda frame: [(frame[0], b"")],
        "lose_books": lambda frame: [] if frame[0] is BOOK_A else [frame],
    }
    frames = frames_of(9)
    faults = faults_of(order("empty", symbol="B"), order("lose_books"), own=own)
    expected = [frames[0], (TRADES_B, b""), *frames[3:]]
    assert faults.applied(frames) == expected
    assert faults.quiet
    with pytest.raises(ValueError, match="lose_books"):
        faults.add(order("explode"))


def test_a_fault_waits_for_its_time_by_the_venues_own_clock():
    faults = faults_of(order("drop", at_s=5))
    faults.advance(100 * SECOND_NS)
    assert faults.applied(frames_of(2)) == frames_of(2)
    faults.advance(105 * SECOND_NS)
    assert faults.applied(frames_of(2)) == frames_of(2)[1:]


def test_a_sequence_gap_is_in_a_book_where_nothing_else_is_said():
    frames = frames_of(9)
    assert faults_of(order("sequence_gap")).applied(frames) == frames[:2] + frames[3:]
    named = faults_of(order("sequence_gap", channel="trades"))
    assert named.applied(frames) == frames[1:]


@pytest.mark.parametrize(("seconds", "silent_s"), [(3, 3), (0, 1_000)])
def test_silence_lasts_and_concerns_one_symbol(seconds: float, silent_s: int):
    faults = faults_of(order("silence", symbol="A", seconds=seconds))
    frames, heard = frames_of(9), []
    for second in range(silent_s + 1):
        faults.advance((100 + second) * SECOND_NS)
        heard.append(faults.applied(frames))
    assert heard[:silent_s] == [frames[1::3]] * silent_s
    assert (heard[-1] == frames) == (seconds > 0)
    assert faults.quiet == (seconds > 0)


def test_subscriptions_fail_by_stream():
    faults = faults_of(order("ack_then_silence", symbol="A", channel="book"))
    assert faults.quiet
    assert faults.on_subscription(TRADES_A) is None
    fault = faults.on_subscription(BOOK_A)
    assert fault is not None
    assert fault.fault == FaultKind.ACK_THEN_SILENCE
    assert faults.on_subscription(BOOK_A) is None


def test_messages_of_a_client_are_ignored_for_a_while():
    faults = faults_of(order("no_pong", seconds=2))
    faults.advance(100 * SECOND_NS)
    assert faults.on_message() is not None
    faults.advance(101 * SECOND_NS)
    assert faults.on_message() is not None
    faults.advance(102 * SECOND_NS)
    assert faults.on_message() is None
    assert list(faults.status()) == []


def test_a_registered_action_runs_when_it_is_due():
    faults, done = faults_of(), []
    with pytest.raises(ValueError, match="allowed are"):
        faults.add(order("halt", symbol="A"))
    faults.register("halt", lambda one: done.append(one.symbol))
    assert "halt" in faults.known
    faults.advance(100 * SECOND_NS)
    faults.add(order("halt", symbol="A"))
    faults.add(order("halt", symbol="B", at_s=5))
    assert done == ["A"]
    assert len(faults.status()) == 1
    faults.advance(105 * SECOND_NS)
    assert done == ["A", "B"]
    assert list(faults.status()) == []
    assert faults.quiet


def test_an_impossible_action_is_rejected_at_once_and_logged_later():
    def refuse(one: FaultCommand) -> None:
        raise ValueError("no such instrument")

    faults = faults_of()
    faults.register("halt", refuse)
    with pytest.raises(ValueError, match="no such instrument"):
        faults.add(order("halt"))
    faults.add(order("halt", at_s=1))
    faults.advance(100 * SECOND_NS)
    faults.advance(200 * SECOND_NS)
    assert list(faults.status()) == []


def test_the_opening_of_a_websocket_is_rejected_only_by_its_path():
    faults = faults_of(order("rest_429"), order("rest_429", path="/ws"))
    found = faults.on_call("/ws", opens_websocket=True)
    assert found is not None
    assert found.path == "/ws"
    assert faults.on_call("/ws", opens_websocket=True) is None
    assert faults.on_call("/time") is not None


def test_rest_faults_concern_paths():
    faults = faults_of(order("rest_429", path="depth", seconds=7, count=2))
    assert faults.on_call("/api/v3/time") is None
    first = faults.on_call("/api/v3/depth")
    assert first is not None
    assert (first.fault, first.seconds) == (FaultKind.REST_429, 7)
    assert faults.on_call("/api/v3/depth") is not None
    assert faults.on_call("/api/v3/depth") is None
    assert faults.quiet


def test_a_script_has_one_command_per_line(tmp_path: Path):
    file = tmp_path / "faults.jsonl"
    file.write_text(
        '{"venue":"fake","fault":"drop","at_s":2}\n\n{"venue":"other","fault":"reset"}\n'
    )
    assert read_script(file) == [
        order("drop", at_s=2),
        FaultCommand(venue="other", fault=FaultKind.RESET),
    ]


@pytest.mark.parametrize(
    "line",
    [
        '{"venue":"fake","fault":"drop","probability":2}',
        '{"venue":"fake","fault":"drop","colour":"red"}',
        "drop",
    ],
)
def test_a_wrong_script_is_rejected_with_its_line(tmp_path: Path, line: str):
    file = tmp_path / "faults.jsonl"
    file.write_text('{"venue":"fake","fault":"drop"}\n' + line)
    with pytest.raises(SettingError, match=r"faults\.jsonl:2"):
        read_script(file)
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(line, type=FaultCommand)
