"""What every native feed does with frames; a venue's test gives the frames."""

from collections.abc import Callable
from typing import Any

from venuemesh.admin.v1 import admin_pb2
from venuemesh.common.v1 import types_pb2

from kit.connector.tests.feeding import Feed, ids, reasons

TradeFrame = Callable[..., bytes]
"""The frame of the trade with a number; ``price`` and ``symbol`` may be given."""


def invalid_frames(trade: TradeFrame, unlisted: str, *more: bytes) -> list[bytes]:
    """Frames that no feed can read: no JSON, and trades that are cut off, without a number, with
    too many digits or of a symbol that is not listed; then the venue's own."""
    return [
        b"not json",
        b"",
        b"\xff\xfe",
        trade(9)[:-1],
        trade(9, price="NaN"),
        trade(9, price="1" * 40),
        trade(9, symbol=unlisted),
        *more,
    ]


def check_invalid_frame(feed: Feed, trade: TradeFrame, invalid: bytes) -> None:
    """An invalid frame is counted, and the frames before and after it are read."""
    assert ids(feed.take(trade(1), invalid, trade(2))) == [1, 2]
    assert ids(feed.take(trade(3))) == [3]
    assert feed.skipped == 1
    assert feed.meter.gaps_total == 0


def check_missing_trades(feed: Feed, trade: TradeFrame) -> None:
    """A gap with both ids precedes the trade after the missing ones."""
    first, second = feed.take(trade(1), trade(5))
    assert (ids([first]), ids([second])) == ([1], [5])
    assert reasons([first]) == []
    (gap,) = second.gaps
    assert gap.reason == types_pb2.GAP_REASON_SEQUENCE
    assert (gap.last_id_before, gap.first_id_after) == (1, 5)


def refused_subscriptions(feed: Feed) -> list[Any]:
    """The subscriptions that the venue has rejected."""
    rows = feed.subscriptions.rows([], connected=True)
    return [row for row in rows if row.state == admin_pb2.SUBSCRIPTION_STATE_REFUSED]
