"""Checksums over the top of a book. Those of native/books.c must agree with these.

A reader can prove its own book with ``top_checksum``: it is what GetOrderBook answers.
"""

import zlib
from collections.abc import Sequence
from enum import Enum

from kit.base.numbers import format_scaled
from kit.marketdata.model.columns import Scale

Pairs = Sequence[tuple[int, int]]
"""Scaled prices and sizes, best first."""

ASKS_THEN_BIDS_LEVELS = 10
TOP_LEVELS = 25
UNSIGNED = 0xFFFFFFFF


class Checksum(Enum):
    """The venue's checksum over the top of a book, if it has one."""

    NONE = 0
    ASKS_THEN_BIDS = 1
    """CRC-32 of ten asks and ten bids, digits without point and leading zeros."""
    INTERLEAVED = 2
    """CRC-32 of 25 levels "bid:size:ask:size:…"; a checksum of 0 says nothing."""


def matches(kind: Checksum, checksum: int, bids: Pairs, asks: Pairs, scale: Scale) -> bool:
    """Whether a book is what the venue says that it is."""
    if kind is Checksum.ASKS_THEN_BIDS:
        return asks_then_bids_checksum(bids, asks) == checksum & UNSIGNED
    if kind is Checksum.INTERLEAVED and checksum:
        return top_checksum(bids, asks, scale) == checksum & UNSIGNED
    return True


def asks_then_bids_checksum(bids: Pairs, asks: Pairs) -> int:
    """CRC-32 of ten asks, then ten bids, with numbers at the scale in which the venue writes them.

    https://docs.kraken.com/api/docs/guides/spot-ws-book-v2
    """
    text = "".join(
        f"{price}{size}" for side in (asks, bids) for price, size in side[:ASKS_THEN_BIDS_LEVELS]
    )
    return zlib.crc32(text.encode())


def top_checksum(bids: Pairs, asks: Pairs, scale: Scale) -> int:
    """CRC-32 of the best 25 levels, sides by turns: "bid:size:ask:size:bid:…", decimal text without
    trailing zeros. ``Checksum.INTERLEAVED`` is this, signed."""
    parts: list[str] = []
    for level in range(TOP_LEVELS):
        for side in (bids, asks):
            if level < len(side):
                price, size = side[level]
                parts += (format_scaled(price, scale.price), format_scaled(size, scale.size))
    return zlib.crc32(":".join(parts).encode())
