"""A small past in a database: two instruments, three seconds, three channels, gaps and terms."""

import json

import numpy as np
import psycopg
from venuemesh.common.v1 import types_pb2

from kit.marketdata.model.batches import Batch
from kit.marketdata.model.book_updates import BookUpdates
from kit.storage.archive import codec

VENUE = "binance"
SYMBOLS = ("BTCUSDT", "ETHUSDT")
START_NS = 1_700_000_000_000_000_000
MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000_000_000
TRADES, QUOTES, UPDATES = 300, 600, 30
HOLE = 100
"""The trade behind a hole."""


def record(url: str) -> None:
    """Fill a database that has the schema and nothing else."""
    with psycopg.connect(url, autocommit=True) as connection:
        for symbol in SYMBOLS:
            connection.execute(
                "INSERT INTO instruments (venue, symbol) VALUES (%s, %s)", [VENUE, symbol]
            )
            definition = {
                "venue": VENUE,
                "symbol": symbol,
                "kind": "INSTRUMENT_KIND_SPOT",
                "status": "INSTRUMENT_STATUS_TRADING",
                "base": symbol[:3],
                "quote": "USDT",
                "price_tick": "0.01",
                "size_step": "0.01",
            }
            connection.execute(
                "INSERT INTO instrument_terms (venue, symbol, valid_from_ns, change, definition,"
                " epoch, sequence) VALUES (%s, %s, %s, 1, %s, 1, 1)",
                [VENUE, symbol, START_NS - SECOND_NS, json.dumps(definition)],
            )
        connection.execute(
            "INSERT INTO trade_rows (instrument_id, venue_time_ns, received_time_ns, side, price,"
            " size, trade_id) SELECT 1 + i %% 2, %(start)s + i * 10000000::bigint - 5,"
            " %(start)s + i * 10000000::bigint, 1 + i %% 2, 61000 + i / 100.0, 0.01, i"
            " FROM generate_series(1, %(count)s) AS i",
            {"start": START_NS, "count": TRADES},
        )
        connection.execute(
            "INSERT INTO quote_rows (instrument_id, venue_time_ns, received_time_ns, sequence,"
            " bid_price, bid_size, ask_price, ask_size)"
            " SELECT 1, 0, %(start)s + i * 5000000::bigint, i, 61000, 1, 61000.01 + i, 0.5"
            " FROM generate_series(1, %(count)s) AS i",
            {"start": START_NS, "count": QUOTES},
        )
        connection.execute(
            "INSERT INTO gap_rows (venue, channel, epoch, sequence, ordinal, symbol, reason,"
            " last_id_before, first_id_after, last_time_ns, first_time_ns, detected_time_ns,"
            " detail) VALUES ('binance', 1, 5, 7, 0, 'BTCUSDT', 1, 98, %s, 0, %s, %s, 'a hole')",
            [HOLE, hole_ns() - 5, hole_ns() + 3 * MILLISECOND_NS],
        )
        for number in range(UPDATES):
            _record_update(connection, number)


def hole_ns() -> int:
    """When the trade behind the hole was received."""
    return START_NS + HOLE * 10 * MILLISECOND_NS


def best_bid(number: int) -> int:
    """Of the book after so many updates, of which the first is a snapshot."""
    return 100 + number - 1


def _record_update(connection: psycopg.Connection, number: int) -> None:
    """One block: the whole book, then one better bid after the other."""
    head = Batch(venue=VENUE, channel=types_pb2.CHANNEL_BOOK)
    head.instruments.add(symbol="BTCUSDT", price_scale=0, size_scale=1)
    received_ns = START_NS + (number + 1) * 100 * MILLISECOND_NS
    whole = number == 0
    rows = BookUpdates(
        instrument=np.array([0]),
        first_sequence=np.array([number + 1]),
        last_sequence=np.array([number + 1]),
        snapshot=np.array([int(whole)]),
        book_epoch=np.array([1]),
        venue_time_ns=np.array([received_ns - 5]),
        received_time_ns=np.array([received_ns]),
        bid_count=np.array([1]),
        ask_count=np.array([int(whole)]),
        price=np.array([100 + number, *([1000] if whole else [])]),
        size=np.array([5, *([7] if whole else [])]),
    )
    kind, data = codec.pack_book(head, rows)
    connection.execute(
        "INSERT INTO book_batch_rows (venue, epoch, sequence, first_received_time_ns,"
        " last_received_time_ns, update_count, instrument_ids, snapshot_instrument_ids, codec,"
        " batch) VALUES (%s, 5, %s, %s, %s, 1, '{1}', %s, %s, %s)",
        [VENUE, number + 1, received_ns, received_ns, [1] if whole else [], kind, data],
    )
