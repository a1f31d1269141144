"""A book is what the last change of each price says, with and without compiled code."""

import random
import zlib

import numpy as np
import pytest

from kit.marketdata import native
from kit.marketdata.book.book import Book
from kit.marketdata.book.checksum import Checksum, asks_then_bids_checksum, top_checksum
from kit.marketdata.book.levels import BookCheck, BookConstraints, BookSide, SideChanges
from kit.marketdata.model.columns import Scale

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
        book.apply(BookSide.of(bid_changes), BookSide.of(ask_changes))
        bids.update(bid_changes)
        asks.update(ask_changes)
        wanted_bids = sorted((level for level in bids.items() if level[1]), reverse=True)
        wanted_asks = sorted(level for level in asks.items() if level[1])
        assert book.bids() == wanted_bids
        assert book.asks() == wanted_asks
        for depth in (1, 3):
            assert book.bids(depth) == wanted_bids[:depth]
            assert book.asks(depth) == wanted_asks[:depth]
        assert book.level_count() == max(len(wanted_bids), len(wanted_asks))


def test_replace_forgets_what_was() -> None:
    book = Book()
    book.apply(BookSide.of([(1, 1)]), BookSide.of([(2, 2)]))
    book.replace(BookSide.of([(3, 3)]), BookSide.of([]))
    assert (book.bids(), book.asks()) == ([(3, 3)], [])


def test_a_larger_scale_keeps_the_values() -> None:
    book = Book()
    book.apply(BookSide.of([(5, 2)]), BookSide.of([(7, 3)]))
    assert book.fits(10, 100, 1_000)
    assert not book.fits(1_000, 1, 1_000)
    book.rescale(10, 100)
    assert (book.bids(), book.asks()) == ([(50, 200)], [(70, 300)])


def test_trim_keeps_the_best() -> None:
    book = Book()
    levels = [(price, 1) for price in range(1, 11)]
    book.apply(BookSide.of(levels), BookSide.of(levels))
    book.trim(2)
    assert (book.bids(), book.asks()) == ([(10, 1), (9, 1)], [(1, 1), (2, 1)])


def test_changes_may_be_a_view_of_other_columns() -> None:
    column = np.arange(1, 21, dtype=np.int64)
    book = Book()
    book.apply(BookSide(column[::2], column[1::2]), BookSide.of([]))
    assert book.asks() == []
    assert book.bids(1) == [(19, 20)]


def one_by_one(updates: list[tuple[list, list]]) -> tuple[SideChanges, SideChanges]:
    sides = zip(*updates, strict=True)
    bids, asks = (SideChanges.joined([BookSide.of(side) for side in found]) for found in sides)
    return bids, asks


def run_of(count: int) -> np.ndarray:
    return np.arange(count)


ASKS = (("45285.2", "0.00100000"), ("45286.4", "1.54571953"))
BIDS = (("45283.5", "0.10000000"), ("0.4", "12.00000000"))


def scaled(pairs: tuple[tuple[str, str], ...]) -> list[tuple[int, int]]:
    return [(int(price.replace(".", "")), int(size.replace(".", ""))) for price, size in pairs]


@pytest.mark.parametrize("error", [0, 1])
def test_krakens_checksum(error: int) -> None:
    numbers = [text for side in (ASKS, BIDS) for pair in side for text in pair]
    text = "".join(number.replace(".", "").lstrip("0") for number in numbers)
    claimed = np.array([zlib.crc32(text.encode()) + error])
    book = Book(BookConstraints(Checksum.ASKS_THEN_BIDS, depth=10))
    bids, asks = one_by_one([(scaled(BIDS), scaled(ASKS))])
    right, wrong = (1, BookCheck.GOOD), (0, BookCheck.CHECKSUM)
    assert book.follow(run_of(1), bids, asks, claimed, Scale(1, 8)) == (wrong if error else right)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", [Checksum.ASKS_THEN_BIDS, Checksum.INTERLEAVED])
