import asyncio

import pytest

from core.ingest.pending_entries import PendingEntries
from core.ingest.tests.fakes import TRADES
from kit.base.cursor import Cursor
from kit.marketdata.delivery.redis_streams import StreamEntry
from tests.support.waiting import WAIT_SECONDS_MAX


def entries(*sizes: int) -> list[StreamEntry]:
    return [StreamEntry(TRADES, Cursor(1, size), b"x" * size) for size in sizes]


async def test_what_gathered_is_taken_in_order_and_within_the_bytes():
    pending = PendingEntries(1000)
    await pending.put(entries(10, 20, 30))
    assert await pending.take(30) == entries(10, 20)
    assert await pending.take(1) == entries(30)
    assert pending.bytes == 0


async def test_the_reader_waits_while_too_much_waits():
    pending = PendingEntries(25)
    await pending.put(entries(10))
    reader = asyncio.create_task(pending.put(entries(20)))
    await asyncio.wait([reader], timeout=0.01)
    assert not reader.done()
    assert await pending.take(1) == entries(10)
    await asyncio.wait_for(reader, WAIT_SECONDS_MAX)


async def test_the_writer_waits_for_an_entry():
    pending = PendingEntries(25)
    writer = asyncio.create_task(pending.take(100))
    await pending.put([])
    await asyncio.wait([writer], timeout=0.01)
    assert not writer.done()
    await pending.put(entries(5))
    assert await asyncio.wait_for(writer, WAIT_SECONDS_MAX) == entries(5)


async def test_the_writer_gets_the_error_after_what_was_read_before_it():
    pending = PendingEntries(1000)
    await pending.put(entries(10, 20))
    pending.end(ValueError("the venue is gone"))
    assert await pending.take(10) == entries(10)
    assert await pending.take(1000) == entries(20)
    with pytest.raises(ValueError, match="gone"):
        await pending.take(1000)
