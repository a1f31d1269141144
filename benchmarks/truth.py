"""The rows in a file of Binance frames and in a database, as the key of each row and a hash of its
values, so that millions fit in memory."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import psycopg
from venuemesh.marketdata.v1 import batch_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.base.numbers import format_scaled
from kit.storage.archive import codec
from tests.integration.capture import Bar, Trade, bars

TRADES = """
SELECT trade_id, trim_scale(price)::text, trim_scale(size)::text, side, venue_time_ns FROM trades
"""
QUOTES = """
SELECT sequence, trim_scale(bid_price)::text, trim_scale(bid_size)::text,
    trim_scale(ask_price)::text, trim_scale(ask_size)::text
FROM quotes
"""
BLOCKS = "SELECT codec, batch FROM book_batch_rows ORDER BY epoch, sequence"
BARS = f"SELECT open_time_ns, {', '.join(Bar._fields)} FROM bars WHERE interval = '1m'"
FETCHED_ROWS = 10_000


@dataclass(slots=True)
class Rows:
    """The rows of one channel."""

    hashes: dict[int, int] = field(default_factory=dict)
    doubled: int = 0
    """Rows whose key another row has."""

    def add(self, key: int, *values: object) -> None:
        self.doubled += key in self.hashes
        self.hashes[key] = hash((key, *values))


@dataclass(slots=True)
class Truth:
    """Rows by channel, and the minute bars."""

    rows: dict[str, Rows] = field(
        default_factory=lambda: {name: Rows() for name in ("trades", "quotes", "book")}
    )
    bars: dict[int, Bar] = field(default_factory=dict)


def of_frames(lines: Iterable[bytes]) -> Truth:
    """The rows in a file of frames."""
    found, trades = Truth(), []
    in_snapshot = 0
    for line in lines:
        message = json.loads(line)
        if "lastUpdateId" in message:
            in_snapshot = message["lastUpdateId"]
            continue
        data = message["data"]
        if "t" in data:
            side = "sell" if data["m"] else "buy"
            time_ns = data["T"] * NANOSECONDS_PER_MILLISECOND
            found.rows["trades"].add(data["t"], _plain(data["p"]), _plain(data["q"]), side, time_ns)
            price, size = Decimal(data["p"]), Decimal(data["q"])
            trades.append(Trade(data["t"], price, size, side, time_ns))
        elif "U" in data:
            found.rows["book"].add(data["u"], data["U"], _levels(data["b"]), _levels(data["a"]))
        else:
            found.rows["quotes"].add(data["u"], *(_plain(data[key]) for key in "bBaA"))
    # Updates that the first REST snapshot includes are published with that snapshot.
    book = found.rows["book"]
    book.hashes = {last: row for last, row in book.hashes.items() if last > in_snapshot}
    found.bars = bars(trades, 60)
    return found


def of_database(url: str) -> Truth:
    """The rows in the database, without snapshots of books, which are not in the file."""
    found = Truth()
    with psycopg.connect(url) as connection:
        for name, query in (("trades", TRADES), ("quotes", QUOTES)):
            for row in _streamed(connection, query):
                found.rows[name].add(*row)
        for number, data in _streamed(connection, BLOCKS):
            batch = batch_pb2.MarketDataBatch.FromString(codec.unpack(number, data))
            for last, *values in _updates(batch):
                found.rows["book"].add(last, *values)
        found.bars = {row[0]: Bar(*row[1:]) for row in connection.execute(BARS.encode())}
    return found


def _streamed(connection: psycopg.Connection[Any], query: str) -> Iterator[tuple[Any, ...]]:
    with connection.cursor("rows") as cursor:
        cursor.itersize = FETCHED_ROWS
        yield from cursor.execute(query.encode())


def _updates(batch: batch_pb2.MarketDataBatch) -> Iterator[tuple[Any, ...]]:
    """Last id, first id, bids and asks of each update that is not a snapshot."""
    rows, start = batch.book, 0
    for row, place in enumerate(rows.instrument):
        scale = batch.instruments[place]
        middle = start + rows.bid_count[row]
        stop = middle + rows.ask_count[row]
        sides = [
            tuple(
                (format_scaled(price, scale.price_scale), format_scaled(size, scale.size_scale))
                for price, size in zip(rows.price[begin:end], rows.size[begin:end], strict=True)
            )
            for begin, end in ((start, middle), (middle, stop))
        ]
        start = stop
        if not rows.snapshot[row]:
            yield rows.last_sequence[row], rows.first_sequence[row], *sides


def _plain(text: str) -> str:
    """Decimal text without trailing zeros."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def _levels(pairs: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((_plain(price), _plain(size)) for price, size in pairs)
