"""Whether entries of a stream join."""

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2
from venuemesh.wire.v1 import wire_pb2

from kit.base.cursor import START, Cursor
from kit.marketdata.delivery.stream_continuity import continues, has_channel_gap, joins

BEFORE = Cursor(1000, 7)


def batch(cursor: Cursor, **fields: object) -> batch_pb2.MarketDataBatch:
    """A batch of this number."""
    return batch_pb2.MarketDataBatch(cursor=cursor.message(), **fields)


def gap(symbol: str = "") -> types_pb2.Gap:
    """Of the whole channel, or of one instrument."""
    return types_pb2.Gap(symbol=symbol, reason=types_pb2.GAP_REASON_SEQUENCE)


@pytest.mark.parametrize(
    ("cursor", "fields", "expected"),
    [
        (Cursor(1000, 8), {}, True),
        (Cursor(1000, 9), {}, False),
        (Cursor(2000, 1), {}, True),
        (Cursor(2000, 40), {}, False),
        (Cursor(2000, 40), {"gaps": [gap()]}, True),
        (Cursor(2000, 40), {"gaps": [gap("BTCUSDT")]}, False),
        (Cursor(2000, 40), {"continues": BEFORE.message()}, True),
        (Cursor(2000, 40), {"continues": Cursor(1000, 6).message()}, False),
        (Cursor(2000, 40), {"continues": Cursor(999, 7).message()}, False),
    ],
)
def test_a_hole_is_one_that_the_batch_does_not_explain(cursor, fields, expected):
    made = batch(cursor, **fields)
    assert joins(BEFORE, cursor, made) is expected
    header = wire_pb2.BatchHeader.FromString(made.SerializeToString())
    assert joins(BEFORE, cursor, header) is expected


def test_a_batch_that_cannot_be_read_explains_nothing():
    assert joins(BEFORE, Cursor(1000, 8), None)
    assert not joins(BEFORE, Cursor(1000, 9), None)


def test_nothing_goes_on_after_the_beginning():
    assert not continues(START, batch(Cursor(2000, 40)))
    assert not has_channel_gap(batch(Cursor(2000, 40)))
