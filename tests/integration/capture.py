"""A Binance capture as anyone may read it: with json and Decimal, and nothing of the project."""

import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND

Levels = Sequence[tuple[Decimal, Decimal]]
"""Price and size."""


class Trade(NamedTuple):
    """One public trade."""

    trade_id: int
    price: Decimal
    size: Decimal
    side: str
    """Side of the taker: buy or sell."""
    time_ns: int


class Quote(NamedTuple):
    """Best bid and ask."""

    sequence: int
    bid_price: Decimal
    bid_size: Decimal
    ask_price: Decimal
    ask_size: Decimal


class BookUpdate(NamedTuple):
    """A change of the book, or with ``first == last`` a whole one."""

    first: int
    last: int
    bids: Levels
    asks: Levels


class Bar(NamedTuple):
    """The trades of one interval."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    buy_volume: Decimal
    quote_volume: Decimal
    trade_count: int


@dataclass
class Capture:
    """The events of a capture, in the order of its lines."""

    trades: list[Trade] = field(default_factory=list)
    quotes: list[Quote] = field(default_factory=list)
    updates: list[BookUpdate] = field(default_factory=list)
    snapshots: list[BookUpdate] = field(default_factory=list)

    @property
    def joining_updates(self) -> list[BookUpdate]:
        """The updates that carry the first snapshot on."""
        return [update for update in self.updates if update.last > self.snapshots[0].last]


class Book:
    """Price levels."""

    def __init__(self, snapshot: BookUpdate) -> None:
        self.last = snapshot.last
        self.bids = dict(snapshot.bids)
        self.asks = dict(snapshot.asks)

    def apply(self, update: BookUpdate) -> None:
        """Take one update. Raises ValueError when one before it is missing."""
        if update.first > self.last + 1:
            raise ValueError(f"a hole between {self.last} and {update.first}")
        for side, levels in ((self.bids, update.bids), (self.asks, update.asks)):
            for price, size in levels:
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)
        self.last = update.last

    @property
    def best(self) -> tuple[Decimal, Decimal]:
        """Best bid and ask price."""
        return max(self.bids), min(self.asks)

    def snapshot(self) -> BookUpdate:
        """All levels, the best first."""
        bids = sorted(self.bids.items(), reverse=True)
        return BookUpdate(self.last, self.last, bids, sorted(self.asks.items()))


def lines(file: Path) -> list[bytes]:
    """The frames of a capture."""
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rb") as stream:
        return stream.read().splitlines()


def read(frames: Iterable[bytes]) -> Capture:
    """Read the frames. Raises ValueError for a frame of another kind."""
    found = Capture()
    for frame in frames:
        message = json.loads(frame)
        if "lastUpdateId" in message:
            last = message["lastUpdateId"]
            sides = _levels(message["bids"]), _levels(message["asks"])
            found.snapshots.append(BookUpdate(last, last, *sides))
            continue
        kind, data = message["stream"].split("@")[1], message["data"]
        if kind == "trade":
            found.trades.append(_trade(data))
        elif kind == "bookTicker":
            found.quotes.append(Quote(data["u"], *(Decimal(data[key]) for key in "bBaA")))
        elif kind == "depth":
            sides = _levels(data["b"]), _levels(data["a"])
            found.updates.append(BookUpdate(data["U"], data["u"], *sides))
        else:
            raise ValueError(f"what is {kind}?")
    return found


def bars(trades: Iterable[Trade], seconds: int) -> dict[int, Bar]:
    """The bars of these trades, which are in order, by open time in ns."""
    by_interval: dict[int, list[Trade]] = {}
    for trade in trades:
        open_ns = trade.time_ns - trade.time_ns % (seconds * NANOSECONDS_PER_SECOND)
        by_interval.setdefault(open_ns, []).append(trade)
    return {open_ns: _bar(members) for open_ns, members in by_interval.items()}


def snapshot_line(book: BookUpdate) -> bytes:
    """A book as Binance's REST answer."""
    sides = [[[f"{number:.8f}" for number in level] for level in s] for s in (book.bids, book.asks)]
    answer = {"lastUpdateId": book.last, "bids": sides[0], "asks": sides[1]}
    return json.dumps(answer, separators=(",", ":")).encode()


def _trade(data: dict[str, object]) -> Trade:
    return Trade(
        int(data["t"]),
        Decimal(data["p"]),
        Decimal(data["q"]),
        "sell" if data["m"] else "buy",
        int(data["T"]) * NANOSECONDS_PER_MILLISECOND,
    )


def _levels(side: Iterable[tuple[str, str]]) -> Levels:
    return [(Decimal(price), Decimal(size)) for price, size in side]


def _bar(trades: Sequence[Trade]) -> Bar:
    prices = [trade.price for trade in trades]
    return Bar(
        open=prices[0],
        high=max(prices),
        low=min(prices),
        close=prices[-1],
        volume=sum((trade.size for trade in trades), Decimal()),
        buy_volume=sum((trade.size for trade in trades if trade.side == "buy"), Decimal()),
        quote_volume=sum((trade.price * trade.size for trade in trades), Decimal()),
        trade_count=len(trades),
    )
