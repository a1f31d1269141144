"""What OKX's clients know of a book, and the frames that tell it.

Documentation:
https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel
"""

import itertools
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import Stream
from venues.okx.simulator.streams import argument, parts

BOOK_LEVELS, SMALL_BOOK_LEVELS, CHECKSUM_LEVELS = 400, 5, 25
NO_UPDATE_BEFORE = -1
"""prevSeqId of a snapshot."""

Side = dict[int, int]
"""Lots by ticks, best level first. In an update 0 lots: the level is no longer among the best."""


@dataclass(frozen=True, slots=True)
class Writing:
    """How numbers of an instrument are written."""

    price: Callable[[int], str]
    """Of ticks."""
    size: Callable[[int], str]
    """Of lots."""

    def levels(self, side: Side) -> str:
        """``[["price","size","0","orders"]]``; each level counts as one order."""
        texts = [
            f'["{self.price(ticks)}","{self.size(lots)}","0","{1 if lots else 0}"]'
            for ticks, lots in side.items()
        ]
        return f"[{','.join(texts)}]"


@dataclass(slots=True)
class SaidBook:
    """The best levels of a book as they were told last, to all who follow it."""

    sequence: int
    bids: Side
    asks: Side
    time_ns: int
    """When something was said."""

    def snapshot(self, stream: Stream, writing: Writing, number: int) -> bytes:
        """A frame with the whole of it."""
        return self._frame(
            stream, writing, "snapshot", (NO_UPDATE_BEFORE, number), self.bids, self.asks
        )

    def update(
        self, stream: Stream, writing: Writing, numbers: tuple[int, int], before: "SaidBook"
    ) -> bytes:
        """A frame with what has changed since. ``numbers``: prevSeqId and seqId."""
        bids, asks = _difference(before.bids, self.bids), _difference(before.asks, self.asks)
        return self._frame(stream, writing, "update", numbers, bids, asks)

    def checksum(self, writing: Writing) -> int:
        """CRC-32, signed, of "bid:size:ask:size:…" over the best 25 levels a side."""
        bids, asks = (
            itertools.islice(side.items(), CHECKSUM_LEVELS) for side in (self.bids, self.asks)
        )
        texts: list[str] = []
        for pair in itertools.zip_longest(bids, asks):
            for level in filter(None, pair):
                texts += (writing.price(level[0]), writing.size(level[1]))
        unsigned = zlib.crc32(":".join(texts).encode())
        return unsigned - 2**32 if unsigned >= 2**31 else unsigned

    def _frame(
        self,
        stream: Stream,
        writing: Writing,
        action: str,
        numbers: tuple[int, int],
        bids: Side,
        asks: Side,
    ) -> bytes:
        """``{"arg","action","data":[{"asks","bids","ts","checksum","prevSeqId","seqId"}]}``"""
        text = (
            f'{{"arg":{argument(*parts(stream)).decode()},"action":"{action}","data":[{{'
            f'"asks":{writing.levels(asks)},"bids":{writing.levels(bids)},'
            f'"ts":"{self.time_ns // NANOSECONDS_PER_MILLISECOND}",'
            f'"checksum":{self.checksum(writing)},'
            f'"prevSeqId":{numbers[0]},"seqId":{numbers[1]}}}]}}'
        )
        return text.encode()


def _difference(before: Side, now: Side) -> Side:
    """What makes one side of the other."""
    changed = dict.fromkeys(before.keys() - now.keys(), 0)
    changed.update(now.items() - before.items())
    return changed
