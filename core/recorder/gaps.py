"""Rows of gap_rows."""

from collections.abc import Sequence
from typing import NamedTuple

from venuemesh.common.v1 import types_pb2

from core.recorder.table_writes import PythonRows
from kit.base.cursor import Cursor, StreamKey

COLUMNS = {
    "venue": "text",
    "channel": "int2",
    "epoch": "int8",
    "sequence": "int8",
    "ordinal": "int4",
    "symbol": "text",
    "reason": "int4",
    "last_id_before": "int8",
    "first_id_after": "int8",
    "last_time_ns": "int8",
    "first_time_ns": "int8",
    "detected_time_ns": "int8",
    "detail": "text",
}


class GapBeforeBatch(NamedTuple):
    """A gap, and the cursor of the batch after it."""

    key: StreamKey
    cursor: Cursor
    ordinal: int
    gap: types_pb2.Gap


def gap_rows(gaps: Sequence[GapBeforeBatch]) -> PythonRows:
    """Gaps as rows of gap_rows."""
    return PythonRows(
        "gap_rows",
        ", ".join(COLUMNS),
        list(COLUMNS.values()),
        [
            (
                found.key.venue,
                found.key.channel,
                *found.cursor,
                found.ordinal,
                found.gap.symbol or None,
                found.gap.reason,
                found.gap.last_id_before,
                found.gap.first_id_after,
                found.gap.last_time_ns,
                found.gap.first_time_ns,
                found.gap.detected_time_ns,
                found.gap.detail.replace("\0", ""),
            )
            for found in gaps
        ],
    )
