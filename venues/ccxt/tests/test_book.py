"""Books that change under our hands."""

from hypothesis import given
from hypothesis import strategies as st

from kit.marketdata.model.columns import BookRows, PriceLevels
from venues.ccxt.book import PublishedLevels

LEVELS = st.dictionaries(st.integers(1, 30), st.integers(1, 5), max_size=12)


def live(bids: dict[int, int], asks: dict[int, int], nonce: int | None = None) -> dict:
    """A book as ccxt.pro keeps it: sorted lists of floats."""
    return {
        "bids": [[float(price), float(size)] for price, size in sorted(bids.items(), reverse=True)],
        "asks": [[float(price), float(size)] for price, size in sorted(asks.items())],
        "nonce": nonce,
        "timestamp": None,
    }


def apply(side: dict[int, int], levels: PriceLevels) -> None:
    """As a reader does."""
    for price, size in zip(
        levels.price.unscaled.tolist(), levels.size.unscaled.tolist(), strict=True
    ):
        if size:
            side[price] = size
        else:
            del side[price]


@given(st.lists(st.tuples(LEVELS, LEVELS), min_size=1, max_size=8))
def test_changes_make_the_same_book(states: list[tuple[dict[int, int], dict[int, int]]]) -> None:
    copy = PublishedLevels("A", 100)
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    for number, state in enumerate(states):
        rows = copy.changes(live(*state), 1)
        if rows is not None:
            assert rows.snapshot.tolist() == [int(number == 0)]
            apply(bids, rows.bids)
            apply(asks, rows.asks)
        assert (bids, asks) == state


def test_nothing_is_published_without_changes() -> None:
    copy = PublishedLevels("A", 100)
    book = live({1: 2}, {3: 4}, nonce=7)
    first = copy.changes(book, 1)
    assert isinstance(first, BookRows)
    assert first.last_sequence.tolist() == [7]
    assert copy.changes(book, 2) is None
    copy.forget()
    again = copy.changes(book, 3)
    assert again is not None
    assert again.snapshot.tolist() == [1]


def test_the_object_may_change_after_it_was_read() -> None:
    copy = PublishedLevels("A", 100)
    book = live({1: 2}, {3: 4})
    rows = copy.changes(book, 1)
    book["bids"][0][1] = 9.0
    assert rows is not None
    assert rows.bids.size.unscaled.tolist() == [2]
    changed = copy.changes(book, 2)
    assert changed is not None
    assert changed.bids.size.unscaled.tolist() == [9]


def test_only_the_best_levels_are_sent() -> None:
    copy = PublishedLevels("A", 1)
    copy.changes(live({5: 1, 4: 1}, {}), 1)
    rows = copy.changes(live({4: 1}, {}), 2)
    assert rows is not None
    levels = zip(rows.bids.price.unscaled.tolist(), rows.bids.size.unscaled.tolist(), strict=True)
    assert dict(levels) == {5: 0, 4: 1}


def test_orders_of_one_price_are_one_level() -> None:
    rows = PublishedLevels("A", 10).changes(
        {"bids": [[2.0, 1.0, "x"], [2.0, 3.0, "y"]], "asks": []}, 1
    )
    assert rows is not None
    assert rows.bids.size.unscaled.tolist() == [4]