def test_checksums_of_a_run_agree_with_the_reference(kind: Checksum, seed: int) -> None:
    source = random.Random(seed)
    scale = Scale(source.randrange(4), source.randrange(6))
    updates = [(changes(source, 8, 60), changes(source, 8, 60)) for _ in range(30)]
    follower, claimed = Book(BookConstraints(depth=12)), []
    for bids, asks in updates:
        follower.apply(BookSide.of(bids), BookSide.of(asks))
        top = follower.bids(25), follower.asks(25)
        whole = (
            asks_then_bids_checksum(*top)
            if kind is Checksum.ASKS_THEN_BIDS
            else top_checksum(*top, scale)
        )
        claimed.append(whole - 2**32 if source.random() < 0.5 else whole)
    sides = one_by_one(updates)
    book = Book(BookConstraints(kind, depth=12))
    assert book.follow(run_of(30), *sides, np.array(claimed), scale) == (30, BookCheck.GOOD)
    assert (book.bids(), book.asks()) == (follower.bids(), follower.asks())
    claimed[17] ^= 1
    again = Book(BookConstraints(kind, depth=12))
    assert again.follow(run_of(30), *sides, np.array(claimed), scale) == (17, BookCheck.CHECKSUM)


@pytest.mark.parametrize("kind", [Checksum.ASKS_THEN_BIDS, Checksum.INTERLEAVED])
def test_negative_numbers_have_their_sign_in_a_checksum(kind: Checksum) -> None:
    bids, asks, scale = [(-5, 7), (-60, -1)], [(-4, 3), (12, -20)], Scale(1, 2)
    claimed = {
        Checksum.ASKS_THEN_BIDS: asks_then_bids_checksum(bids, asks),
        Checksum.INTERLEAVED: top_checksum(bids, asks, scale),
    }[kind]
    sides = one_by_one([(bids, asks)])
    assert Book(BookConstraints(kind)).follow(run_of(1), *sides, np.array([claimed]), scale) == (
        1,
        BookCheck.GOOD,
    )


def test_a_checksum_of_zero_says_nothing_on_okx() -> None:
    book = Book(BookConstraints(Checksum.INTERLEAVED))
    sides = one_by_one([([(5, 1)], [])])
    assert book.follow(run_of(1), *sides, np.array([0]), Scale()) == (1, BookCheck.GOOD)


def test_a_crossed_book_stops_a_run() -> None:
    book = Book(BookConstraints(uncrossed=True))
    sides = one_by_one([([(5, 1)], [(6, 1)]), ([(6, 1)], []), ([(4, 1)], [])])
    assert book.follow(run_of(3), *sides, None, Scale()) == (1, BookCheck.CROSSED)


def test_only_the_named_updates_are_followed() -> None:
    book = Book()
    sides = one_by_one([([(1, 1)], [(9, 1)]), ([(2, 2)], [(8, 2)]), ([(3, 3)], [(7, 3)])])
    book.follow(np.array([0, 2]), *sides, None, Scale())
    assert (book.bids(), book.asks()) == ([(3, 3), (1, 1)], [(7, 3), (9, 1)])


def test_what_falls_out_of_the_depth_is_reported() -> None:
    book = Book(BookConstraints(depth=2))
    updates = [([(5, 1), (6, 1)], [(8, 1)]), ([(7, 1)], [(10, 1), (9, 1)]), ([(4, 1)], [])]
    sides = one_by_one(updates)
    book.follow(run_of(3), *sides, None, Scale())
    bids, asks = book.dropped_levels()
    assert (bids.update.tolist(), bids.price.tolist()) == ([1, 2], [5, 4])
    assert (asks.update.tolist(), asks.price.tolist()) == ([1], [10])
    reported = [side.removing(fallen) for side, fallen in zip(sides, (bids, asks), strict=True)]
    reader = Book()
    for update in range(3):
        reader.apply(reported[0].of(update), reported[1].of(update))
    assert (reader.bids(), reader.asks()) == (book.bids(), book.asks())


@pytest.mark.parametrize("seed", range(10))
def test_a_reader_of_all_that_is_reported_has_the_same_book(seed: int) -> None:
    source = random.Random(seed)
    updates = [(changes(source, 8, 60), changes(source, 8, 60)) for _ in range(40)]
    book, reader, sides = Book(BookConstraints(depth=7)), Book(), one_by_one(updates)
    book.follow(run_of(40), *sides, None, Scale())
    reported = [
        side.removing(fallen) for side, fallen in zip(sides, book.dropped_levels(), strict=True)
    ]
    for update in range(40):
        reader.apply(reported[0].of(update), reported[1].of(update))
    assert (reader.bids(), reader.asks()) == (book.bids(), book.asks())
