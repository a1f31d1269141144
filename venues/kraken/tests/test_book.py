"""Kraken's books prove themselves: every checksum holds, and a missed update is found."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from kit.connector.books.book_events import UNPROVEN_EPOCH
from kit.connector.books.book_manager import BookManager
from kit.connector.books.synchronized_book import BookState, SynchronizedBook
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.frames import Frames
from venues.kraken import parse
from venues.kraken.book import rules
from venues.kraken.simulator.tests.books import BookPublisher, ClientBook, book_frame
from venues.kraken.tests.test_parse import captured, kind_of

CONTINUOUS_LINES = 50
"""Of the captured session; what follows is from another time."""
LOOKED_AT = 20
"""One of so many deep books is looked at by the slow, independent client; ours looks at all."""


class Books:
    """A book_manager under Kraken's rules, and what it has said."""

    def __init__(self, depth: int, *symbols: str) -> None:
        self.keeper = BookManager(rules(depth), self._hear)
        self.keeper.add(symbols)
        self.gaps: list[types_pb2.Gap] = []
        self.updates = 0

    def take(self, lines: Sequence[bytes]) -> None:
        self.keeper.on_rows(parse.book(Frames(lines, range(1, len(lines) + 1))))

    def of(self, symbol: str) -> SynchronizedBook:
        return self.keeper.books[symbol]

    def _hear(self, draft: BatchDraft) -> None:
        self.gaps += draft.gaps
        rows = batch_pb2.MarketDataBatch.FromString(draft.columns).book
        self.updates += sum(epoch != UNPROVEN_EPOCH for epoch in rows.book_epoch)


def as_written(book: SynchronizedBook, levels: Iterable[tuple[int, int]]) -> list[tuple[str, str]]:
    """Levels with all their decimal places."""
    price, size = 10**book.scale.price, 10**book.scale.size
    return [
        (
            f"{level[0] // price}.{level[0] % price:0{book.scale.price}d}",
            f"{level[1] // size}.{level[1] % size:0{book.scale.size}d}",
        )
        for level in levels
    ]


def books_of(lines: Iterable[bytes]) -> list[bytes]:
    return [line for line in lines if kind_of(line) == "book"]


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_every_checksum_of_a_real_session_holds(captures: Path, at_once: int) -> None:
    for _, lines in captured(captures):
        frames = books_of(lines[:CONTINUOUS_LINES])
        books, independent = Books(10, "BTC/USD"), ClientBook(10)
        for start in range(0, len(frames), at_once):
            books.take(frames[start : start + at_once])
            for one in frames[start : start + at_once]:
                independent.apply(one)
                assert independent.checksum() == independent.claimed
            book = books.of("BTC/USD")
            assert book.state is BookState.SYNCHRONIZED
            assert as_written(book, book.book.bids()) == independent.levels("bids")
            assert as_written(book, book.book.asks()) == independent.levels("asks")
        assert books.gaps == []
        assert books.updates == len(frames) > 40


def test_a_jump_in_a_real_session_is_found_at_its_first_update(captures: Path) -> None:
    for _, lines in captured(captures):
        books = Books(10, "BTC/USD")
        books.take(books_of(lines))
        (gap,) = books.gaps
        assert gap.reason == types_pb2.GAP_REASON_CHECKSUM
        assert books.updates == len(books_of(lines[:CONTINUOUS_LINES]))
        assert books.of("BTC/USD").state is BookState.IN_DOUBT
        assert books.keeper.wanting_snapshot() == ["BTC/USD"]


def as_second_version(line: bytes) -> list[bytes]:
    """A book frame of the retired first version of the API, as the second would write it."""
    read = json.loads(line)
    if not isinstance(read, list):
        return []
    *parts, _, symbol = read[1:]
    merged = {name: value for part in parts for name, value in part.items()}
    whole = "as" in merged
    sides = [
        [level[:2] for level in merged.get(name, ())]
        for name in (("bs", "as") if whole else ("b", "a"))
    ]
    return [book_frame("snapshot" if whole else "update", symbol, *sides, int(merged.get("c", 0)))]


