"""What is packed comes back as it was, whatever the numbers are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from kit.marketdata.codec import encode
from kit.marketdata.model.batches import Batch
from kit.marketdata.model.book_updates import BookUpdates
from kit.storage.archive import codec
from kit.storage.archive.codec import ArchiveCodec, MalformedArchive
from kit.storage.archive.packed_columns import (
    GroupedDifferences,
    MalformedColumns,
    PackedColumnReader,
    PackedColumnWriter,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
SMALL = st.integers(-1000, 1000)


def head_of(symbols: int = 3) -> Batch:
    head = Batch(venue="binance", channel=types_pb2.CHANNEL_BOOK, published_time_ns=17)
    head.cursor.epoch, head.cursor.sequence = 1_700_000_000_000, 12
    for number in range(symbols):
        head.instruments.add(symbol=f"S{number}", price_scale=number, size_scale=8)
    return head


@st.composite
def updates(draw):
    """Updates of three instruments with any numbers."""
    count = draw(st.integers(1, 40))
    counts = st.lists(st.integers(0, 4), min_size=count, max_size=count)
    sequences = st.lists(st.integers(0, 2**63 - 1), min_size=count, max_size=count)
    times = st.lists(draw(st.sampled_from([INT64, SMALL])), min_size=count, max_size=count)
    bids, asks = draw(counts), draw(counts)
    total = sum(bids) + sum(asks)
    levels = st.lists(draw(st.sampled_from([INT64, SMALL])), min_size=total, max_size=total)
    return batch_pb2.BookColumns(
        instrument=draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)),
        first_sequence=draw(sequences),
        last_sequence=draw(sequences),
        snapshot=draw(st.lists(st.booleans(), min_size=count, max_size=count)),
        book_epoch=draw(st.lists(st.integers(0, 2**32 - 1), min_size=count, max_size=count)),
        venue_time_ns=draw(times),
        received_time_ns=draw(times),
        bid_count=bids,
        ask_count=asks,
        price=draw(levels),
        size=draw(levels),
    )


def batch_of(head: Batch, rows: BookUpdates) -> bytes:
    return head.SerializeToString() + encode.book_updates(rows)


@given(updates())
def test_book_updates_come_back_as_they_were(columns):
    number, data = codec.pack_book(head_of(), BookUpdates.of(columns))
    found = Batch.FromString(codec.unpack(number, data))
    expected = head_of()
    expected.book.CopyFrom(columns)
    assert found == expected
    head, rows = codec.unpack_book(number, data)
    assert head == head_of()
    assert Batch.FromString(batch_of(head, rows)) == expected


@given(st.lists(updates(), min_size=2, max_size=4))
def test_joined_updates_are_those_of_all(parts):
    rows = BookUpdates.joined([BookUpdates.of(part) for part in parts])
    found = Batch.FromString(codec.unpack(*codec.pack_book(head_of(), rows))).book
    for field in batch_pb2.BookColumns.DESCRIPTOR.fields:
        expected = [value for part in parts for value in getattr(part, field.name)]
        assert list(getattr(found, field.name)) == expected


@given(st.lists(INT64), st.lists(SMALL))
def test_columns_come_back(large, small):
    write = PackedColumnWriter()
    for values in (large, small, []):
        write.add(np.array(values, dtype=np.int64))
    read = PackedColumnReader(write.data())
    assert [read.next().tolist() for _ in range(3)] == [large, small, []]
    with pytest.raises(MalformedColumns):
        read.next()


@given(st.lists(st.tuples(st.integers(0, 3), INT64)))
def test_sums_undo_differences(rows):
    group = np.array([row[0] for row in rows], dtype=np.int64)
    values = np.array([row[1] for row in rows], dtype=np.int64)
    groups = GroupedDifferences(group)
    assert groups.sums(*groups.differences(values)).tolist() == values.tolist()


def test_few_levels_are_compressed_as_a_batch():
    one = np.ones(1, dtype=np.int64)
    rows = BookUpdates(*[one] * 7, bid_count=one, ask_count=0 * one, price=one, size=one)
    assert codec.pack_book(head_of(), rows)[0] == ArchiveCodec.ZSTD


def book(count: int, levels: int) -> BookUpdates:
    """Updates as a busy book has them."""
    chance = np.random.default_rng(1)
    last = np.cumsum(chance.integers(1, 40, count))
    per_side = np.full(count, levels, dtype=np.int64)
    received = 1_700_000_000_000_000_000 + np.cumsum(chance.integers(1, 2_000_000, count))
    steps = np.tile(np.arange(levels), 2 * count)
    return BookUpdates(
        instrument=np.zeros(count, dtype=np.int64),
        first_sequence=np.append(1, last[:-1] + 1),
        last_sequence=last,
        snapshot=np.zeros(count, dtype=np.int64),
        book_epoch=np.ones(count, dtype=np.int64),
        venue_time_ns=received // 1_000_000 * 1_000_000,
        received_time_ns=received,
        bid_count=per_side,
        ask_count=per_side,
        price=6_183_763 + steps + np.repeat(chance.integers(-50, 50, 2 * count), levels),
        size=chance.integers(0, 5_000, 2 * count * levels) * 1_000,
    )


def test_a_busy_book_takes_few_bytes():
    rows = book(500, 5)
    number, data = codec.pack_book(head_of(1), rows)
    assert number == ArchiveCodec.BOOK
    plain = batch_of(head_of(1), rows)
    assert len(data) < len(codec.pack(plain)[1]) * 0.7
    assert len(data) / len(rows.price) < 4


@pytest.mark.parametrize("codec_number", [3, -1, 99])
def test_an_unknown_codec_is_rejected(codec_number):
    with pytest.raises(MalformedArchive, match="unknown codec"):
        codec.unpack(codec_number, b"")


def test_truncated_bytes_are_rejected():
    number, data = codec.pack_book(head_of(1), book(50, 5))
    with pytest.raises(MalformedArchive):
        codec.unpack(number, data[: len(data) // 2])
    with pytest.raises(MalformedArchive):
        codec.unpack(number, b"no frame at all")


def test_numbers_beyond_63_bits_are_rejected():
    with pytest.raises(OverflowError):
        BookUpdates.of(batch_pb2.BookColumns(instrument=[0], first_sequence=[2**63]))
