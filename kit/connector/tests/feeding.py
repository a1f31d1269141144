"""A pipeline that is fed by hand, and what it has published."""

from collections.abc import Iterable

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.clock import SystemClock
from kit.base.cursor import CHANNELS
from kit.base.telemetry import Meter
from kit.connector.books.book_events import UNPROVEN_EPOCH
from kit.connector.books.synchronized_book import SynchronizedBook
from kit.connector.contract.venue import ControlMessage, Venue
from kit.connector.publishing.feed_handler import FeedHandler
from kit.marketdata.model.batches import Batch

RECEIVED_TIME_NS = 7


class Connection:
    """What the pipeline says of a connection."""

    def __init__(self) -> None:
        self.answers: list[ControlMessage] = []
        self.breaks: list[str] = []

    @property
    def reported(self) -> bool:
        """Whether anything is to be said over it, or anything is missing."""
        return bool(self.breaks) or any(answer.replies for answer in self.answers)

    def on_control_message(self, answer: ControlMessage) -> None:
        self.answers.append(answer)

    def on_missing_frame(self, detail: str) -> None:
        self.breaks.append(detail)


def expect_unproven(batches: list[Batch], count: int) -> None:
    """So many updates were published while there was no book, and before them a gap."""
    assert [gap.reason for one in batches for gap in one.gaps] == [types_pb2.GAP_REASON_UNPROVEN]
    assert batches[0].gaps
    epochs = [epoch for one in batches for epoch in one.book.book_epoch]
    assert epochs == [UNPROVEN_EPOCH] * count
    assert not any(whole for one in batches for whole in one.book.snapshot)


class Feed:
    """A pipeline that is subscribed to some symbols."""

    def __init__(self, venue: Venue, *symbols: str) -> None:
        self.venue = venue
        self.meter = Meter(venue.venue_id)
        self.connection = Connection()
        self.feed_handler = FeedHandler.of(venue, self.meter, SystemClock())
        self.subscriptions = self.feed_handler.subscriptions
        self.feed_handler.subscribe(symbols)
        self._symbols = symbols
        self._reader = self.feed_handler.hub.reader(
            {}, earliest=CHANNELS, latest=(), symbols=frozenset()
        )

    @property
    def skipped(self) -> int:
        """Frames that were left out."""
        return int(self.meter.counters.get("skipped_frames_total", 0))

    def book(self, symbol: str) -> SynchronizedBook:
        """One book."""
        return self.feed_handler.book_manager.books[symbol]

    def take(self, *frames: bytes, wire: int = 0) -> list[Batch]:
        """What is published when these come over a connection of a wire, by its place."""
        wires = self.venue.feed_protocols
        buffer = self.feed_handler.pipeline.buffer(wires[wire])
        buffer.add(list(frames), RECEIVED_TIME_NS, self.connection)
        self.feed_handler.pipeline.flush()
        taken = self._reader.take() or b""
        return list(market_data_pb2.SubscribeResponse.FromString(taken).batches)

    def reconnect(self) -> None:
        """The connection of the first wire has been made again."""
        self.feed_handler.row_publisher.on_connection_lost(
            self._symbols, self.venue.feed_protocols[0].channels, "closed"
        )


def ids(batches: Iterable[Batch]) -> list[int]:
    """The ids of trades; those that are texts as numbers."""
    return [
        int(number)
        for batch in batches
        for number in (batch.trades.trade_id_text or batch.trades.trade_id)
    ]


def reasons(batches: Iterable[Batch]) -> list["types_pb2.GapReason.ValueType"]:
    """The reasons of gaps."""
    return [gap.reason for batch in batches for gap in batch.gaps]
