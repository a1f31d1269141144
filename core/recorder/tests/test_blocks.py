"""Book updates and frames: many batches in one row, and all of them come back."""

import psycopg
import pytest
from venuemesh.common.v1 import types_pb2

from core.recorder.chunk import Chunk
from core.recorder.store import RecorderStore
from core.recorder.tests.market import (
    BOOK,
    BTC,
    ETH,
    START_NS,
    VENUE,
    batch,
    book_batch,
    entry,
    recorded_gaps,
)
from kit.base.cursor import Cursor, StreamKey
from kit.base.database import Database
from kit.marketdata.model.batches import Batch
from kit.storage.archive import codec

FRAMES = StreamKey(VENUE, types_pb2.CHANNEL_FRAMES)
NOW_NS = START_NS + 10**12


@pytest.fixture
async def store(postgres_url):
    database = Database(postgres_url)
    yield RecorderStore(database)
    await database.close()


async def write(store, *messages, key=BOOK):
    chunk = Chunk(await store.positions())
    for message in messages:
        chunk.add(entry(key, message), NOW_NS)
    await store.write(await store.prepare(chunk))


def stored(url, table, columns="epoch, sequence, codec, batch"):
    with psycopg.connect(url) as connection:
        return connection.execute(
            f"SELECT {columns} FROM {table} ORDER BY epoch, sequence".encode()
        ).fetchall()


def batches(url, table="book_batch_rows"):
    """What a reader gets."""
    return [Batch.FromString(codec.unpack(number, data)) for *_, number, data in stored(url, table)]


def updates(message):
    """Symbol, ids, levels of each update."""
    rows, at = message.book, 0
    found = []
    for row, place in enumerate(rows.instrument):
        stop = at + rows.bid_count[row] + rows.ask_count[row]
        levels = [*zip(rows.price[at:stop], rows.size[at:stop], strict=True)]
        symbol = message.instruments[place].symbol
        found.append((symbol, rows.last_sequence[row], rows.snapshot[row], levels))
        at = stop
    return found


async def test_consecutive_batches_become_one_block(store, postgres_url):
    messages = [
        book_batch(Cursor(3, 1), [BTC, ETH, BTC], snapshot=True),
        book_batch(Cursor(3, 2), [ETH]),
        book_batch(Cursor(3, 3), [ETH, BTC] * 10),
    ]
    await write(store, *messages)
    (found,) = batches(postgres_url)
    assert updates(found) == [update for message in messages for update in updates(message)]
    assert found.cursor == messages[0].cursor
    with psycopg.connect(postgres_url) as connection:
        row = connection.execute(
            "SELECT symbols, snapshot_symbols, update_count, first_received_time_ns,"
            " last_received_time_ns, epoch, sequence, codec FROM book_batches"
        ).fetchone()
    both = ["BTCUSDT", "ETHUSDT"]
    count = len(updates(found))
    last_ns = max(messages[2].book.received_time_ns)
    assert row == (both, both, count, START_NS, last_ns, 3, 1, "book")


async def test_an_instrument_whose_scale_changes_keeps_its_numbers(store, postgres_url):
    finer = BTC._replace(price_scale=4)
    await write(
        store, book_batch(Cursor(3, 1), [ETH, BTC] * 5), book_batch(Cursor(3, 2), [finer] * 9)
    )
    (found,) = batches(postgres_url)
    scales = [found.instruments[place].price_scale for place in found.book.instrument]
    assert scales == [4, 2] * 5 + [4] * 9
    assert [found.instruments[place].symbol for place in found.book.instrument][10:] == [
        "BTCUSDT"
    ] * 9


async def test_a_gap_begins_a_block(store, postgres_url):
    gap = types_pb2.Gap(symbol="BTCUSDT", reason=types_pb2.GAP_REASON_SEQUENCE)
    doubtful = book_batch(Cursor(1, 3))
    doubtful.gaps.append(gap)
    await write(
        store,
        book_batch(Cursor(1, 1)),
        book_batch(Cursor(1, 2)),
        doubtful,
        batch(BOOK, Cursor(1, 4), [gap]),
        book_batch(Cursor(1, 5)),
        # One is missing here, and there a new epoch begins.
        book_batch(Cursor(1, 7)),
        book_batch(Cursor(2, 1)),
    )
    assert [row[:2] for row in stored(postgres_url, "book_batch_rows")] == [
        (1, 1),
        (1, 3),
        (1, 5),
        (1, 7),
        (2, 1),
    ]
    assert [row[3:] for row in recorded_gaps(postgres_url)] == [(1, 3), (1, 4), (1, 7)]


async def test_unreadable_batch_ends_a_block(store, postgres_url):
    broken = book_batch(Cursor(1, 2))
    broken.book.price.append(1)
    await write(store, book_batch(Cursor(1, 1)), broken, book_batch(Cursor(1, 3)))
    assert [row[:2] for row in stored(postgres_url, "book_batch_rows")] == [(1, 1), (1, 3)]
    assert recorded_gaps(postgres_url) == [("book", None, "malformed", 1, 2)]


def frame_batch(cursor, frames):
    message = batch(FRAMES, cursor)
    message.instruments.add()
    for number, frame in enumerate(frames):
        message.frames.instrument.append(0)
        message.frames.frame.append(frame)
        message.frames.connection.append(1 + number % 2)
        message.frames.received_time_ns.append(START_NS + cursor.sequence * 100 + number)
    return message


async def test_frames_are_unpacked_unchanged(store, postgres_url):
    words = [
        f'{{"stream":"btcusdt@trade","data":{{"t":{number}}}}}'.encode() for number in range(50)
    ]
    messages = [frame_batch(Cursor(1, 1), words), frame_batch(Cursor(1, 2), [b"\0\xff", b""])]
    await write(store, *messages, key=FRAMES)
    (found,) = batches(postgres_url, "frame_rows")
    assert list(found.frames.frame) == [*words, b"\0\xff", b""]
    for name in ("connection", "received_time_ns"):
        expected = [value for message in messages for value in getattr(message.frames, name)]
        assert list(getattr(found.frames, name)) == expected
    count, packed, first_ns, last_ns = stored(
        postgres_url,
        "frame_rows",
        "frame_count, batch, first_received_time_ns, last_received_time_ns",
    )[0]
    assert (count, first_ns, last_ns) == (52, START_NS + 100, START_NS + 201)
    assert len(packed) < sum(map(len, words)) / 3


async def test_inconsistent_frames_are_a_gap(store, postgres_url):
    message = frame_batch(Cursor(1, 1), [b"a", b"b"])
    message.frames.connection.append(1)
    await write(store, message, key=FRAMES)
    assert recorded_gaps(postgres_url) == [("frames", None, "malformed", 1, 1)]
