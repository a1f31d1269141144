"""Rubbish between the good frames of a capture: skipped, counted, logged once, and nothing else."""

import json
from collections import Counter
from decimal import Decimal

import pytest

from tests.integration import capture, recorded
from tests.integration.conftest import wait_until_recorded
from tests.integration.mesh import NO_TRADING, VENUE, new_folder, replaying

pytestmark = pytest.mark.integration

FRAMES = 600
"""Good ones that are played."""
TIMES = 3
"""Number of copies of each bad frame."""
LARGE_BYTES = 20 * 1024 * 1024


def event(stream, **data):
    """A frame of a stream that the venue is subscribed to."""
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()


def bad_frames(trade, quote, update):
    """Every kind of invalid frame; some have the ids of later events."""
    known = {"s": "BTCUSDT", "t": trade.trade_id, "T": 1723161255342, "m": True}
    good = known | {"p": "61837.63", "q": "0.02"}
    ticker = {"s": "BTCUSDT", "u": quote.sequence, "b": "1", "B": "1", "a": "2", "A": "1"}
    depth = {"s": "BTCUSDT", "E": 1723161255342, "U": update.first, "u": update.last, "a": []}
    return [
        b'{"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT","t":1',
        b'{"stream":"btcusdt@trade","data":[]}',
        b'{"stream":"btcusdt@trade"}',
        b'{"stream":"btcusdt@trade","data":{"s":"\xff\xfe"}}',
        b'{"stream":',
        b"\x00\xff\xfe\x80\x9drubbish\x07",
        b'{"msg":"\xff\xfe"}',
        b"null",
        b"[]",
        b'{"e":"neverHeardOf","s":"BTCUSDT"}',
        event("btcusdt@trade", e="neverHeardOf", s="BTCUSDT"),
        event("btcusdt@trade", **good, padding="x" * LARGE_BYTES),
        event("btcusdt@trade", **good | {"s": "NEVERUSDT"}),
        event("btcusdt@trade", **good | {"t": 10**30}),
        event("btcusdt@trade", **good | {"t": "one"}),
        *(
            event("btcusdt@trade", **good | {key: number})
            for key in "pq"
            for number in ("NaN", "Infinity", "", "-", "1,5", "0x10", "9" * 40, True)
        ),
        *(event("btcusdt@bookTicker", **ticker | {"b": text}) for text in ("NaN", "1,5", "")),
        *(
            event("btcusdt@depth@100ms", **depth | {"b": side})
            for side in ([[]], [["1"]], [["NaN", "1"]], [["1", "-"]], [["1", {}]], "", None)
        ),
    ]


@pytest.fixture(scope="module")
def good(short_capture):
    """The good frames, and one more with a number that is written in an unusual way."""
    frames = capture.lines(short_capture)[:FRAMES]
    last = capture.read(frames).trades[-1]
    tiny = {"s": "BTCUSDT", "t": last.trade_id + 1, "T": 1723161265342, "m": True}
    return [*frames, event("btcusdt@trade", **tiny, p="61837.63", q="1e-7")]


@pytest.fixture(scope="module")
def truth(good):
    """The events of the frames."""
    return capture.read(good)


@pytest.fixture(scope="module")
def bad(truth):
    """The bad frames."""
    channels = (truth.trades, truth.quotes, truth.updates)
    return bad_frames(*(events[len(events) // 2] for events in channels))


@pytest.fixture(scope="module")
def mesh(good, bad, truth):
    """A mesh that has played them all."""
    with new_folder() as folder:
        file = folder / "frames.jsonl"
        # Before the events whose place they take, and each as often in a row as between others.
        place = len(good) // 3
        rubbish = [*bad, *(frame for frame in bad for _ in range(TIMES - 1))]
        file.write_bytes(b"\n".join([*good[:place], *rubbish, *good[place:]]) + b"\n")
        with replaying(file, "max", *NO_TRADING) as running:
            wait_until_recorded(running, truth)
            yield running


def test_the_good_events_are_all_there_and_no_others(mesh, truth):
    assert recorded.trades(mesh) == truth.trades
    assert recorded.quotes(mesh) == truth.quotes
    _, *rest = recorded.book_updates(mesh)
    assert [found.update for found in rest] == truth.joining_updates
    assert mesh.sql("SELECT symbol FROM instruments") == [("BTCUSDT",)]


def test_a_number_with_an_exponent_is_read_exactly(mesh):
    assert recorded.trades(mesh)[-1].size == Decimal("0.0000001")


def test_the_feed_continued_without_a_gap(mesh):
    assert recorded.gaps(mesh) == []
    status = mesh.get(f"/v1/services/{VENUE}/status")[1]
    assert status["status"]["reconnects_total"] == "0"
    assert mesh.children()[VENUE]["restarts"] == 0


def test_each_kind_is_logged_once_with_its_text(mesh):
    # A machine that stalls is warned of besides, without the text of a frame.
    lines = [one for one in mesh.log(VENUE) if one["level"] == "warning" and "text" in one]
    kinds = Counter(line["event"] for line in lines)
    assert set(kinds.values()) == {1}, kinds
    wanted = {"oversized frame", "unknown event", "symbol not subscribed"}
    wanted |= {f"malformed {channel}" for channel in ("trades", "quotes", "book")}
    assert wanted <= set(kinds)
    assert all(len(line["text"]) <= 500 for line in lines)


def test_every_bad_frame_is_counted(mesh, bad):
    counters = mesh.get(f"/v1/services/{VENUE}/status")[1]["counters"]
    assert counters["skipped_frames_total"] == TIMES * len(bad)
    page = [line for line in mesh.metrics(VENUE).splitlines() if "skipped_frames_total{" in line]
    assert sum(float(line.rpartition(" ")[2]) for line in page) == TIMES * len(bad)
