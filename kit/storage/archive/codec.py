"""How batches are kept in the database: as they are, compressed, or as columns.

The number of the codec stands beside the bytes, in the column "codec", and never changes its
meaning. Whatever it is, ``unpack`` gives the bytes of a MarketDataBatch back.
"""

from enum import IntEnum

import zstandard

from kit.marketdata.codec import encode
from kit.marketdata.model.batches import Batch
from kit.marketdata.model.book_updates import BookUpdates
from kit.storage.archive import book_packing
from kit.storage.archive.packed_columns import MalformedColumns

TEXT_LEVEL = 3
"""Of Zstandard, for what has words in it. Higher ones cost much and gain a few per cent."""
COLUMNS_LEVEL = 1
"""Of Zstandard, for columns: higher ones gain nothing."""
PACKED_NUMBERS_MIN = 16
"""With fewer updates and levels the heads of the columns weigh more than what they save."""
UNPACKED_BYTES_MAX = 1 << 30


class Codec(IntEnum):
    """What the bytes are."""

    PLAIN = 0
    """A MarketDataBatch."""
    ZSTD = 1
    """A MarketDataBatch, compressed by Zstandard."""
    BOOK = 2
    """Book updates as kit.storage.archive.book_packing packs them, compressed by Zstandard."""


class MalformedArchive(ValueError):
    """What is in the database is not what the codec makes."""


def pack(batch: bytes) -> tuple[Codec, bytes]:
    """Any batch."""
    return Codec.ZSTD, _compressed(batch, TEXT_LEVEL)


def pack_book(head: Batch, rows: BookUpdates) -> tuple[Codec, bytes]:
    """A batch of book updates; ``head`` is all of it but its rows."""
    if len(rows) + len(rows.price) < PACKED_NUMBERS_MIN:
        return pack(_message(head, rows))
    return Codec.BOOK, _compressed(book_packing.pack(head, rows), COLUMNS_LEVEL)


def unpack(codec: int, data: bytes) -> bytes:
    """A serialised MarketDataBatch. Raises MalformedArchive."""
    if codec != Codec.BOOK:
        return _plain(codec, data)
    head, rows = unpack_book(codec, data)
    return _message(head, rows)


def unpack_book(codec: int, data: bytes) -> tuple[Batch, BookUpdates]:
    """A batch of book updates as its head and its rows, which costs less than the bytes of both.
    Raises MalformedArchive."""
    if codec == Codec.BOOK:
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
        case Codec.PLAIN:
            return data
        case Codec.ZSTD:
            return _decompressed(data)
    raise MalformedArchive(f"there is no codec {codec}")


def _compressed(data: bytes, level: int) -> bytes:
    # One object for each call: they are cheap, and may not be used by two threads at a time.
    return zstandard.ZstdCompressor(level).compress(data)


def _decompressed(data: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=UNPACKED_BYTES_MAX)
    except zstandard.ZstdError as error:
        raise MalformedArchive(str(error)) from None
