"""Reads batches: number of rows, newest time, and the part for some instruments."""

from collections.abc import Collection
from typing import Any

from venuemesh.marketdata.v1 import batch_pb2

from kit.marketdata.model.book_updates import LEVEL_COLUMNS

Batch = batch_pb2.MarketDataBatch


def columns_of(batch: Batch) -> Any:
    """The columns message of a batch, or None."""
    kind = batch.WhichOneof("columns")
    return None if kind is None else getattr(batch, kind)


def row_count(batch: Batch) -> int:
    """Events in a batch; a book update is one event."""
    columns = columns_of(batch)
    return 0 if columns is None else len(columns.instrument)


def newest_received_ns(batch: Batch) -> int:
    """Received time of the last row; 0 without rows."""
    columns = columns_of(batch)
    if columns is None or not columns.received_time_ns:
        return 0
    newest: int = columns.received_time_ns[-1]
    return newest


def select(batch: Batch, symbols: Collection[str]) -> Batch | None:
    """The part of a batch for these symbols, or None when it has none.

    Gaps of the whole channel are kept. The instrument entries keep their positions.
    """
    wanted = {index for index, entry in enumerate(batch.instruments) if entry.symbol in symbols}
    gaps = [gap for gap in batch.gaps if not gap.symbol or gap.symbol in symbols]
    if len(wanted) == len(batch.instruments) and len(gaps) == len(batch.gaps):
        return batch
    if not wanted and not gaps:
        return None
    result = Batch(
        venue=batch.venue,
        channel=batch.channel,
        cursor=batch.cursor,
        instruments=batch.instruments,
        gaps=gaps,
        published_time_ns=batch.published_time_ns,
    )
    kind = batch.WhichOneof("columns")
    if kind == "book":
        result.book.CopyFrom(_select_book(batch.book, wanted))
    elif kind is not None:
        _select_rows(getattr(batch, kind), getattr(result, kind), wanted)
    return result


def _select_rows(source: Any, target: Any, wanted: set[int]) -> None:
    keep = [row for row, index in enumerate(source.instrument) if index in wanted]
    for field, column in source.ListFields():
        getattr(target, field.name).extend([column[row] for row in keep])


def _select_book(source: batch_pb2.BookColumns, wanted: set[int]) -> batch_pb2.BookColumns:
    target = batch_pb2.BookColumns()
    start = 0
    keep = []
    for row, index in enumerate(source.instrument):
        stop = start + source.bid_count[row] + source.ask_count[row]
        if index in wanted:
            keep.append(row)
            target.price.extend(source.price[start:stop])
            target.size.extend(source.size[start:stop])
        start = stop
    for field, column in source.ListFields():
        if field.name not in LEVEL_COLUMNS:
            getattr(target, field.name).extend([column[row] for row in keep])
    return target
