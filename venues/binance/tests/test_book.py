"""How updates of Binance's books join: by U and u, or by pu, and over whole captures."""

import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.numbers import to_decimal
from kit.connector.books.book_manager import BookManager
from kit.connector.books.synchronized_book import BookState, SynchronizedBook
from kit.connector.contract.venue import BookRules, BookSnapshot, SequenceNumbers, SequenceResult
from kit.marketdata.book.levels import Levels as BookLevels
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.frames import Frames
from kit.marketdata.model.columns import PriceLevels
from venues.binance import parse
from venues.binance.book import FUTURES_BOOK, SPOT_BOOK
from venues.binance.tests.test_parse import captured

BEST = 20
SNAPSHOT = b'{"lastUpdateId"'


def spot(first: int, last: int) -> SequenceNumbers:
    return SequenceNumbers(first, last, 0)


def futures(previous: int, last: int) -> SequenceNumbers:
    return SequenceNumbers(last - 1, last, previous)


@pytest.mark.parametrize(
    ("rules", "numbers", "join"),
    [
        (SPOT_BOOK, spot(11, 15), SequenceResult.APPLY),
        (SPOT_BOOK, spot(8, 15), SequenceResult.APPLY),
        (SPOT_BOOK, spot(8, 10), SequenceResult.STALE),
        (SPOT_BOOK, spot(12, 15), SequenceResult.GAP),
        (FUTURES_BOOK, futures(10, 15), SequenceResult.APPLY),
        (FUTURES_BOOK, futures(8, 15), SequenceResult.APPLY),  # a snapshot lies within it
        (FUTURES_BOOK, futures(8, 10), SequenceResult.STALE),
        (FUTURES_BOOK, futures(11, 15), SequenceResult.GAP),
    ],
)
def test_an_update_follows_10(
    rules: BookRules, numbers: SequenceNumbers, join: SequenceResult
) -> None:
    assert rules.sequence.after_update(10, numbers) is join
    assert rules.sequence.after_snapshot(10, numbers) is join
    columns = [np.array([number], dtype=np.int64) for number in numbers]
    assert rules.sequence.run_joins(10, *columns) is (join is SequenceResult.APPLY)


@dataclass
class Reading:
    """A capture's books as anyone may read them, with json and nothing of the project."""

    snapshots: dict[str, dict] = field(default_factory=dict)
    updates: dict[str, list[dict]] = field(default_factory=dict)
    lines: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, *folders: Path) -> "Reading":
        reading = cls()
        for file in folders[0].glob("rest/*depth*.json"):
            reading.snapshots[file.stem.split("_")[4]] = json.loads(file.read_text())
        for line in itertools.chain.from_iterable(map(captured, folders)):
            if line.startswith(SNAPSHOT):
                reading.snapshots["BTCUSDT"] = json.loads(line)
            elif b"@depth@" in line[:64]:
                reading.lines.append(line)
                data = json.loads(line)["data"]
                reading.updates.setdefault(data["s"], []).append(data)
        return reading

    def book(self, symbol: str) -> list[list[tuple[Decimal, Decimal]]]:
        """Bids and asks after all updates, best first."""
        snapshot = self.snapshots[symbol]
        sides = []
        for name, key in (("bids", "b"), ("asks", "a")):
            side = {Decimal(price): Decimal(size) for price, size in snapshot[name]}
            for update in self.updates[symbol]:
                if update["u"] > snapshot["lastUpdateId"]:
                    side |= {Decimal(price): Decimal(size) for price, size in update[key]}
            sides.append(sorted((level for level in side.items() if level[1]), reverse=key == "b"))
        return sides


class Kept:
    """The kit's books of a capture, and all that they published."""

    def __init__(self, rules: BookRules, symbols: list[str]) -> None:
        self.drafts: list[BatchDraft] = []
        self._keeper = BookManager(rules, self.drafts.append)
        self._keeper.add(symbols)

    def take(self, rows) -> None:
        self._keeper.on_rows(rows)

    def start(self, symbol: str, snapshot: dict) -> bool:
        bids, asks = PriceLevels.parse(snapshot["bids"]), PriceLevels.parse(snapshot["asks"])
        return self._keeper.on_snapshot(
            symbol, BookSnapshot(snapshot["lastUpdateId"], bids, asks, 1)
        )

    def of(self, symbol: str) -> SynchronizedBook:
        return self._keeper.books[symbol]


def levels_of(
    book: SynchronizedBook, depth: int | None = None
) -> list[list[tuple[Decimal, Decimal]]]:
    def exact(side: BookLevels) -> list[tuple[Decimal, Decimal]]:
        places = book.scale
        return [
            (to_decimal(price, places.price), to_decimal(size, places.size)) for price, size in side
        ]

    return [exact(book.book.bids(depth)), exact(book.book.asks(depth))]


