"""An older copy of a journal is found out; a lost anchor is an alarm."""

import pytest

from kit.base.errors import StoreUnavailable
from kit.execution.journal.account_journal import AccountJournal, JournalReplaced
from kit.execution.journal.anchor import SLOT_BYTES, AnchorFile, JournalAnchor
from kit.execution.journal.records import ExecutionEpochRecord, PositionRecord
from kit.execution.tests.fake_disk import Disk
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.simulated_process import run, verified, world
from tests.support.manual_clock import ManualClock

RECORDS = (ExecutionEpochRecord(7),)


async def inline(work):
    work()


async def opened(disk, folder, records=RECORDS, epoch=7, account=""):
    """Load the journal, and start to write it."""
    journal = AccountJournal(disk, inline, ManualClock(), AnchorFile(folder, "main"), account)
    restored = [record async for record in journal.load()]
    await journal.open(lambda: records, epoch)
    return journal, restored


async def test_journal_is_loaded_again(tmp_path):
    disk = Disk()
    journal, _ = await opened(disk, tmp_path)
    await journal.commit(PositionRecord("BTCUSDT", 1))
    await journal.close()
    again, restored = await opened(disk, tmp_path)
    assert restored == [*RECORDS, PositionRecord("BTCUSDT", 1)]
    assert not again.alarm


@pytest.mark.parametrize("is_of_this_run", [True, False])
async def test_older_copy_is_found_out(tmp_path, is_of_this_run):
    disk = Disk()
    journal, _ = await opened(disk, tmp_path)
    old = disk.load()
    await journal.commit(*RECORDS)
    await journal.close()
    if not is_of_this_run:
        await (await opened(disk, tmp_path, epoch=8))[0].close()
    disk.content = bytearray(old)
    with pytest.raises(JournalReplaced, match=r"older than .* has epoch 7, record 2; expected is"):
        await opened(disk, tmp_path)
    assert disk.load() == old


async def test_another_journal_and_a_missing_one_are_found_out(tmp_path):
    await (await opened(Disk(), tmp_path))[0].close()
    other = Disk()
    await (await opened(other, tmp_path / "elsewhere"))[0].close()
    with pytest.raises(JournalReplaced, match="another one than"):
        await opened(other, tmp_path)
    with pytest.raises(JournalReplaced, match=r"older than .* no id, record 0"):
        await opened(Disk(), tmp_path)


async def test_lost_anchor_is_an_alarm_once(tmp_path):
    disk = Disk()
    await (await opened(disk, tmp_path))[0].close()
    (tmp_path / "main.anchor").unlink()
    journal, _ = await opened(disk, tmp_path)
    assert "was missing or unreadable, and is made anew" in journal.alarm
    await journal.close()
    again, _ = await opened(disk, tmp_path)
    assert not again.alarm


async def test_alarm_of_an_anchor_that_cannot_be_written_ends_when_it_can(tmp_path):
    disk = Disk()
    await (await opened(disk, tmp_path))[0].close()
    anchor = tmp_path / "main.anchor"
    anchor.unlink()
    anchor.mkdir()
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        await opened(disk, tmp_path)
    anchor.rmdir()
    journal, _ = await opened(disk, tmp_path)
    anchor.unlink()
    anchor.mkdir()
    await journal.commit(*RECORDS)
    await journal._write_anchor()
    assert "was missing" in journal.alarm
    assert "cannot be written" in journal.alarm
    anchor.rmdir()
    await journal._write_anchor()
    assert "was missing" in journal.alarm
    assert "cannot be written" not in journal.alarm


def test_torn_write_leaves_the_anchor_before_it(tmp_path):
    file = AnchorFile(tmp_path, "main")
    for number in range(1, 4):
        file.store(JournalAnchor("id", 1, number))
    slots = SLOT_BYTES * (3 % 2)
    with file.path.open("r+b") as written:
        written.seek(slots + 20)
        written.write(b"torn")
    found = AnchorFile(tmp_path, "main").load()
    assert found is not None
    assert found.record_number == 2
    file.path.write_bytes(b"nonsense")
    assert AnchorFile(tmp_path, "main").load() is None


def test_anchor_of_a_running_account_is_kept_up_to_date(tmp_path):
    def anchored():
        return AnchorFile(tmp_path, "main").load().record_number

    async def scenario():
        found = world()
        found.anchor = AnchorFile(tmp_path, "main")
        found.start()
        await found.ready()
        before = anchored()
        await found.account.submitter.submit(verified(limit_order(), "r"))
        await found.until(lambda: anchored() > before)
        assert anchored() <= found.account.journal._bytes.durable_number

    run(scenario())


async def test_journals_that_are_swapped_together_with_their_anchors_are_found_out(tmp_path):
    disks = {name: Disk() for name in ("main", "other")}
    for name, disk in disks.items():
        await (await opened(disk, tmp_path / name, account=f"fake/{name}"))[0].close()
    for name, other in zip(disks, reversed(disks), strict=True):
        with pytest.raises(JournalReplaced, match=f"of the account fake/{other}, and this is"):
            await opened(disks[other], tmp_path / other, account=f"fake/{name}")
        await (await opened(disks[name], tmp_path / name, account=f"fake/{name}"))[0].close()


async def test_journal_of_an_older_version_names_its_account_from_now_on(tmp_path):
    disk = Disk()
    await (await opened(disk, tmp_path))[0].close()
    await (await opened(disk, tmp_path, account="fake/main"))[0].close()
    with pytest.raises(JournalReplaced, match="of the account fake/main, and this is fake/other"):
        await opened(disk, tmp_path, account="fake/other")
