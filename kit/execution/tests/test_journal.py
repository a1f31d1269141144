"""Records that were certainly on disk are read again; a torn end is cut off."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.base.errors import StoreUnavailable
from kit.execution.journal import records
from kit.execution.journal.account_journal import RECORDS_AT_ONCE, AccountJournal
from kit.execution.journal.journal import (
    COMPACT_BYTES_MIN,
    LINGER_S,
    RECORD_BYTES_MAX,
    Journal,
    JournalCorrupted,
    frame,
    read,
)
from kit.execution.journal.journal_file import JournalFile, SingleThreadExecutor
from kit.execution.journal.records import ExecutionEpochRecord, OrderIntent
from kit.execution.orders import order_states
from kit.execution.orders.order_records import intended_order
from kit.execution.tests.fake_disk import Disk
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.simulated_process import run, started, verified
from tests.support.manual_clock import ManualClock

PAYLOADS = st.lists(st.binary(max_size=300), min_size=1, max_size=20)


async def inline(work):
    work()


def journal_on(store, offload=inline, dump=()):
    return Journal(store, offload, ManualClock(), lambda: list(dump))


def file_of(payloads, durable=0):
    return b"".join(frame(one, number, durable) for number, one in enumerate(payloads, 1))


@given(PAYLOADS, st.integers(0, 10_000))
def test_torn_end_is_cut_off(payloads, kept):
    data = file_of(payloads)
    torn = data[: min(kept, len(data))]
    found = read(torn + bytes(100))
    assert found.payloads == payloads[: len(found.payloads)]
    whole = sum(len(frame(one, 1, 0)) for one in found.payloads)
    assert found.torn_bytes <= max(0, len(torn) - whole)
    if len(torn) == len(data):
        assert found.payloads == payloads


@given(PAYLOADS, st.data())
def test_damage_before_the_durable_end_is_an_error(payloads, data):
    payloads = [*payloads, b"last"]
    file = bytearray(file_of(payloads[:-1]))
    place = data.draw(st.integers(0, len(file) - 1))
    file[place] ^= 0xFF
    file += frame(payloads[-1], len(payloads), len(payloads) - 1)
    with pytest.raises(JournalCorrupted):
        read(bytes(file))


async def test_unreadable_file_is_not_overwritten(tmp_path):
    damaged = bytearray(file_of([b"one", b"two", b"three"], durable=3))
    damaged[-3] ^= 0xFF
    file = tmp_path / "main.journal"
    file.write_bytes(damaged)
    journal = journal_on(JournalFile(tmp_path, "main"), dump=[b"nothing"])
    with pytest.raises(JournalCorrupted):
        await journal.load()
    with pytest.raises(StoreUnavailable):
        await journal.commit(b"more")
    await journal.close()
    assert file.read_bytes() == bytes(damaged)


def test_hole_after_the_durable_end_is_a_torn_end():
    first, second, third = (frame(b"x" * 90, number, 0) for number in (1, 2, 3))
    found = read(first + bytes(len(second)) + third)
    assert (found.payloads, found.torn_bytes) == ([b"x" * 90], len(second + third))


async def test_committed_records_are_read_again():
    disk = Disk()
    journal = journal_on(disk)
    assert await journal.load() == []
    await journal.open()
    await journal.commit(b"one", b"two")
    journal.append(b"three")
    await journal.close()
    again = journal_on(disk, dump=[b"one", b"two", b"three"])
    assert await again.load() == [b"one", b"two", b"three"]
    await again.open()
    await again.commit(b"four")
    assert (await journal_on(disk).load())[-1] == b"four"


async def test_record_that_could_not_be_read_again_is_not_written():
    disk = Disk()
    journal = journal_on(disk)
    await journal.open()
    large = bytes(RECORD_BYTES_MAX + 1)
    with pytest.raises(StoreUnavailable):
        await journal.commit(b"first", large)
    with pytest.raises(StoreUnavailable):
        journal.append(large)
    await journal.commit(b"next", bytes(RECORD_BYTES_MAX))
    assert await journal_on(disk).load() == [b"next", bytes(RECORD_BYTES_MAX)]


def test_long_text_of_a_venue_fits_into_a_record():
    intent = records.OrderIntent("k", "r", b"", b"\x32\x012", 1, 2, held_here=False)
    order = intended_order(intent)
    order.detail = "x" * 2 * RECORD_BYTES_MAX
    assert len(records.encode(order.update())) < RECORD_BYTES_MAX // 100
    assert order.detail.startswith(order.update().detail)


async def test_appended_records_are_written_soon_or_with_a_commit():
    disk, clock = Disk(), ManualClock()
    writes = []
    write = disk.write
    disk.write = lambda place, data, sync: (writes.append(sync), write(place, data, sync=sync))
    journal = Journal(disk, inline, clock, list)
    await journal.load()
    await journal.open()
    journal.append(b"one")
    journal.append(b"two")
    await clock.settle()
    assert writes == []
    await journal.commit(b"three")
    assert writes == [True]
    journal.append(b"four")
    await clock.advance(2 * LINGER_S)
    assert writes == [True, False]
    assert await journal_on(disk).load() == [b"one", b"two", b"three", b"four"]


async def test_concurrent_commits_share_a_sync():
    disk = Disk()
    syncs = []
    write = disk.write
    disk.write = lambda place, data, sync: (syncs.append(sync), write(place, data, sync=sync))
    slow = asyncio.Event()

    async def offload(work):
        await slow.wait()
        work()

    journal = journal_on(disk, offload)
    slow.set()
    await journal.open()
    slow.clear()
    first = asyncio.ensure_future(journal.commit(b"first"))
    await asyncio.sleep(0)
    others = [asyncio.ensure_future(journal.commit(b"more")) for _ in range(50)]
    await asyncio.sleep(0)
    slow.set()
    await asyncio.gather(first, *others)
    assert syncs == [True, True]
    assert len(await journal_on(disk).load()) == 51


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
async def test_commits_fail_until_the_disk_is_repaired(number):
    disk = Disk()
    memory = [b"known"]
    journal = Journal(disk, inline, clock := ManualClock(), lambda: list(memory))
    await journal.open()
    disk.error = OSError(number, os.strerror(number))
    with pytest.raises(StoreUnavailable):
        await journal.commit(b"refused")
    disk.error = None
    await clock.advance(2)
    await journal.commit(b"taken")
    assert await journal_on(disk).load() == [b"known", b"taken"]


async def test_cancelled_commit_does_not_affect_the_others():
    disk = Disk()
    journal = journal_on(disk)
    await journal.open()
    left = asyncio.ensure_future(journal.commit(b"left"))
    stays = asyncio.ensure_future(journal.commit(b"stays"))
    await asyncio.sleep(0)
    left.cancel()
    await stays
    assert await journal_on(disk).load() == [b"left", b"stays"]


async def test_journal_is_compacted():
    disk = Disk()
    journal = journal_on(disk, dump=[b"all that counts"])
    await journal.open()
    for _ in range(2 * COMPACT_BYTES_MIN // 1_000_000):
        await journal.commit(bytes(range(250)) * 4000)
    assert len(disk.content) < COMPACT_BYTES_MIN + 2_000_000
    assert (await journal_on(disk).load())[0] == b"all that counts"


async def test_journal_work_lets_other_tasks_run_between_a_few_records():
    records, turns = [ExecutionEpochRecord(number) for number in range(1_000)], []

    async def count_turns():
        while True:
            turns.append(len(turns))
            await asyncio.sleep(0)

    counting = asyncio.get_running_loop().create_task(count_turns())
    journal = AccountJournal(Disk(), inline, ManualClock())
    await journal.open(lambda: iter(records))
    assert len(turns) >= len(records) / RECORDS_AT_ONCE
    turns.clear()
    assert [record async for record in journal.load()] == records
    assert len(turns) >= len(records) / RECORDS_AT_ONCE
    counting.cancel()


def test_changes_during_a_dump_are_on_disk_after_it():
    async def scenario():
        found = await started()
        account = found.account
        order = await account.submitter.submit(verified(limit_order(), "r"))
        for number in range(1_000):
            content = limit_order().SerializeToString()
            intent = OrderIntent(f"{number:032}", f"r{number}", b"", content, 1, 0, True)
            account.state.index.add_intended(intent)
        dumping = asyncio.get_running_loop().create_task(account.journal.open(account._records))
        await asyncio.sleep(0)
        found.venue.fill(found.venue.by_client_id[order.key], Decimal(2))
        await found.until(lambda: order.is_final)
        other = await account.submitter.submit(verified(limit_order(), "s"))
        await dumping
        await found.let_pass(1)
        found.process.die()
        found.disk.crash(found.random, power=True)
        found.venue.publishes = False
        found.start()
        await found.ready()
        restored = found.account.state.index
        assert [restored.orders[one.key].state for one in (order, other)] == [
            order_states.FILLED,
            order_states.OPEN,
        ]
        assert restored.orders[order.key].fill_size == 2
        assert found.venue.sends == {order.key: 1, other.key: 1}

    run(scenario())


async def test_file_is_locked_by_one_process(tmp_path):
    store = JournalFile(tmp_path / "fake", "main")
    with pytest.raises(StoreUnavailable, match="another process holds"):
        JournalFile(tmp_path / "fake", "main")
    thread = SingleThreadExecutor("journal")
    journal = journal_on(store, thread, dump=[b"before"])
    assert await journal.load() == []
    await journal.open()
    for number in range(200):
        await journal.commit(str(number).encode())
    await journal.close()
    thread.close()
    again = JournalFile(tmp_path / "fake", "main")
    assert await journal_on(again).load() == [b"before", *(str(n).encode() for n in range(200))]
    again.close()


def test_new_folders_are_synced_into_their_parents(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def sync(file):
        synced.append(Path(f"/proc/self/fd/{file}").readlink())
        fsync(file)

    monkeypatch.setattr(os, "fsync", sync)
    JournalFile(tmp_path / "orders" / "fake", "main").close()
    assert synced == [tmp_path, tmp_path / "orders"]
    synced.clear()
    JournalFile(tmp_path / "orders" / "fake", "main").close()
    assert synced == []


KILLED = """
import asyncio, pathlib, sys
from kit.base.clock import SystemClock
from kit.execution.journal.journal_file import JournalFile, SingleThreadExecutor
from kit.execution.journal.journal import Journal

async def main():
    store = JournalFile(pathlib.Path(sys.argv[1]), "main")
    journal = Journal(store, SingleThreadExecutor("journal"), SystemClock(), lambda: [])
    await journal.open()
    number = 0
    while True:
        await journal.commit(str(number).encode())
        sys.stdout.write(f"{number}\\n")
        sys.stdout.flush()
        number += 1

asyncio.run(main())
"""


def test_committed_records_survive_kill_9(tmp_path):
    root = Path(__file__).parents[3]
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root}:{root / 'gen'}"},
    )
    assert child.stdout is not None
    for _ in range(100):
        child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    rest = child.stdout.read().split(b"\n")
    child.stdout.close()
    child.wait()
    said = 100 + len([line for line in rest if line])
    store = JournalFile(tmp_path, "main")
    found = [int(one) for one in asyncio.run(journal_on(store).load())]
    store.close()
    assert found == list(range(len(found)))
    assert len(found) >= said - 1
