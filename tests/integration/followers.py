"""Subscribers in separate threads that resubscribe when their subscription ends."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Protocol

import grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.live.v1 import live_pb2, live_pb2_grpc
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2, market_data_pb2_grpc

from tests.integration.capture import Book, BookUpdate
from tests.integration.mesh import LOOK_AGAIN_SECONDS, SYMBOL, VENUE, Mesh, metadata, shown_channel
from tests.integration.recorded import RecordedUpdate, updates_of

BestPrices = tuple[Decimal, Decimal]


class Reader(Protocol):
    """The subscription of a follower, and its results."""

    def subscribe(self, channel: grpc.Channel) -> grpc.Call:
        """Call for a stream of batches."""

    def take(self, batch: batch_pb2.MarketDataBatch) -> None:
        """One batch of the stream."""


@contextmanager
def following(mesh: Mesh, reader: Reader) -> Iterator["Follower"]:
    """Read in the background, through the gateway."""
    follower = Follower(mesh, reader)
    follower.start()
    try:
        yield follower
    finally:
        follower.stop()


class Follower:
    """Subscribes again whenever a subscription ends, until it is stopped."""

    def __init__(self, mesh: Mesh, reader: Reader) -> None:
        self.ends: list[str] = []
        """Why subscriptions ended."""
        # The mesh may end before its readers.
        self._gateway, self._token = mesh.gateway, mesh.token
        self._reader = reader
        self._stopping = threading.Event()
        self._call: grpc.Call | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        if self._call is not None:
            self._call.cancel()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with shown_channel(self._gateway, self._token) as channel:
                try:
                    self._call = self._reader.subscribe(channel)
                    for response in self._call:
                        for batch in response.batches:
                            self._reader.take(batch)
                except grpc.RpcError as error:
                    self.ends.append(f"{error.code().name}: {error.details()}")
            self._stopping.wait(LOOK_AGAIN_SECONDS)


class LiveTrades:
    """Every trade of SYMBOL from the bridge, from the first one on, resumed by cursor."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        """Number of receptions of each trade id."""
        self.gaps: list[types_pb2.Gap] = []
        self._cursor = types_pb2.Cursor()

    def subscribe(self, channel: grpc.Channel) -> grpc.Call:
        """Resume after the last batch."""
        resume_after = types_pb2.ChannelCursor(
            channel=types_pb2.CHANNEL_TRADES, cursor=self._cursor
        )
        selector = live_pb2.Selector(
            venue=VENUE,
            channels=[types_pb2.CHANNEL_TRADES],
            symbols=[SYMBOL],
            resume_after=[resume_after],
        )
        request = live_pb2.SubscribeRequest(selectors=[selector])
        return live_pb2_grpc.LiveStub(channel).Subscribe(request)

    def take(self, batch: batch_pb2.MarketDataBatch) -> None:
        """Count its trades."""
        self.counts.update(batch.trades.trade_id)
        self.gaps.extend(batch.gaps)
        self._cursor = batch.cursor


class BookWatcher:
    """Follows a venue's book by the API contract, and reports a book that is marked proven but
    differs from the expected one."""

    def __init__(self, truth: Mapping[int, BestPrices]) -> None:
        self.proven = False
        self.checked = 0
        """Updates after which the book was proven and has been compared."""
        self.last = 0
        self.snapshots: list[int] = []
        """Update ids of the snapshots."""
        self.wrong: list[str] = []
        self._truth = truth
        self._book: Book | None = None
        self._cursor: types_pb2.Cursor | None = None

    def subscribe(self, channel: grpc.Channel) -> grpc.Call:
        """Start at the earliest kept batch, or resume after the last one."""
        request = market_data_pb2.SubscribeRequest(
            venue=VENUE,
            channels=[types_pb2.CHANNEL_BOOK],
            start_at=market_data_pb2.START_AT_EARLIEST,
        )
        if self._cursor is not None:
            request.resume_after.add(channel=types_pb2.CHANNEL_BOOK, cursor=self._cursor)
        return market_data_pb2_grpc.MarketDataStub(channel).Subscribe(request, metadata=metadata())

    def take(self, batch: batch_pb2.MarketDataBatch) -> None:
        """Apply its updates and check the best prices after each."""
        self._cursor = batch.cursor
        if batch.gaps:
            self.proven = False
        for update in updates_of(batch):
            self._take(update)

    def _take(self, found: RecordedUpdate) -> None:
        update = found.update
        if found.snapshot:
            self._book, self.proven = Book(update), True
            self.snapshots.append(update.last)
        elif self._book is None or not self.proven:
            self.wrong.append(f"{update.first} to {update.last} came without a snapshot")
            return
        else:
            self._apply(update)
        self.last = update.last
        if self._book.best == self._truth.get(update.last):
            self.checked += 1
        else:
            self.wrong.append(f"at {update.last} the best prices are {self._book.best}")

    def _apply(self, update: BookUpdate) -> None:
        try:
            self._book.apply(update)
        except ValueError as error:
            self.wrong.append(f"{error}, and no gap says so")


class QuoteWatcher:
    """Sees whether quotes ever go backwards."""

    def __init__(self) -> None:
        self.sequences: list[int] = []

    def subscribe(self, channel: grpc.Channel) -> grpc.Call:
        """Start at the earliest kept batch."""
        request = market_data_pb2.SubscribeRequest(
            venue=VENUE,
            channels=[types_pb2.CHANNEL_QUOTES],
            start_at=market_data_pb2.START_AT_EARLIEST,
        )
        return market_data_pb2_grpc.MarketDataStub(channel).Subscribe(request, metadata=metadata())

    def take(self, batch: batch_pb2.MarketDataBatch) -> None:
        """Note the ids of its quotes."""
        self.sequences.extend(batch.quotes.sequence)
