from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2
from venuemesh.wire.v1 import wire_pb2

from core.ingest.batch_continuity import VenueCursorTooLow, entries_for
from core.ingest.tests.fakes import QUOTES, TRADES, batch_of
from kit.base.cursor import CHANNELS, START, Cursor, channel_name
from kit.marketdata.delivery.redis_streams import StreamEntry


def offer(newest: Cursor, cursor: Cursor, restart: bool = True) -> list[StreamEntry]:
    """What is appended for a batch; the first of an epoch tells of the restart."""
    header = wire_pb2.BatchHeader(cursor=cursor.message())
    if restart and cursor.sequence == 1:
        header.gaps.add(reason=types_pb2.GAP_REASON_RESTART)
    return entries_for(TRADES, newest, header, b"batch", 7)


CURSORS = st.builds(Cursor, st.integers(1, 3), st.integers(1, 6))


def ids(newest: Cursor, cursor: Cursor) -> list[Cursor]:
    return [entry.cursor for entry in offer(newest, cursor)]


def test_the_next_batch_is_one_entry_with_the_same_bytes():
    (entry,) = offer(Cursor(1, 4), Cursor(1, 5))
    assert entry == (TRADES, Cursor(1, 5), b"batch")


def test_the_first_batch_of_a_new_epoch_follows_any_batch_before():
    assert ids(Cursor(1, 4), Cursor(2, 1)) == [Cursor(2, 1)]


def test_a_new_epoch_that_does_not_tell_of_the_restart_begins_with_a_gap():
    gap, entry = offer(Cursor(1, 4), Cursor(2, 1), restart=False)
    assert (gap.cursor, entry.cursor) == (Cursor(2, 0), Cursor(2, 1))


def test_an_empty_stream_begins_anywhere():
    assert ids(START, Cursor(2, 7)) == [Cursor(2, 7)]


@pytest.mark.parametrize("cursor", [Cursor(1, 9), Cursor(2, 9)])
def test_missing_batches_are_a_gap_just_before_the_batch_that_came(cursor):
    gap, entry = offer(Cursor(1, 4), cursor)
    assert entry.cursor == cursor
    assert gap.cursor == Cursor(cursor.epoch, 8)
    batch = batch_pb2.MarketDataBatch.FromString(gap.batch)
    assert (batch.venue, batch.channel) == ("binance", types_pb2.CHANNEL_TRADES)
    assert Cursor.of(batch.cursor) == gap.cursor
    assert [(each.symbol, each.reason) for each in batch.gaps] == [
        ("", types_pb2.GAP_REASON_CURSOR_EXPIRED)
    ]
    assert "1-4" in batch.gaps[0].detail
    assert batch.gaps[0].detected_time_ns == 7


def test_a_batch_that_is_there_is_not_written_again():
    assert ids(Cursor(1, 4), Cursor(1, 4)) == []
    assert ids(Cursor(1, 4), Cursor(1, 2)) == []


def test_an_epoch_that_went_back_is_refused_with_both_positions():
    with pytest.raises(VenueCursorTooLow, match=r"ends at 2-4.*offers 1-9"):
        offer(Cursor(2, 4), Cursor(1, 9))


@given(st.lists(CURSORS, max_size=20))
def test_ids_grow_and_every_hole_is_explained(offered):
    newest = START
    written: list[tuple[Cursor, bool]] = []
    for cursor in offered:
        try:
            entries = offer(newest, cursor)
        except VenueCursorTooLow:
            assert cursor.epoch < newest.epoch
            continue
        for entry in entries:
            written.append((entry.cursor, entry.batch != b"batch"))
            newest = entry.cursor
    for (before, _), (after, is_gap) in pairwise(written):
        assert after > before
        joins = after.epoch == before.epoch and after.sequence == before.sequence + 1
        assert joins or is_gap or after.sequence == 1


@pytest.mark.parametrize("key", [TRADES, QUOTES])
def test_a_batch_header_has_the_values_of_the_batch(key):
    raw = batch_of(key, Cursor(3, 5), ("A", "B", "C"))
    batch = batch_pb2.MarketDataBatch.FromString(raw)
    header = wire_pb2.BatchHeader.FromString(raw)
    assert (header.venue, header.channel, header.cursor) == (
        batch.venue,
        batch.channel,
        batch.cursor,
    )
    assert header.published_time_ns == batch.published_time_ns == 5
    columns = batch.WhichOneof("columns")
    assert header.WhichOneof("columns") == columns
    assert list(getattr(header, columns).instrument) == [0, 1, 2]


@pytest.mark.parametrize("name", ["venue", "channel", "cursor", "gaps", "published_time_ns"])
def test_header_fields_have_the_numbers_of_the_batch(name):
    mirrored = wire_pb2.BatchHeader.DESCRIPTOR.fields_by_name[name]
    original = batch_pb2.MarketDataBatch.DESCRIPTOR.fields_by_name[name]
    assert (mirrored.number, mirrored.type) == (original.number, original.type)


@pytest.mark.parametrize("columns", list(map(channel_name, CHANNELS)))
def test_the_header_counts_rows_by_the_first_column(columns):
    mirrored = wire_pb2.BatchHeader.DESCRIPTOR.fields_by_name[columns]
    original = batch_pb2.MarketDataBatch.DESCRIPTOR.fields_by_name[columns]
    assert mirrored.number == original.number
    counted = mirrored.message_type.fields_by_name["instrument"].number
    assert original.message_type.fields_by_name["instrument"].number == counted
