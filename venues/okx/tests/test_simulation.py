"""A long feed with losses, doubles, swaps and new beginnings: a proven book is never wrong."""

import json
import random
from collections.abc import Iterator

import pytest

from kit.connector.books.book_manager import BookManager
from kit.connector.books.synchronized_book import BookState
from kit.marketdata.frames import Frames
from kit.marketdata.model.columns import BookRows
from venues.okx import parse
from venues.okx.book import BOOK

UPDATES = 1_500
FAULT_SHARE = 0.02
RENEWAL_FRAMES = 20
"""Frames between a new subscription and its snapshot."""

Side = dict[int, int]


class Exchange:
    """One book, numbered as OKX numbers it, without checksums."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.sequence = 1_000
        self.sides: tuple[Side, Side] = (
            dict.fromkeys(range(900, 1000), 1),
            dict.fromkeys(range(1000, 1100), 1),
        )

    def update(self) -> bytes:
        """The next one: usually some levels, at times nothing, or a new beginning."""
        before, kind = self.sequence, self._chance.random()
        if kind < 0.01:
            return self._frame("update", before, ([], []))
        if kind < 0.03:
            self.sequence = self._chance.randrange(1, 50)
            return self._frame("update", before, ([], []))
        self.sequence += self._chance.randrange(1, 9)
        changed: tuple[list[int], list[int]] = ([], [])
        for side, low, prices in zip(self.sides, (900, 1_000), changed, strict=True):
            for _ in range(self._chance.randrange(3)):
                price = self._chance.randrange(low, low + 100)
                side[price] = self._chance.randrange(3)
                prices.append(price)
        frame = self._frame("update", before, changed)
        self.sides = tuple(
            {price: size for price, size in side.items() if size} for side in self.sides
        )  # type: ignore[assignment]
        return frame

    def snapshot(self) -> bytes:
        """What a new subscription begins with."""
        return self._frame("snapshot", -1, (list(self.sides[0]), list(self.sides[1])))

    def levels(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Best first."""
        bids, asks = self.sides
        return sorted(bids.items(), reverse=True), sorted(asks.items())

    def _frame(self, action: str, before: int, prices: tuple[list[int], list[int]]) -> bytes:
        bids, asks = (
            [[str(price), str(side[price]), "0", "1"] for price in chosen]
            for side, chosen in zip(self.sides, prices, strict=True)
        )
        row = {"asks": asks, "bids": bids, "ts": "1", "checksum": 0}
        row |= {"prevSeqId": before, "seqId": self.sequence}
        argument = {"channel": "books", "instId": "BTC-USDT"}
        return json.dumps({"arg": argument, "action": action, "data": [row]}).encode()


def spoiled(frames: Iterator[bytes], chance: random.Random) -> Iterator[list[bytes]]:
    """What arrives instead of each frame."""
    late: list[bytes] = []
    for frame in frames:
        fate = chance.random()
        if fate < FAULT_SHARE:
            yield late
            late = []
        elif fate < 2 * FAULT_SHARE:
            yield [frame, frame, *late]
            late = []
        elif fate < 3 * FAULT_SHARE and not late:
            late = [frame]
            yield []
        else:
            yield [frame, *late]
            late = []


@pytest.mark.parametrize("seed", range(4))
def test_a_proven_book_is_right_whatever_happens(seed: int) -> None:
    chance = random.Random(seed)
    exchange = Exchange(chance)
    keeper = BookManager(BOOK, lambda draft: None)
    keeper.add(["BTC-USDT"])
    book = keeper.books["BTC-USDT"]
    was: dict[bytes, tuple[int, object]] = {}

    def reported() -> Iterator[bytes]:
        """The feed, and what was true after each frame of it."""
        wanted_for = 0
        for number in range(UPDATES):
            wanted_for = wanted_for + 1 if book.wanted_since_ns or not book.epoch else 0
            renewed = wanted_for > RENEWAL_FRAMES or not book.epoch
            frame = exchange.snapshot() if renewed else exchange.update()
            wanted_for = 0 if renewed else wanted_for
            was[frame] = number, exchange.levels()
            yield frame

    right, newest, truth = 0, -1, None
    for arrived in spoiled(reported(), chance):
        for frame in arrived:
            rows: BookRows = parse.book(Frames([frame], [1]))
            keeper.on_rows(rows)
            number, levels = was[frame]
            if number > newest:
                newest, truth = number, levels
            if book.state is BookState.SYNCHRONIZED:
                assert (book.book.bids(), book.book.asks()) == truth
                right += 1
    assert right > UPDATES // 3
    assert book.epoch > 10
