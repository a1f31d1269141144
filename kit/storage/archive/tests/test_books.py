"""Book updates are read as they were published, and begin with the books as they were."""

import random
from collections import defaultdict

import numpy as np
import psycopg
import pytest
from venuemesh.common.v1 import types_pb2

from kit.marketdata.model.batches import Batch
from kit.marketdata.model.book_updates import BookUpdates
from kit.storage.archive import codec, slices
from kit.storage.archive.archive import Archive
from kit.storage.archive.slices import TimeSlices

BOOK = types_pb2.CHANNEL_BOOK
SYMBOLS = ("BTCUSDT", "ETHUSDT")
UPDATES = 300


@pytest.fixture
async def store(postgres_url):
    archive = Archive(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for symbol in SYMBOLS:
            connection.execute(
                "INSERT INTO instruments (venue, symbol) VALUES ('binance', %s)", [symbol]
            )
        yield archive, connection
    await archive.close()


def made_updates(seed):
    """(symbol, time, snapshot, bids, asks): a snapshot of each, then changes and some snapshots."""
    chance = random.Random(seed)
    found = []
    for number in range(UPDATES):
        symbol = SYMBOLS[number % 2] if number < 2 else chance.choice(SYMBOLS)
        snapshot = number < 2 or chance.random() < 0.02
        bids, asks = (
            [(chance.randrange(base, base + 20), chance.randrange(snapshot, 5)) for _ in range(6)]
            for base in (100, 130)
        )
        # Some were received long before they could be applied.
        late = 0 if number < 2 or chance.random() < 0.9 else chance.randrange(30)
        found.append((symbol, 1000 + 10 * number - late, snapshot, bids, asks))
    return found


def record(connection, updates, block_size=7):
    """As the recorder keeps them; the scale of the prices differs from block to block."""
    for start in range(0, len(updates), block_size):
        part = updates[start : start + block_size]
        scale = start % 3
        head = Batch(venue="binance", channel=BOOK)
        for symbol in SYMBOLS:
            head.instruments.add(symbol=symbol, price_scale=scale, size_scale=2)
        levels = [level for update in part for level in (*update[3], *update[4])]
        numbers = np.arange(start, start + len(part)) + 1
        rows = BookUpdates(
            *map(
                np.array,
                (
                    [SYMBOLS.index(update[0]) for update in part],
                    numbers,
                    numbers,
                    [int(update[2]) for update in part],
                    numbers * 0 + 1,
                    numbers * 0,
                    [update[1] for update in part],
                    [len(update[3]) for update in part],
                    [len(update[4]) for update in part],
                    [price * 10**scale for price, _ in levels],
                    [size for _, size in levels],
                ),
            )
        )
        times = rows.received_time_ns
        number, data = codec.pack_book(head, rows)
        snapshots = sorted({SYMBOLS.index(update[0]) + 1 for update in part if update[2]})
        connection.execute(
            "INSERT INTO book_batch_rows (venue, epoch, sequence, first_received_time_ns,"
            " last_received_time_ns, update_count, instrument_ids, snapshot_instrument_ids, codec,"
            " batch) VALUES ('binance', 5, %s, %s, %s, %s, '{1,2}', %s, %s, %s)",
            [start + 1, int(times.min()), int(times.max()), len(part), snapshots, number, data],
        )


class Books:
    """The levels of each symbol, in plain dictionaries."""

    def __init__(self):
        self.levels = defaultdict(dict)

    def apply(self, symbol, snapshot, levels):
        """(side, price, size) of one update, prices in whole units."""
        if snapshot:
            self.levels[symbol] = {}
        for side, price, size in levels:
            self.levels[symbol].pop((side, price), None)
            if size:
                self.levels[symbol][side, price] = size


def rows_of(batches):
    """(symbol, last sequence, snapshot, received time, levels) of each update."""
    for batch in map(Batch.FromString, batches):
        columns, at = batch.book, 0
        for row, place in enumerate(columns.instrument):
            entry = batch.instruments[place]
            levels = []
            for side, count in (("bid", columns.bid_count[row]), ("ask", columns.ask_count[row])):
                for number in range(at, at + count):
                    price, rest = divmod(columns.price[number], 10**entry.price_scale)
                    assert rest == 0
                    levels.append((side, price, columns.size[number]))
                at += count
            yield (
                *(entry.symbol, columns.last_sequence[row], columns.snapshot[row]),
                *(columns.received_time_ns[row], levels),
            )


def levels_of(update):
    """As rows_of."""
    return [
        (side, *level)
        for side, part in zip(("bid", "ask"), update[3:], strict=True)
        for level in part
    ]


async def read(archive, *rest, **options):
    return [batch async for batch in archive.batches("binance", BOOK, *rest, **options)]


async def test_all_updates_come_back_in_the_order_of_publication(store):
    archive, connection = store
    updates = made_updates(1)
    record(connection, updates)
    found = list(rows_of(await read(archive, rows_max=40)))
    assert [one[1] for one in found] == list(range(1, UPDATES + 1))
    for one, update in zip(found, updates, strict=True):
        assert (one[0], one[2], one[3], one[4]) == (
            *update[:1],
            update[2],
            update[1],
            levels_of(update),
        )


@pytest.mark.parametrize("symbols", [(), ("ETHUSDT",)])
@pytest.mark.parametrize("start_ns", [1005, 1500, 2345, 3990])
async def test_a_range_begins_with_the_books_as_they_were(store, symbols, start_ns):
    archive, connection = store
    updates = made_updates(2)
    record(connection, updates)
    wanted = symbols or SYMBOLS
    # An update counts as received when the newest one of its block so far was.
    times = [max(one[1] for one in updates[at - at % 7 : at + 1]) for at in range(len(updates))]
    before, after = Books(), []
    for update, time_ns in zip(updates, times, strict=True):
        if update[0] not in wanted:
            continue
        if time_ns < start_ns:
            before.apply(update[0], update[2], levels_of(update))
        elif time_ns < start_ns + 1000:
            after.append((update[0], update[2], levels_of(update)))
    found = list(rows_of(await read(archive, symbols, start_ns, start_ns + 1000)))
    begun = Books()
    for symbol, _, snapshot, time_ns, levels in found[: len(before.levels)]:
        assert snapshot
        assert time_ns == start_ns
        begun.apply(symbol, snapshot, levels)
    assert begun.levels == before.levels
    assert [(one[0], one[2], one[4]) for one in found[len(before.levels) :]] == after


async def test_the_same_bytes_however_the_range_is_cut(store, monkeypatch):
    archive, connection = store
    record(connection, made_updates(3))
    whole = await read(archive, (), 1777, rows_max=33)
    monkeypatch.setattr(TimeSlices.__init__, "__defaults__", (slices.ROWS_USUAL, 50))
    monkeypatch.setattr(slices, "GROWTH_MAX", 1)
    assert await read(archive, (), 1777, rows_max=33) == whole
    assert len(whole) > 3


async def test_empty_record_reads_as_empty(store):
    archive, _ = store
    assert await read(archive) == []
    assert await read(archive, (), 5, 10) == []
