"""A capture with missing, doubled and swapped frames: holes are gaps, and wrong books unproven.

The capture has three parts: damaged frames; a pause, in which the book stays in doubt; a fresh
snapshot as REST would answer it, and the rest of the frames.
"""

import random
from dataclasses import dataclass
from decimal import Decimal

import pytest
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc

from tests.integration import capture, recorded
from tests.integration.capture import Book, Capture
from tests.integration.followers import BookWatcher, QuoteWatcher, following
from tests.integration.mesh import (
    CALL_SECONDS_MAX,
    NO_TRADING,
    SYMBOL,
    VENUE,
    metadata,
    new_folder,
    replaying,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

SEED = 2
SHARE = 0.01
"""The share of frames that is dropped, that is doubled, and that is swapped."""
SWAP_DISTANCE_MAX = 40
UNTOUCHED_FRAMES = 50
"""Undamaged frames at the start and the end of the damaged part."""
HELD_UPDATES = 3
"""Book updates that came before the fresh snapshot did, and are not in it."""
FRAME_NS = 1_000_000
PAUSE_NS = 15_000_000_000


@dataclass(frozen=True)
class Damaged:
    """The played frames and the expected results."""

    frames: list[bytes]
    pause_at: int
    """Number of frames before the pause."""
    whole: Capture
    """The events of the frames before the damage."""
    played: Capture
    """The events of the played frames."""
    best: dict[int, tuple[Decimal, Decimal]]
    """The true best prices after each update id."""


@pytest.fixture(scope="module")
def damaged(short_capture):
    """The capture that is played here."""
    frames = capture.lines(short_capture)
    whole = capture.read(frames)
    book, best = Book(whole.snapshots[0]), {}
    best[book.last] = book.best
    middle = len(frames) * 2 // 3
    seen = capture.read(frames[:middle]).updates
    for update in whole.joining_updates:
        book.apply(update)
        best[book.last] = book.best
        if update == seen[-HELD_UPDATES - 1]:
            fresh = capture.snapshot_line(book.snapshot())
    first = damage(frames[:middle], random.Random(SEED))
    played = [*first, fresh, *frames[middle:]]
    return Damaged(played, len(first), whole, capture.read(played), best)


def damage(frames, chance):
    """Drop, double and swap some of the frames."""
    touched = range(UNTOUCHED_FRAMES, len(frames) - UNTOUCHED_FRAMES)
    count = int(len(frames) * SHARE)
    result = list(frames)
    for place in chance.sample(touched, count):
        other = place + chance.randint(1, SWAP_DISTANCE_MAX)
        result[place], result[other] = result[other], result[place]
    dropped, doubled = (set(chance.sample(touched, count)) for _ in range(2))
    return [
        frame
        for place, frame in enumerate(result)
        for _ in range(1 + (place in doubled) - (place in dropped))
    ]


@pytest.fixture(scope="module")
def book_watcher(damaged):
    """Compares every proven book with the truth."""
    return BookWatcher(damaged.best)


@pytest.fixture(scope="module")
def quote_watcher():
    """Reads the quotes."""
    return QuoteWatcher()


@pytest.fixture(scope="module")
def states():
    """The state of the book in the pause and at the end."""
    return {}


@pytest.fixture(scope="module")
def mesh(damaged, book_watcher, quote_watcher, states):
    """A mesh that has played it."""
    with new_folder() as folder:
        file = folder / "frames.jsonl"
        file.write_bytes(b"\n".join(damaged.frames) + b"\n")
        times = [
            place * FRAME_NS + (PAUSE_NS if place >= damaged.pause_at else 0)
            for place in range(len(damaged.frames))
        ]
        (folder / "recv_ns.txt").write_text("\n".join(map(str, times)))
        with (
            replaying(file, "1", *NO_TRADING) as running,
            following(running, book_watcher),
            following(running, quote_watcher),
        ):
            watch_states(running, damaged, states)
            wait_for_the_end(running, damaged, book_watcher)
            yield running


def watch_states(running, damaged, states):
    """Ask for the book in the pause."""
    running.wait_until(
        lambda: running.replay()["frames_played"] >= damaged.pause_at, "the capture pauses"
    )

    def is_served() -> bool:
        states["in the pause"] = order_book(running)
        return True

    # The capture is played from the start, and the gateway may hear of the venue later.
    running.wait_until(is_served, "the book is served")
    assert running.replay()["frames_played"] == damaged.pause_at, "too late to see the pause"


def wait_for_the_end(running, damaged, book_watcher):
    """Wait until all events are recorded and received."""
    last = damaged.played.updates[-1].last
    running.wait_until(lambda: book_watcher.last == last, "the book is followed to its end")
    expected = len(kept_trades(damaged.played))
    running.wait_until(lambda: recorded.trade_count(running) >= expected, "all trades")
    running.wait_until(
        lambda: recorded.last_quote(running) == damaged.played.quotes[-1], "the last quote"
    )


def order_book(running):
    """The best prices as the venue serves them."""
    stub = market_data_pb2_grpc.MarketDataStub(running.channel)
    request = market_data_pb2.GetOrderBookRequest(venue=VENUE, symbol=SYMBOL, depth=1)
    return stub.GetOrderBook(request, metadata=metadata(), timeout=CALL_SECONDS_MAX)


def kept_trades(played):
    """Each trade of the frames once, by id."""
    return sorted(set(played.trades))


@pytest.mark.parametrize("channel", ["trades", "quotes", "updates"])
def test_the_capture_is_damaged(channel, damaged):
    ids = [event[0] for event in getattr(damaged.played, channel)]
    assert {event[0] for event in getattr(damaged.whole, channel)} - set(ids)
    assert len(ids) > len(set(ids))
    assert list(dict.fromkeys(ids)) != sorted(set(ids))


def test_every_trade_of_the_frames_is_recorded_once(mesh, damaged):
    assert recorded.trades(mesh) == kept_trades(damaged.played)


def test_missing_trades_are_exactly_those_of_the_gaps(mesh, damaged):
    found = {trade.trade_id for trade in recorded.trades(mesh)}
    missing = set(range(min(found), max(found))) - found
    reported = recorded.missing_ids(recorded.gaps(mesh), "trades")
    assert missing
    assert reported - found == missing


def test_quotes_never_step_back(mesh, damaged, quote_watcher):
    newest, expected = 0, []
    for quote in damaged.played.quotes:
        if quote.sequence > newest:
            newest = quote.sequence
            expected.append(quote)
    assert recorded.quotes(mesh) == expected
    assert quote_watcher.sequences == [quote.sequence for quote in expected]


def test_a_proven_book_is_correct(mesh, damaged, book_watcher):
    assert book_watcher.wrong == []
    # All of the updates before the first hole and after the fresh snapshot, at least.
    assert book_watcher.checked > len(damaged.played.updates) / 3
    assert damaged.played.snapshots[-1].last in book_watcher.snapshots


def test_the_first_hole_of_the_book_is_a_gap(mesh, damaged):
    there = {update.first for update in damaged.played.updates}
    missing = next(u.first for u in damaged.whole.joining_updates if u.first not in there)
    assert missing in recorded.missing_ids(recorded.gaps(mesh), "book")


def test_a_book_with_a_hole_is_in_doubt_and_a_fresh_snapshot_proves_it(mesh, damaged, states):
    assert states["in the pause"].state == market_data_pb2.BOOK_STATE_IN_DOUBT
    final = order_book(mesh)
    assert final.state == market_data_pb2.BOOK_STATE_PROVEN
    best = (Decimal(final.bids[0].price), Decimal(final.asks[0].price))
    assert best == damaged.best[damaged.played.updates[-1].last]
