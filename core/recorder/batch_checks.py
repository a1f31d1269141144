"""Reads the batch of a stream entry, and checks it."""

from collections.abc import Sequence, Sized

from google.protobuf.message import DecodeError
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from core.recorder.column_buffer import INT64_MAX, MalformedBatch
from kit.base.cursor import Cursor, channel_name
from kit.marketdata.delivery.redis_streams import StreamEntry
from kit.marketdata.model.batches import Batch

SCALE_MAX = 36
"""Largest scale accepted; no venue has as many decimal places."""


def read_batch(entry: StreamEntry) -> Batch:
    """The batch of an entry, whose columns are those of its channel. Raises MalformedBatch."""
    try:
        batch = Batch.FromString(entry.batch)
    except DecodeError:
        raise MalformedBatch("not a MarketDataBatch") from None
    repairs = entry.key.channel == types_pb2.CHANNEL_REPAIRS
    expected = "trades" if repairs else channel_name(entry.key.channel)
    if batch.channel != entry.key.channel or batch.WhichOneof("columns") not in (None, expected):
        raise MalformedBatch("the batch belongs to another channel")
    for instrument in batch.instruments:
        scales = instrument.price_scale, instrument.size_scale, instrument.rate_scale
        if max(scales) > SCALE_MAX:
            raise MalformedBatch(f"a scale exceeds {SCALE_MAX}")
        _check_text(instrument.symbol)
    for gap in batch.gaps:
        _check_text(gap.symbol)
        if max(gap.last_id_before, gap.first_id_after) > INT64_MAX:
            raise MalformedBatch("an id has more than 63 bits")
    return batch


def check_book(columns: batch_pb2.BookColumns, instrument_count: int) -> None:
    """Raises MalformedBatch when the columns are inconsistent."""
    updates = len(columns.instrument)
    _check_lengths(
        updates,
        columns.first_sequence,
        columns.last_sequence,
        columns.snapshot,
        columns.book_epoch,
        columns.venue_time_ns,
        columns.received_time_ns,
        columns.bid_count,
        columns.ask_count,
    )
    _check_lengths(sum(columns.bid_count) + sum(columns.ask_count), columns.price, columns.size)
    if max(columns.instrument, default=0) >= max(instrument_count, 1):
        raise MalformedBatch("a row refers to an instrument that the batch does not list")


def check_rows(columns: batch_pb2.TradeColumns, instrument_count: int) -> None:
    """Raises MalformedBatch when the columns are inconsistent."""
    _check_lengths(
        len(columns.instrument),
        columns.price,
        columns.size,
        columns.side,
        columns.venue_time_ns,
        columns.received_time_ns,
        columns.trade_id,
    )
    if max(columns.instrument, default=-1) >= instrument_count:
        raise MalformedBatch("a row refers to an instrument that the batch does not list")


def check_frames(columns: batch_pb2.FrameColumns) -> None:
    """Raises MalformedBatch when the columns are inconsistent."""
    rows = len(columns.instrument)
    _check_lengths(rows, columns.frame, columns.connection, columns.received_time_ns)


def trade_ids(batch: Batch) -> Sequence[str] | None:
    """The trade ids of a batch where they are texts, or None where they are numbers.

    Trades without an id get their position in the stream as id. Raises MalformedBatch.
    """
    rows = batch.trades
    count = len(rows.instrument)
    if rows.trade_id_text:
        texts: Sequence[str] = rows.trade_id_text
    elif not any(rows.trade_id):
        cursor = Cursor.of(batch.cursor)
        texts = [f"{cursor}:{row}" for row in range(count)]
    else:
        return None
    if len(texts) != count:
        raise MalformedBatch("there are more or fewer trade ids than trades")
    for text in texts:
        _check_text(text)
    return texts


def expired(before: Cursor, cursor: Cursor, last_time_ns: int, first_time_ns: int) -> types_pb2.Gap:
    """A gap for batches that the stream had dropped before they were read."""
    return types_pb2.Gap(
        reason=types_pb2.GAP_REASON_CURSOR_EXPIRED,
        last_time_ns=last_time_ns,
        first_time_ns=first_time_ns,
        detail=f"the stream no longer held the entries between {before} and {cursor}",
    )


def malformed(error: MalformedBatch) -> types_pb2.Gap:
    """A gap for a batch that cannot be read."""
    return types_pb2.Gap(
        reason=types_pb2.GAP_REASON_MALFORMED, detail=f"the batch cannot be read: {error}"
    )


def _check_lengths(count: int, *columns: Sized) -> None:
    if any(len(column) != count for column in columns):
        raise MalformedBatch("columns differ in length")


def _check_text(text: str) -> None:
    if "\0" in text:
        raise MalformedBatch("a text contains a NUL character")
