"""Books that ccxt.pro keeps: copied immediately, published as changes, and never proven."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from kit.base.number_columns import IntColumn
from kit.connector.books.sequence_rules import UnnumberedRule
from kit.connector.contract.venue import BookRules, SnapshotSource
from kit.marketdata.model.columns import BookRows, PriceLevels, SymbolColumn
from venues.ccxt.parse import plain, time_ns

# ccxt.pro does not number the updates of a book, and on many exchanges does not check their order.
# Only a crossed book shows that an update was missed.
BOOK = BookRules(
    sequence=UnnumberedRule(),
    snapshots=SnapshotSource.FEED,
    crossing_is_wrong=True,
)

Sizes = dict[float, float]
"""Sizes by price."""


class PublishedLevels:
    """The last published levels of one book. ccxt.pro changes its own book in place."""

    def __init__(self, symbol: str, depth: int) -> None:
        self._symbol = symbol
        self._depth = depth
        self._bids: Sizes = {}
        self._asks: Sizes = {}
        self._has_snapshot = False

    def forget(self) -> None:
        """Publish the next book as a snapshot."""
        self._bids, self._asks, self._has_snapshot = {}, {}, False

    def changes(self, book: Mapping[str, Any], received_time_ns: int) -> BookRows | None:
        """The changed levels, at first the whole book; None without changes."""
        bids, asks = self._top(book["bids"]), self._top(book["asks"])
        changed = _changes(self._bids, bids), _changes(self._asks, asks)
        snapshot, self._has_snapshot = not self._has_snapshot, True
        self._bids, self._asks = bids, asks
        if not snapshot and not any(changed):
            return None
        sequence = _column(book.get("nonce") or 0)
        return BookRows(
            symbols=SymbolColumn.of([self._symbol]),
            first_sequence=sequence,
            last_sequence=sequence,
            previous_sequence=_column(0),
            snapshot=_column(int(snapshot)),
            checksum=None,
            venue_time_ns=_column(time_ns(book)),
            received_time_ns=_column(received_time_ns),
            bids=_levels(changed[0]),
            asks=_levels(changed[1]),
        )

    def _top(self, side: Sequence[Sequence[Any]]) -> Sizes:
        """The best levels, one for each price; some exchanges list the orders of a price."""
        sizes: Sizes = {}
        for level in side[: self._depth]:
            price, size = level[0], level[1]
            if size:
                sizes[price] = sizes[price] + size if price in sizes else size
        return sizes


def whole_levels(side: Iterable[Sequence[Any]]) -> PriceLevels:
    """A side of a book from REST. Raises NumberError."""
    return PriceLevels.parse([(plain(level[0]), plain(level[1])) for level in side if level[1]])


def _changes(before: Sizes, now: Sizes) -> list[tuple[float, float]]:
    gone = [(price, 0.0) for price in before if price not in now]
    return gone + [(price, size) for price, size in now.items() if before.get(price) != size]


def _levels(changes: Sequence[tuple[float, float]]) -> PriceLevels:
    return PriceLevels.parse([(plain(price), plain(size)) for price, size in changes])


def _column(value: int) -> IntColumn:
    return np.array([value], dtype=np.int64)
