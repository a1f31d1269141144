"""Codecs of batches in the database: plain, compressed, or as packed columns.

The column "codec" beside the bytes holds the number of the codec, whose meaning never changes.
``unpack`` returns the bytes of a MarketDataBatch for each of them.
"""

from enum import IntEnum

import zstandard

from kit.marketdata.codec import encode
from kit.marketdata.model.batches import Batch
from kit.marketdata.model.book_updates import BookUpdates
from kit.storage.archive import book_packing
from kit.storage.archive.packed_columns import MalformedColumns

TEXT_LEVEL = 3
"""Zstandard level for texts. Higher levels cost much and gain a few per cent."""
COLUMNS_LEVEL = 1
"""Zstandard level for packed columns. Higher levels gain nothing."""
PACKED_NUMBERS_MIN = 16
"""With fewer updates and levels, the heads of packed columns cost more than they save."""
UNPACKED_BYTES_MAX = 1 << 30


class ArchiveCodec(IntEnum):
    """Form of the bytes."""

    PLAIN = 0
    """A MarketDataBatch."""
    ZSTD = 1
    """A MarketDataBatch, compressed by Zstandard."""
    BOOK = 2
    """Book updates packed by kit.storage.archive.book_packing, compressed by Zstandard."""


class MalformedArchive(ValueError):
    """The bytes in the database are not what the codec writes."""


def pack(batch: bytes) -> tuple[ArchiveCodec, bytes]:
    return ArchiveCodec.ZSTD, _compressed(batch, TEXT_LEVEL)


def pack_book(head: Batch, rows: BookUpdates) -> tuple[ArchiveCodec, bytes]:
    """Pack a batch of book updates. ``head``: the batch without rows."""
    if len(rows) + len(rows.price) < PACKED_NUMBERS_MIN:
        return pack(_message(head, rows))
    return ArchiveCodec.BOOK, _compressed(book_packing.pack(head, rows), COLUMNS_LEVEL)


def unpack(codec: int, data: bytes) -> bytes:
    """A serialised MarketDataBatch. Raises MalformedArchive."""
    if codec != ArchiveCodec.BOOK:
        return _plain(codec, data)
    head, rows = unpack_book(codec, data)
    return _message(head, rows)


def unpack_book(codec: int, data: bytes) -> tuple[Batch, BookUpdates]:
    """The head and rows of a batch of book updates, at less cost than ``unpack``. Raises
    MalformedArchive."""
    if codec == ArchiveCodec.BOOK:
        try:
            return book_packing.unpack(_decompressed(data))
        except (MalformedColumns, IndexError) as error:
            raise MalformedArchive(str(error)) from None
    batch = Batch.FromString(_plain(codec, data))
    rows = BookUpdates.of(batch.book)
    batch.ClearField("columns")
    return batch, rows


def _message(head: Batch, rows: BookUpdates) -> bytes:
    return head.SerializeToString() + encode.book_updates(rows)


def _plain(codec: int, data: bytes) -> bytes:
    match codec:
        case ArchiveCodec.PLAIN:
            return data
        case ArchiveCodec.ZSTD:
            return _decompressed(data)
    raise MalformedArchive(f"unknown codec {codec}; known are 0 to {max(ArchiveCodec)}")


def _compressed(data: bytes, level: int) -> bytes:
    # One object for each call: they are cheap, and not safe to share between threads.
    return zstandard.ZstdCompressor(level).compress(data)


def _decompressed(data: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=UNPACKED_BYTES_MAX)
    except zstandard.ZstdError as error:
        raise MalformedArchive(str(error)) from None
