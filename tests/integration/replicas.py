"""A mesh with two processes of a venue, its streams, and the state of the exchange."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import pairwise
from typing import Any

import redis
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.marketdata.v1 import batch_pb2

from tests.integration.capture import Book
from tests.integration.mesh import (
    CALL_SECONDS_MAX,
    NO_TRADING,
    SYMBOL,
    VENUE,
    Mesh,
    new_folder,
    running,
)
from tests.integration.recorded import updates_of

ONE_VENUE = ("--world", "simulate", "--seed", "7", "--venues", VENUE)
SIMULATE = (*ONE_VENUE, "--replicas", VENUE, *NO_TRADING)
ELDER, YOUNGER = VENUE, f"{VENUE}-b"
NAMES = (ELDER, YOUNGER)
COVERED = "venuemesh_peer_covers 1.0"
BestPrices = tuple[Decimal, Decimal]
Batch = batch_pb2.MarketDataBatch


class StreamReader:
    """Reads the entries that ingest has written."""

    def __init__(self, mesh: Mesh) -> None:
        self._redis = redis.Redis.from_url(mesh.redis_url())

    def newest(self, channel: str) -> Batch:
        """Raises LookupError while there is none."""
        entries: Any = self._redis.xrevrange(_key(channel), count=1)
        return Batch.FromString(entries[0][1][b"b"])

    def epoch(self, channel: str = "trades") -> int:
        """Epoch of the newest entry, which identifies the process that is read."""
        return self.newest(channel).cursor.epoch

    def batches(self, channel: str, after: str = "0") -> list[tuple[str, Batch]]:
        """Those that are held, from an id on."""
        entries: Any = self._redis.xread({_key(channel): after}, count=1_000, block=200)
        found = entries[0][1] if entries else []
        return [(number.decode(), Batch.FromString(fields[b"b"])) for number, fields in found]


class StreamBooks(threading.Thread):
    """Follows the books of the stream by the contract alone."""

    def __init__(self, streams: StreamReader) -> None:
        super().__init__(daemon=True)
        self.best: dict[int, BestPrices] = {}
        """Best prices of SYMBOL by update id, while the book is marked proven."""
        self.wrong: list[str] = []
        self.gaps: list[str] = []
        self.handovers = 0
        self._streams = streams
        self._books: dict[str, tuple[int, Book]] = {}
        self._stopping = threading.Event()

    def run(self) -> None:
        after = "0"
        while not self._stopping.is_set():
            for number, batch in self._streams.batches("book", after):
                after = number
                self._take(batch)

    def end(self) -> None:
        """Stop reading; the results so far remain."""
        self._stopping.set()
        self.join()

    def _take(self, batch: Batch) -> None:
        self.handovers += batch.HasField("continues")
        for gap in batch.gaps:
            self.gaps.append(f"{gap.symbol} {gap.reason} {gap.detail}")
            for symbol in [gap.symbol] if gap.symbol else list(self._books):
                self._books.pop(symbol, None)
        for found in updates_of(batch):
            known = self._books.get(found.symbol)
            if found.snapshot:
                known = found.book_epoch, Book(found.update)
            elif known is None or known[0] != found.book_epoch:
                self.wrong.append(f"{found.symbol} {found.update.last} follows no snapshot")
                continue
            else:
                self._apply(known[1], found.update)
            self._books[found.symbol] = known
            if found.symbol == SYMBOL:
                self.best[found.update.last] = known[1].best

    def _apply(self, book: Book, update: Any) -> None:
        try:
            book.apply(update)
        except ValueError as error:
            self.wrong.append(str(error))


class TrueBooks(threading.Thread):
    """Asks the exchange for its book, again and again."""

    def __init__(self, mesh: Mesh) -> None:
        super().__init__(daemon=True)
        self.best: dict[int, BestPrices] = {}
        self._mesh = mesh
        self._stopping = threading.Event()

    def run(self) -> None:
        path = f"/{VENUE}/api/v3/depth?symbol={SYMBOL}&limit=5"
        while not self._stopping.wait(0.05):
            _, found = self._mesh.get(path, port="simulator")
            best = Decimal(found["bids"][0][0]), Decimal(found["asks"][0][0])
            self.best[found["lastUpdateId"]] = best

    def end(self) -> None:
        """Stop reading; the results so far remain."""
        self._stopping.set()
        self.join()


@contextmanager
def watched(mesh: Mesh) -> Iterator[tuple[StreamBooks, TrueBooks]]:
    """Both of them, while this is open."""
    followed, true = StreamBooks(StreamReader(mesh)), TrueBooks(mesh)
    followed.start()
    true.start()
    try:
        yield followed, true
    finally:
        followed.end()
        true.end()


@contextmanager
def two() -> Iterator[Mesh]:
    """A mesh in the world simulate."""
    with new_folder() as data, running(data, *SIMULATE) as mesh:
        wait_until_covered(mesh)
        yield mesh


def wait_until_covered(mesh: Mesh) -> None:
    """Wait until each process can replace the other, and readers know it."""
    streams = StreamReader(mesh)

    def covered() -> bool:
        said = [streams.newest(channel) for channel in ("trades", "quotes", "tickers", "candles")]
        claims = all(batch.peer_cursor.epoch > batch.cursor.epoch for batch in said)
        return claims and all(COVERED in mesh.metrics(name) for name in NAMES)

    mesh.wait_until(covered, "each covers the other")


def admin(mesh: Mesh, name: str) -> "admin_pb2_grpc.AdminStub":
    """The Admin service of one of the two processes, without the gateway."""
    channel = mesh.connect(f"127.0.0.1:{mesh.port(name)}")
    return admin_pb2_grpc.AdminStub(channel)


def pause(mesh: Mesh, name: str) -> None:
    """Cut the connections of one process to the exchange."""
    admin(mesh, name).Pause(admin_pb2.PauseRequest(), timeout=CALL_SECONDS_MAX)


def resume(mesh: Mesh, name: str) -> None:
    """Let it connect again."""
    admin(mesh, name).Resume(admin_pb2.ResumeRequest(), timeout=CALL_SECONDS_MAX)


def exchange_ids(mesh: Mesh, first_id: int, last_id: int) -> list[int]:
    """Ids of the trades of SYMBOL, by the word of the exchange."""
    found: list[int] = []
    while not found or found[-1] < last_id:
        start = found[-1] + 1 if found else first_id
        path = f"/{VENUE}/api/v3/historicalTrades?symbol={SYMBOL}&limit=1000&fromId={start}"
        found += [each["id"] for each in mesh.get(path, port="simulator")[1]]
    return [number for number in found if number <= last_id]


def streamed_ids(mesh: Mesh, after: str = "0") -> list[int]:
    """Ids of the trades of SYMBOL in the stream, as they stand there."""
    found: list[int] = []
    streams = StreamReader(mesh)
    while entries := streams.batches("trades", after):
        after = entries[-1][0]
        for _, batch in entries:
            names = [entry.symbol for entry in batch.instruments]
            rows = zip(batch.trades.instrument, batch.trades.trade_id, strict=True)
            found += [number for place, number in rows if names[place] == SYMBOL]
        if len(entries) < 100:
            break
    return found


def is_consecutive(ids: list[int]) -> bool:
    """Whether the numbers are consecutive."""
    return all(other == one + 1 for one, other in pairwise(ids))


def _key(channel: str) -> str:
    return f"md:{{{VENUE}}}:{channel}"
