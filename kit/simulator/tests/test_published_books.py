"""What a feed says of its books adds up to them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from kit.simulator.market import INSTRUMENTS, SimulatedMarket
from kit.simulator.market_events import Instrument
from kit.simulator.published_books import PublishedBooks

OPENING_NS = 1_790_000_000_000_000_000
STEP_NS = 5_000_000
WHOLE = 1_000_000


class Follower:
    """A book of one snapshot and the changes after it."""

    def __init__(self, published: PublishedBooks, instrument: Instrument) -> None:
        snapshot = published.snapshot(instrument, WHOLE)
        self.last = snapshot.sequence
        self.sides = [dict(snapshot.bids), dict(snapshot.asks)]

    def follow(self, instrument: Instrument, changes) -> None:
        assert changes.previous == self.last, "nothing is missing between"
        assert changes.first > changes.previous
        assert changes.last >= changes.first
        self.last = changes.last
        for side, levels in zip(self.sides, (changes.bids, changes.asks), strict=True):
            for ticks, lots in levels:
                price = instrument.price_text(ticks)
                if lots:
                    side[price] = instrument.size_text(lots)
                else:
                    side.pop(price, None)


def texts(market: SimulatedMarket, instrument: Instrument) -> list[dict[str, str]]:
    return [
        {
            instrument.price_text(ticks): instrument.size_text(lots)
            for ticks, lots in market.levels(instrument, is_bid, WHOLE)
        }
        for is_bid in (True, False)
    ]


@settings(max_examples=20, deadline=None)
@given(
    seed=st.text(max_size=4),
    steps_per_interval=st.integers(1, 30),
    intervals_before=st.integers(1, 5),
    steps_ahead=st.integers(0, 40),
)
def test_a_snapshot_and_the_changes_after_it_are_the_markets_book(
    seed, steps_per_interval, intervals_before, steps_ahead
):
    instruments = INSTRUMENTS[:2]
    market = SimulatedMarket(seed, OPENING_NS, 5_000, instruments)
    published = PublishedBooks()

    def run(steps: int) -> None:
        for _ in range(steps):
            published.note(market.advance(market.time_ns + STEP_NS))

    for _ in range(intervals_before):
        run(steps_per_interval)
        said = [published.changes(one) for one in instruments]
        assert all(one is not None for one in said)
    run(steps_ahead)
    followers = [Follower(published, one) for one in instruments]
    for _ in range(5):
        run(steps_per_interval)
        for instrument, follower in zip(instruments, followers, strict=True):
            changes = published.changes(instrument)
            if changes is not None:
                follower.follow(instrument, changes)
    for instrument, follower in zip(instruments, followers, strict=True):
        assert follower.sides == texts(market, instrument)
        assert follower.last == market.sequence(instrument)


def test_a_snapshot_is_cut_to_its_depth_best_levels_first():
    market = SimulatedMarket("1", OPENING_NS, 200, INSTRUMENTS[:1])
    published = PublishedBooks()
    published.note(market.advance(OPENING_NS + STEP_NS))
    (instrument,) = market.instruments
    assert published.snapshot(instrument, 5).bids == []
    published.changes(instrument)
    book = published.snapshot(instrument, 5)
    expected = market.levels(instrument, True, 5), market.levels(instrument, False, 5)
    for side, levels in zip((book.bids, book.asks), expected, strict=True):
        assert side == [
            (instrument.price_text(ticks), instrument.size_text(lots)) for ticks, lots in levels
        ]


def test_an_interval_without_changes_publishes_nothing():
    published = PublishedBooks()
    assert published.changes(INSTRUMENTS[0]) is None
    assert published.snapshot(INSTRUMENTS[0], 5).sequence == 0
