"""The accounts of a process show which of their files cannot be read."""

import pytest

from kit.base.clock import NANOSECONDS_PER_SECOND, SystemClock
from kit.base.errors import SettingError
from kit.base.settings import MeshSettings
from kit.execution.account_registry import AccountRegistry, PublishedMarket
from kit.execution.journal.account_journal import JournalReplaced
from kit.execution.settings import OrdersSettings
from kit.execution.tests.fake_venue import FakeClient, FakeVenue
from kit.execution.tests.simulated_process import LoopClock, run

LIMITS = '[[accounts]]\naccount = "fake/main"\nlimits = { open_orders_max = 1 }\n'


class Clock(LoopClock):
    """A clock that a test advances."""

    now_ns = 0

    def monotonic_ns(self):
        return self.now_ns


def registry(folder, clock, **settings):
    mesh = MeshSettings(data_dir=str(folder), world="live")
    market = PublishedMarket({}.get, None, None, lambda: None)
    found = AccountRegistry("fake", mesh, OrdersSettings(**settings), clock, market)
    found.add("main", FakeClient(FakeVenue(0, clock)), is_paper=False)
    return found


@pytest.mark.parametrize(
    ("name", "good", "alarm"),
    [
        ("accounts", LIMITS, "the limits read before stay"),
        ("approvers", "", "NO KEY IS ACCEPTED"),
    ],
)
def test_account_shows_a_file_that_cannot_be_read(tmp_path, name, good, alarm):
    async def scenario():
        clock, file = Clock(), tmp_path / "keys" / f"{name}.toml"
        file.parent.mkdir()
        file.write_text(good)
        found = registry(tmp_path, clock)
        account = found.by_name["main"]
        for content, is_shown in [("no = [", True), (good, False), (None, True)]:
            file.unlink() if content is None else file.write_text(content)
            clock.now_ns += NANOSECONDS_PER_SECOND
            assert (alarm in account.message().detail) is is_shown
            assert (alarm in found.problem()) is is_shown

    run(scenario())


def test_file_that_is_named_must_be_there(tmp_path):
    async def scenario():
        with pytest.raises(SettingError):
            registry(tmp_path, Clock(), accounts_file=str(tmp_path / "none.toml"))
        found = registry(tmp_path, Clock())
        assert found.by_name["main"].context.accounts_file.key("desk").open_orders_max is None

    run(scenario())


def test_limits_of_the_file_are_those_of_the_account(tmp_path):
    async def scenario():
        file = tmp_path / "mine.toml"
        file.write_text(LIMITS)
        found = registry(tmp_path, Clock(), accounts_file=str(file))
        assert found.by_name["main"].context.terms.limits.open_orders_max == 1

    run(scenario())


@pytest.mark.parametrize("folder", ["", "elsewhere"])
async def test_account_whose_journal_is_gone_is_not_opened(tmp_path, folder):
    settings = {"anchors_folder": str(tmp_path / folder)} if folder else {}
    found = registry(tmp_path, SystemClock(), **settings)
    await found.by_name["main"].load()
    await found._close()
    assert (tmp_path / (folder or "anchors") / "fake" / "main.anchor").exists()
    for file in (tmp_path / "orders" / "fake").iterdir():
        file.unlink()
    again = registry(tmp_path, SystemClock(), **settings)
    with pytest.raises(JournalReplaced):
        await again.by_name["main"].load()
    await again._close()
