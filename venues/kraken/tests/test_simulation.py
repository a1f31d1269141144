"""A long feed with losses, doubles and swaps: the top of a proven book is never wrong."""

import json
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from kit.connector.books.synchronized_book import BookState
from kit.simulator.market import SimulatedMarket
from kit.simulator.market_runner import STEP_NS, SimulatedMarketView
from venues.kraken.simulator import kraken_spot
from venues.kraken.simulator.instruments import INSTRUMENTS
from venues.kraken.simulator.tests.books import CHECKED_LEVELS, ClientBook, book_frame
from venues.kraken.tests.test_book import Books, as_written

OPENING_NS = 1_790_000_000_000_000_000
FRAMES = 1_500
FAULT_SHARE = 0.01
RENEWAL_FRAMES = 20
"""Frames between a new subscription and its snapshot."""
SYMBOLS = ("BTC/USDT", "DOGE/USDT")


async def reported(seed: int, depth: int) -> list[tuple[str, bytes]]:
    """What the exchange says of some books, each frame with its symbol."""
    exchange = kraken_spot()
    market = SimulatedMarket(str(seed), OPENING_NS, 2_000, INSTRUMENTS)
    market_view = SimulatedMarketView(market, exchange)
    session = exchange.open("/v2", {})
    assert session is not None
    params = {"channel": "book", "depth": depth, "symbol": SYMBOLS}
    call = json.dumps({"method": "subscribe", "params": params})
    await exchange.receive(session, call, market_view)
    wanted = set(session.streams.values())
    frames: list[tuple[str, bytes]] = []
    while len(frames) < FRAMES:
        step = market.advance(market.time_ns + STEP_NS)
        frames += [(one.symbol, text) for one, text in exchange.encode(step, wanted, market_view)]
    return frames


class LossyConnection:
    """A bad connection: what arrives of the frames of one symbol."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._late: list[bytes] = []
        self.faults: Counter[str] = Counter()

    def carry(self, text: bytes) -> Iterator[bytes]:
        late, self._late = self._late, []
        fate = self._chance.random() / FAULT_SHARE
        if fate < 1:
            self.faults["lost"] += 1
        elif fate < 2:
            self.faults["doubled"] += 1
            yield text
            yield text
        elif fate < 3 and not late:
            self.faults["late"] += 1
            self._late = [text]
        else:
            yield text
        yield from late


def check_top(books: Books, symbol: str, truth: ClientBook) -> None:
    """The levels that the checksum is made of are those of the exchange."""
    book = books.of(symbol)
    for name, levels in (("bids", book.book.bids()), ("asks", book.book.asks())):
        ours = as_written(book, levels[:CHECKED_LEVELS])
        assert ours == truth.levels(name)[:CHECKED_LEVELS]


@pytest.mark.parametrize(("seed", "depth"), [(1, 10), (2, 10), (3, 25)])
async def test_a_proven_book_is_correct_under_every_fault(seed: int, depth: int) -> None:
    frames = await reported(seed, depth)
    line = LossyConnection(random.Random(seed))
    books = Books(depth, *SYMBOLS)
    truths = {symbol: ClientBook(depth) for symbol in SYMBOLS}
    was: dict[bytes, int] = {}
    wanted_for: Counter[str] = Counter()
    right = 0
    for symbol, text in frames:
        truth, book = truths[symbol], books.of(symbol)
        truth.apply(text)
        was[text] = truth.checksum()
        for arrived in line.carry(text) if symbol == SYMBOLS[0] else (text,):
            books.take([arrived])
            if book.state is BookState.SYNCHRONIZED and was[arrived] == truth.checksum():
                check_top(books, symbol, truth)
                right += 1
        wanted_for[symbol] = wanted_for[symbol] + 1 if book.wanted_since_ns else 0
        if wanted_for[symbol] > RENEWAL_FRAMES:
            whole = book_frame(
                "snapshot", symbol, truth.levels("bids"), truth.levels("asks"), truth.checksum()
            )
            books.take([whole])
            assert book.state is BookState.SYNCHRONIZED
    assert min(line.faults[name] for name in ("lost", "doubled", "late")) > 2
    assert right > FRAMES // 2
    assert {gap.symbol for gap in books.gaps} == {SYMBOLS[0]}
    assert books.of(SYMBOLS[1]).epoch == 1
