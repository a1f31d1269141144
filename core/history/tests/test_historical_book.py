"""The book of the past against a plain one that is changed level by level."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from venuemesh.marketdata.v1 import market_data_pb2

from core.history.historical_book import HistoricalBook
from core.history.tests.book_market import EPOCH, Tape, Update, recorded_gap, stored
from core.history.tests.recorded import START_NS
from kit.base.cursor import Cursor
from kit.marketdata.book.checksum import top_checksum
from kit.marketdata.model.columns import Scale

LATE = 2**62
SYMBOLS = ("BTCUSDT", "ETHUSDT")
STATES = {
    (False, False): market_data_pb2.BOOK_STATE_EMPTY,
    (False, True): market_data_pb2.BOOK_STATE_EMPTY,
    (True, False): market_data_pb2.BOOK_STATE_PROVEN,
    (True, True): market_data_pb2.BOOK_STATE_IN_DOUBT,
}

LEVELS = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 3)), max_size=4)
UPDATES = st.builds(
    Update,
    symbol=st.sampled_from(SYMBOLS),
    bids=LEVELS,
    asks=LEVELS,
    time_ns=st.just(0),
    snapshot=st.sampled_from([False, False, False, True]),
    price_scale=st.sampled_from([2, 2, 4]),
    size_scale=st.sampled_from([0, 0, 3]),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("row"), UPDATES),
        st.tuples(st.just("row"), UPDATES),
        st.tuples(st.just("new block"), UPDATES),
        st.tuples(st.just("hole"), UPDATES),
        st.tuples(st.just("gap"), st.sampled_from(["", *SYMBOLS])),
    ),
    max_size=30,
)


def rebuilt(blocks, gaps, time_ns=LATE, symbol="BTCUSDT"):
    """As Books does it from the database."""
    book = HistoricalBook(symbol, time_ns)
    gaps = [
        gap
        for gap in gaps
        if gap.gap.detected_time_ns <= time_ns and gap.gap.symbol in ("", symbol)
    ]
    for place in reversed(range(len(blocks))):
        if book.begin(blocks[place]):
            book.expect_gaps(gap for gap in gaps if Cursor.of(gap.cursor) > blocks[place].cursor)
            book.follow(blocks[place + 1 :])
            break
    else:
        book.expect_gaps(gaps)
    book.finish()
    return book.answer(1000)


def levels(side):
    return [(Decimal(level.price), Decimal(level.size)) for level in side]


@given(STEPS)
def test_past_book_equals_the_book_at_every_time(steps):
    tape = Tape(SYMBOLS)
    for kind, what in steps:
        if kind == "gap":
            tape.gap(what)
        else:
            tape.row(what, after_gap=kind == "hole", new_block=kind == "new block")
    blocks = tape.stored()
    for time_ns, seen in tape.moments:
        for symbol, (known, doubt, bids, asks) in seen.items():
            answer = rebuilt(blocks, tape.gaps, time_ns, symbol)
            assert answer.book.state == STATES[known, doubt is not None]
            assert answer.doubt.cursor.sequence == (doubt or 0)
            assert (levels(answer.book.bids), levels(answer.book.asks)) == (bids, asks)


def test_response_states_its_cursor_and_times():
    rows = [
        Update("BTCUSDT", [(100, 5)], [(101, 7)], START_NS, snapshot=True),
        Update("BTCUSDT", [(99, 1)], [], START_NS + 5),
    ]
    answer = rebuilt([stored(4, rows[:1]), stored(9, rows[1:])], [])
    assert answer.book.cursor.epoch == EPOCH
    assert answer.book.cursor.sequence == 9
    assert answer.received_time_ns == START_NS + 5
    assert answer.book.venue_time_ns == START_NS + 4
    best = [(100, 5), (99, 1)], [(101, 7)]
    assert answer.book.checksum == top_checksum(*best, Scale(2, 3))
    assert [level.price for level in answer.book.bids] == ["1", "0.99"]


def test_updates_of_another_epoch_are_not_applied():
    rows = [
        Update("BTCUSDT", [(100, 5)], [], START_NS, snapshot=True),
        Update("BTCUSDT", [(99, 1)], [], START_NS + 5, book_epoch=2),
    ]
    answer = rebuilt([stored(4, rows[:1]), stored(5, rows[1:])], [])
    assert answer.book.state == market_data_pb2.BOOK_STATE_IN_DOUBT
    assert "another book" in answer.doubt.gap.detail
    assert levels(answer.book.bids) == [(Decimal(1), Decimal("0.005"))]


def test_numbers_that_do_not_fit_put_the_book_in_doubt():
    rows = [
        Update("BTCUSDT", [(10**17, 5)], [], START_NS, snapshot=True),
        Update("BTCUSDT", [(99, 1)], [], START_NS + 5, price_scale=12),
    ]
    answer = rebuilt([stored(4, rows[:1]), stored(5, rows[1:])], [])
    assert answer.book.state == market_data_pb2.BOOK_STATE_IN_DOUBT
    assert levels(answer.book.bids) == [(Decimal(10**15), Decimal("0.005"))]


def test_book_without_a_snapshot_is_empty_with_its_gap():
    answer = rebuilt([], [recorded_gap("", 3, START_NS)])
    assert answer.book.state == market_data_pb2.BOOK_STATE_EMPTY
    assert answer.doubt.cursor.sequence == 3
    assert not answer.book.HasField("cursor")