CAPTURES = [
    (["binance/btcusdt_20240808", "binance/btcusdt_20240809"], SPOT_BOOK, parse.book),
    (["binance/binance_us_2021"], SPOT_BOOK, parse.book),
    (["binance/binance_tr_2023"], SPOT_BOOK, parse.book),
    (["binance_futures/btcusdt_20240808"], FUTURES_BOOK, parse.futures_book),
    (["binance_futures/sushi_akro_2021"], FUTURES_BOOK, parse.futures_book),
]


@pytest.mark.parametrize(("names", "rules", "read"), CAPTURES)
def test_books_of_captures_are_never_in_doubt(captures: Path, names, rules, read) -> None:
    """Updates come in sets of any size; the snapshot comes before the last of the first hundred."""
    reading = Reading.of(*[captures / name for name in names])
    symbols = sorted(reading.snapshots.keys() & reading.updates.keys())
    assert symbols
    kept = Kept(rules, sorted(reading.updates))
    frames = Frames(reading.lines, range(len(reading.lines)))
    rows = read(frames)
    begin, size = 0, 1
    while begin < len(rows):
        kept.take(rows.take(np.arange(begin, min(begin + size, len(rows)))))
        begin, size = begin + size, size % 50 + 7
        for symbol in symbols:
            if kept.of(symbol).state is BookState.EMPTY:
                kept.start(symbol, reading.snapshots[symbol])
    for symbol in symbols:
        book = kept.of(symbol)
        assert (book.state, book.epoch) == (BookState.SYNCHRONIZED, 1)
        assert book.last_sequence == max(
            reading.updates[symbol][-1]["u"], reading.snapshots[symbol]["lastUpdateId"]
        )
        assert levels_of(book) == reading.book(symbol)
    gaps = [gap for draft in kept.drafts for gap in draft.gaps]
    assert {gap.reason for gap in gaps} == {types_pb2.GAP_REASON_UNPROVEN}
    assert len(gaps) == len({gap.symbol for gap in gaps})


def test_each_update_of_the_futures_captures_names_the_one_before(captures: Path) -> None:
    for name in ("btcusdt_20240808", "sushi_akro_2021"):
        reading = Reading.of(captures / "binance_futures" / name)
        for symbol, updates in reading.updates.items():
            lasts = [update["u"] for update in updates]
            assert [update["pu"] for update in updates[1:]] == lasts[:-1]
            snapshot = reading.snapshots[symbol]["lastUpdateId"]
            first = next(update for update in updates if update["u"] >= snapshot)
            assert first["U"] <= snapshot


def damaged(count: int, chance: random.Random) -> Iterator[tuple[int, int]]:
    """Which frame arrives, and how many the venue has sent by then: one in a hundred is lost, comes
    twice, or comes after its next."""
    late: list[int] = []
    for number in range(count):
        fate = chance.random()
        if fate < 0.01:
            continue
        if fate < 0.02:
            late.append(number)
            continue
        for arriving in [number, *late, *([number] if fate < 0.03 else [])]:
            yield arriving, number
        late = []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("venue", "rules", "read"),
    [
        ("binance", SPOT_BOOK, parse.book),
        ("binance_futures", FUTURES_BOOK, parse.futures_book),
    ],
)
def test_whatever_happens_no_proven_book_is_wrong(
    captures: Path, venue: str, rules, read, seed: int
) -> None:
    """The truth is the book after each update; snapshots are of any of them, seldom in time."""
    reading = Reading.of(captures / venue / "btcusdt_first30s")
    snapshot, updates = reading.snapshots["BTCUSDT"], reading.updates["BTCUSDT"]
    begin = next(n for n, one in enumerate(updates) if one["u"] > snapshot["lastUpdateId"])
    updates, rows = updates[begin:], read(Frames(reading.lines[begin:], [1] * len(updates)))
    truth: list[dict] = []
    best: dict[int, list[list[tuple[Decimal, Decimal]]]] = {}
    sides = [dict(snapshot[key]) for key in ("bids", "asks")]
    for update in updates:
        for side, key in zip(sides, ("b", "a"), strict=True):
            side.update(update[key])
            for price in [price for price, size in update[key] if not Decimal(size)]:
                side.pop(price)
        levels = [
            [(Decimal(price), Decimal(size)) for price, size in side.items()] for side in sides
        ]
        best[update["u"]] = [sorted(levels[0])[: -BEST - 1 : -1], sorted(levels[1])[:BEST]]
        bids, asks = (list(side.items()) for side in sides)
        truth.append({"lastUpdateId": update["u"], "bids": bids, "asks": asks})
    chance = random.Random(seed)
    kept, proven = Kept(rules, ["BTCUSDT"]), 0
    for arriving, sent in damaged(len(updates), chance):
        kept.take(rows.take(np.array([arriving])))
        book = kept.of("BTCUSDT")
        if book.wanted_since_ns and chance.random() < 0.2:
            kept.start("BTCUSDT", truth[max(0, sent - chance.randrange(3))])
        if book.state is BookState.SYNCHRONIZED:
            proven += 1
            assert levels_of(book, BEST) == best[book.last_sequence]
    assert proven > len(updates) / 2
    assert sum(len(draft.gaps) for draft in kept.drafts) > 1
