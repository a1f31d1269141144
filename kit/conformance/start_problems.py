"""Why the books of a connector are not synchronized after its start, in words."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from venuemesh.admin.v1 import admin_pb2
from venuemesh.common.v1 import types_pb2

from kit.base.telemetry import ROOT_LOGGER
from kit.conformance.connector_under_test import ConnectorUnderTest
from kit.connector.contract.venue import SnapshotSource
from kit.connector.publishing.frame_pipeline import NO_KIND

BOOK = types_pb2.CHANNEL_BOOK
WARNINGS_MAX = 5
EXTRAS = ("symbol", "text", "detail", "reason")
"""The values of a log record that say what it is about."""


async def start_problems(connector: ConnectorUnderTest, symbols: Sequence[str]) -> list[str]:
    """What is wrong with the parts, the connection, the subscriptions and the books."""
    found = [
        f"{task.get_name()} ended with {task.exception()!r}"
        for task in connector.tasks
        if task.done() and not task.cancelled() and task.exception() is not None
    ]
    if not connector.feed.connected:
        found.append("no connection to the feed is open")
    rejected = _rejected(connector)
    for symbol in symbols:
        if symbol in rejected:
            found.append(f"the exchange rejected the subscription to the book of {symbol}")
        elif not connector.synchronized(symbol):
            found.append(await _book_problem(connector, symbol))
    counts = connector.feed_handler.pipeline.frame_counts
    kinds = [kind.name for feed in connector.venue.feed_protocols for kind in feed.kinds]
    by_kind = ", ".join(f"{counts[name]} {name}" for name in kinds)
    found.append(f"frames by kind: {by_kind}; {counts[NO_KIND]} matched no kind")
    return found


@contextmanager
def log_of_warnings() -> Iterator[list[str]]:
    """The first different warnings that are logged meanwhile."""
    handler = _WarningLog()
    root = logging.getLogger(ROOT_LOGGER)
    root.addHandler(handler)
    try:
        yield handler.texts
    finally:
        root.removeHandler(handler)


class _WarningLog(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        values = [str(getattr(record, name)) for name in EXTRAS if hasattr(record, name)]
        text = ": ".join([record.getMessage(), *values])
        if text not in self.texts and len(self.texts) < WARNINGS_MAX:
            self.texts.append(text)


def _rejected(connector: ConnectorUnderTest) -> set[str]:
    rows = connector.subscriptions.rows([], True)
    refused = admin_pb2.SUBSCRIPTION_STATE_REFUSED
    return {row.symbol for row in rows if row.channel == BOOK and row.state == refused}


async def _book_problem(connector: ConnectorUnderTest, symbol: str) -> str:
    book = connector.book(symbol)
    updates = connector.row_count(BOOK, symbol)
    if not updates:
        return f"no frame has become an update of the book of {symbol}"
    seen = f"{symbol}: {updates} updates of the book"
    if connector.venue.book.snapshots is SnapshotSource.FEED:
        return f"{seen}, and no snapshot over the feed that passed the checks"
    if not len(book.held):
        return f"{seen}, and none is held"
    firsts = [update.numbers.first for update in book.held]
    span = f"{seen}, those held are numbered {firsts[0]} to {firsts[-1]}"
    try:
        snapshot = await connector.venue.history.book(symbol)
    except Exception as error:  # A connector that is being written may raise anything.
        return f"{span}; the request for the REST book failed: {error!r}"
    return f"{span}; the REST book of now has the number {snapshot.last_sequence}"