def test_the_checksums_of_deep_books_of_ten_markets_hold(captures: Path) -> None:
    """The rules are the same in both versions; only the first snapshots had no checksum."""
    lines = (captures / "kraken/v1_legacy_50/frames.jsonl").read_bytes().splitlines()
    frames = [one for line in lines for one in as_second_version(line)]
    symbols = {json.loads(one)["data"][0]["symbol"] for one in frames}
    independent = {symbol: ClientBook(1000) for symbol in symbols}
    proven: list[bytes] = []
    for number, one in enumerate(frames):
        read = json.loads(one, parse_float=str)
        book = independent[read["data"][0]["symbol"]]
        book.apply_read(read)
        if read["type"] == "snapshot":
            one = one.replace(b'"checksum":0', b'"checksum":%d' % book.checksum())
        elif number % LOOKED_AT == 0:
            assert book.checksum() == book.claimed
        proven.append(one)
    books = Books(1000, *symbols)
    books.take(proven)
    assert books.gaps == []
    assert books.updates == len(proven) > 2_000
    for symbol in symbols:
        book = books.of(symbol)
        assert as_written(book, book.book.bids()) == independent[symbol].levels("bids")
        assert as_written(book, book.book.asks()) == independent[symbol].levels("asks")


def test_a_wrong_checksum_is_a_gap_until_the_next_whole_book() -> None:
    books, reported = Books(10, "BTC/USDT"), BookPublisher()
    books.take([reported.begin("9.0"), reported.go_on("9.0", "5.00000000")])
    assert books.gaps == []
    books.take([reported.go_on("9.0", "6.00000000", off_by=1), reported.go_on("9.0", "7.00000000")])
    assert [gap.reason for gap in books.gaps] == [types_pb2.GAP_REASON_CHECKSUM]
    assert books.of("BTC/USDT").state is BookState.IN_DOUBT
    books.take([reported.begin("9.0", "8.00000000"), reported.go_on("10.0", "9.00000000")])
    book = books.of("BTC/USDT")
    assert (book.state, book.epoch) == (BookState.SYNCHRONIZED, 2)
    assert as_written(book, book.book.bids()) == [("10.0", "9.00000000"), ("9.0", "8.00000000")]


def test_a_wrong_snapshot_does_not_prove_the_book() -> None:
    books, reported = Books(10, "BTC/USDT"), BookPublisher()
    books.take([reported.begin("9.0", off_by=1)])
    assert books.of("BTC/USDT").state is not BookState.SYNCHRONIZED
    assert books.keeper.wanting_snapshot() == ["BTC/USDT"]


def test_a_market_with_few_levels_is_proven_by_those_it_has() -> None:
    books, reported = Books(10, "BTC/USDT"), BookPublisher()
    books.take([reported.begin("9.0"), reported.go_on("9.0", "0.00000000")])
    book = books.of("BTC/USDT")
    assert (book.state, book.book.bids()) == (BookState.SYNCHRONIZED, [])


def test_markets_of_different_decimal_places_do_not_disturb_each_other() -> None:
    reported = BookPublisher("BTC/USDT"), BookPublisher("DOGE/USDT", "0.2000000")
    books = Books(10, "BTC/USDT", "DOGE/USDT")
    books.take([reported[0].begin("9.0"), reported[1].begin("0.1040000")])
    books.take([reported[0].go_on("9.1"), reported[1].go_on("0.1040001")])
    assert books.gaps == []


def test_the_example_of_the_documentation_is_proven() -> None:
    asks = (
        "45285.2 0.00100000 45286.4 1.54571953 45286.6 1.54571109 45289.6 1.54560911 "
        "45290.2 0.15890660 45291.8 1.54553491 45294.7 0.04454749 45296.1 0.35380000 "
        "45297.5 0.09945542 45299.5 0.18772827"
    )
    bids = (
        "45283.5 0.10000000 45283.4 1.54582015 45282.1 0.10000000 45281.0 0.10000000 "
        "45280.3 1.54592586 45279.0 0.07990000 45277.6 0.03310103 45277.5 0.30000000 "
        "45277.3 1.54602737 45276.6 0.15445238"
    )
    sides = [
        list(zip(texts[::2], texts[1::2], strict=True)) for texts in (bids.split(), asks.split())
    ]
    books = Books(10, "BTC/USD")
    books.take([book_frame("snapshot", "BTC/USD", *sides, 3310070434)])
    assert books.of("BTC/USD").state is BookState.SYNCHRONIZED
