"""Book updates in few bytes.

Update ids continue where the ids before ended, times hardly change, and the prices of an update lie
close to each other and to those of the update before. So nearly every column is stored as small
differences (``kit.storage.archive.packed_columns``).
"""

from struct import Struct

import numpy as np

from kit.base.number_columns import IntColumn
from kit.marketdata.model.batches import Batch
from kit.marketdata.model.book_updates import BookUpdates
from kit.storage.archive.packed_columns import (
    GroupedDifferences,
    MalformedColumns,
    PackedColumnReader,
    PackedColumnWriter,
)

_HEAD_LENGTH = Struct("<I")


def pack(head: Batch, rows: BookUpdates) -> bytes:
    """Pack a batch, before general compression. ``head``: the batch without rows."""
    write = PackedColumnWriter()
    write.add(rows.instrument)
    by_instrument = GroupedDifferences(rows.instrument)
    write.add(rows.first_sequence - by_instrument.previous(rows.last_sequence))
    write.add(rows.last_sequence - rows.first_sequence)
    write.add(rows.snapshot)
    for column in by_instrument.differences(rows.book_epoch):
        write.add(column)
    everything = GroupedDifferences(np.zeros(len(rows), dtype=np.int64))
    for values in (rows.received_time_ns, rows.venue_time_ns):
        for column in everything.differences(values):
            write.add(column)
    write.add(rows.bid_count)
    write.add(rows.ask_count)
    runs = _Runs(rows.instrument, rows.bid_count, rows.ask_count)
    for column in (*runs.differences(rows.price), rows.size):
        write.add(column)
    text = head.SerializeToString()
    return _HEAD_LENGTH.pack(len(text)) + text + write.data()


def unpack(data: bytes) -> tuple[Batch, BookUpdates]:
    """Unpack the head and rows of a batch. Raises MalformedColumns."""
    (length,) = _HEAD_LENGTH.unpack_from(data)
    head = Batch.FromString(data[_HEAD_LENGTH.size : _HEAD_LENGTH.size + length])
    read = PackedColumnReader(data, _HEAD_LENGTH.size + length)
    instrument = read.next()
    by_instrument = GroupedDifferences(instrument)
    first_after, last_after_first = read.next(), read.next()
    if not len(instrument) == len(first_after) == len(last_after_first):
        raise MalformedColumns("columns differ in length")
    # Each last id is the running sum of both columns.
    last_sequence = by_instrument.running_sums(first_after + last_after_first)
    snapshot = read.next()
    book_epoch = by_instrument.sums(read.next(), read.next())
    everything = GroupedDifferences(np.zeros(len(instrument), dtype=np.int64))
    received_time_ns = everything.sums(read.next(), read.next())
    venue_time_ns = everything.sums(read.next(), read.next())
    bid_count, ask_count = read.next(), read.next()
    runs = _Runs(instrument, bid_count, ask_count)
    price = runs.sums(read.next(), read.next(), read.next())
    rows = BookUpdates(
        instrument=instrument,
        first_sequence=last_sequence - last_after_first,
        last_sequence=last_sequence,
        snapshot=snapshot,
        book_epoch=book_epoch,
        venue_time_ns=venue_time_ns,
        received_time_ns=received_time_ns,
        bid_count=bid_count,
        ask_count=ask_count,
        price=price,
        size=read.next(),
    )
    return head, rows


class _Runs:
    """Differences of prices. The levels of one side of one update are a run. Within it each price
    is stored as the difference to the one before, and the first as the difference to the first
    price of the previous run of the same side and instrument."""

    def __init__(self, instrument: IntColumn, bid_count: IntColumn, ask_count: IntColumn) -> None:
        if not len(instrument) == len(bid_count) == len(ask_count):
            raise MalformedColumns("columns differ in length")
        counts = np.stack((bid_count, ask_count), axis=1).ravel()
        sides = np.stack((instrument * 2, instrument * 2 + 1), axis=1).ravel()
        filled = np.flatnonzero(counts)
        self._counts = counts[filled]
        self._sides = GroupedDifferences(sides[filled])
        self._starts = np.cumsum(self._counts) - self._counts
        self._inner = np.ones(int(self._counts.sum()), dtype=bool)
        self._inner[self._starts] = False

    def differences(self, price: IntColumn) -> tuple[IntColumn, IntColumn, IntColumn]:
        """First price of each side, differences of later first prices, differences in runs."""
        firsts, changes = self._sides.differences(price[self._starts])
        return firsts, changes, np.diff(price, prepend=0)[self._inner]

    def sums(self, firsts: IntColumn, changes: IntColumn, within: IntColumn) -> IntColumn:
        """The prices with these differences."""
        if len(within) != len(self._inner) - len(self._starts):
            raise MalformedColumns("columns differ in length")
        starts = self._sides.sums(firsts, changes)
        steps = np.zeros(len(self._inner), dtype=np.int64)
        steps[self._inner] = within
        total = np.cumsum(steps)
        price: IntColumn = total + np.repeat(starts - total[self._starts], self._counts)
        return price
