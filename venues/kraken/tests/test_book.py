"""Kraken's books prove themselves: every checksum holds, and a missed update is found."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from venuemesh.common.v1 import types_pb2

from kit.encode import Draft
from kit.frames import Frames
from kit.numbers import format_scaled
from kit.venue.bookkeeper import Bookkeeper
from kit.venue.books import BookState, GuardedBook
from venues.kraken import parse
from venues.kraken.book import rules
from venues.kraken.simulator.tests.books import ClientBook
from venues.kraken.tests.test_parse import captured, kind_of

CONTINUOUS_LINES = 50
"""Of the captured session; what follows is from another time."""
PRICES = [45285.2, 45286.4, 45286.6, 45289.6, 45290.2, 45291.8, 45294.7, 45296.1, 45297.5, 45299.5]


class Books:
    """A bookkeeper under Kraken's rules, and what it has said."""

    def __init__(self, depth: int, *symbols: str) -> None:
        self.keeper = Bookkeeper(rules(depth), self._hear)
        self.keeper.add(symbols)
        self.gaps: list[types_pb2.Gap] = []
        self.updates = 0

    def take(self, lines: Sequence[bytes]) -> None:
        self.keeper.on_rows(parse.book(Frames(lines, range(1, len(lines) + 1))))

    def of(self, symbol: str) -> GuardedBook:
        return self.keeper.books[symbol]

    def _hear(self, draft: Draft) -> None:
        self.gaps += draft.gaps
        self.updates += sum(draft.event_counts)


def frame(kind: str, symbol: str, bids: Iterable, asks: Iterable, checksum: int) -> bytes:
    sides = [
        ",".join(f'{{"price":{price},"qty":{qty}}}' for price, qty in side) for side in (bids, asks)
    ]
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{symbol}","bids":[{sides[0]}],'
        f'"asks":[{sides[1]}],"checksum":{checksum},"timestamp":"2026-07-20T03:39:38Z"}}]}}'
    ).encode()


def fixed(levels: Iterable[tuple[int, int]], places: tuple[int, int]) -> list[tuple[str, str]]:
    return [
        tuple(format_scaled(number, scale) for number, scale in zip(level, places, strict=True))
        for level in levels
    ]


def as_written(book: GuardedBook, levels: Iterable[tuple[int, int]]) -> list[tuple[str, str]]:
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
            assert book.state is BookState.PROVEN
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
    return [frame("snapshot" if whole else "update", symbol, *sides, int(merged.get("c", 0)))]


def test_the_checksums_of_deep_books_of_ten_markets_hold(captures: Path) -> None:
    """The rules are the same in both versions; only the first snapshots had no checksum."""
    lines = (captures / "kraken/v1_legacy_50/frames.jsonl").read_bytes().splitlines()
    frames = [one for line in lines for one in as_second_version(line)]
    symbols = {json.loads(one)["data"][0]["symbol"] for one in frames}
    independent = {symbol: ClientBook(1000) for symbol in symbols}
    proven: list[bytes] = []
    for one in frames:
        read = json.loads(one, parse_float=str)
        book = independent[read["data"][0]["symbol"]]
        book.apply_read(read)
        if read["type"] == "snapshot":
            one = one.replace(b'"checksum":0', b'"checksum":%d' % book.checksum())
        else:
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


def book_of_three(checksum_offset: int = 0, kind: str = "snapshot", qty: str = "1.00000000"):
    bids, asks = [("9.0", qty)], [("11.0", "2.00000000"), ("12.0", "3.00000000")]
    client = ClientBook(10)
    whole = frame("snapshot", "BTC/USD", bids, asks, 0)
    client.apply(whole)
    changed = bids if kind == "update" else asks
    sides = (bids, asks) if kind == "snapshot" else (changed, [])
    return frame(kind, "BTC/USD", *sides, client.checksum() + checksum_offset)


def test_a_wrong_checksum_is_a_gap_until_the_next_whole_book() -> None:
    books = Books(10, "BTC/USD")
    books.take([book_of_three(), book_of_three(kind="update", qty="5.00000000")])
    assert books.gaps == []
    books.take([book_of_three(1, "update", "6.00000000"), book_of_three(0, "update", "7.00000000")])
    assert [gap.reason for gap in books.gaps] == [types_pb2.GAP_REASON_CHECKSUM]
    assert books.of("BTC/USD").state is BookState.IN_DOUBT
    books.take([book_of_three(qty="8.00000000"), book_of_three(kind="update", qty="9.00000000")])
    book = books.of("BTC/USD")
    assert (book.state, book.epoch) == (BookState.PROVEN, 2)
    assert as_written(book, book.book.bids()) == [("9.0", "9.00000000")]


def test_a_whole_book_that_is_wrong_proves_nothing() -> None:
    books = Books(10, "BTC/USD")
    books.take([book_of_three(1)])
    assert books.of("BTC/USD").state is not BookState.PROVEN
    assert books.keeper.wanting_snapshot() == ["BTC/USD"]
