"""A book is what the last change of each price says, with and without compiled code."""

import random

import numpy as np
import pytest

from kit import native
from kit.book import Book, Side

LIBRARIES = [
    pytest.param(None, id="reference"),
    pytest.param(
        native.library,
        id="compiled",
        marks=pytest.mark.skipif(native.library is None, reason="no C compiler"),
    ),
]


@pytest.fixture(params=LIBRARIES, autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "library", request.param)


def changes(source: random.Random, count: int, prices: int) -> list[tuple[int, int]]:
    return [(source.randrange(1, prices), source.choice((0, 0, 1, 7))) for _ in range(count)]


@pytest.mark.parametrize("prices", [4, 60, 5_000])
@pytest.mark.parametrize("seed", range(10))
def test_the_last_change_of_a_price_wins(seed: int, prices: int) -> None:
    source = random.Random(seed)
    book, bids, asks = Book(), {}, {}
    for _ in range(60):
        bid_changes = changes(source, source.randrange(30), prices)
        ask_changes = changes(source, source.randrange(30), prices)
        book.apply(Side.of(bid_changes), Side.of(ask_changes))
        bids.update(bid_changes)
        asks.update(ask_changes)
        wanted_bids = sorted((level for level in bids.items() if level[1]), reverse=True)
        wanted_asks = sorted(level for level in asks.items() if level[1])
        assert book.bids() == wanted_bids
        assert book.asks() == wanted_asks
        assert book.bids(3) == wanted_bids[:3]
        assert book.level_count() == max(len(wanted_bids), len(wanted_asks))


def test_replace_forgets_what_was() -> None:
    book = Book()
    book.apply(Side.of([(1, 1)]), Side.of([(2, 2)]))
    book.replace(Side.of([(3, 3)]), Side.of([]))
    assert (book.bids(), book.asks()) == ([(3, 3)], [])


def test_a_larger_scale_keeps_the_values() -> None:
    book = Book()
    book.apply(Side.of([(5, 2)]), Side.of([(7, 3)]))
    assert book.fits(10, 100, 1_000)
    assert not book.fits(1_000, 1, 1_000)
    book.rescale(10, 100)
    assert (book.bids(), book.asks()) == ([(50, 200)], [(70, 300)])


def test_trim_keeps_the_best() -> None:
    book = Book()
    levels = [(price, 1) for price in range(1, 11)]
    book.apply(Side.of(levels), Side.of(levels))
    book.trim(2)
    assert (book.bids(), book.asks()) == ([(10, 1), (9, 1)], [(1, 1), (2, 1)])


def test_changes_may_be_a_view_of_other_columns() -> None:
    column = np.arange(1, 21, dtype=np.int64)
    book = Book()
    book.apply(Side(column[::2], column[1::2]), Side.of([]))
    assert book.asks() == []
    assert book.bids(1) == [(19, 20)]
