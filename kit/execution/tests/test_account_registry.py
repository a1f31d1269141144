"""The accounts of a process show which of their files cannot be read."""

import asyncio
from base64 import b64encode

import pytest

from kit.base.clock import NANOSECONDS_PER_SECOND, SystemClock
from kit.base.errors import SettingError, VenueUnavailable
from kit.base.settings import MeshSettings
from kit.base.telemetry import Meter
from kit.execution.account_registry import AccountRegistry, PublishedMarket, no_listing
from kit.execution.account_terms import SYMBOL_TABLES
from kit.execution.journal.account_journal import JournalReplaced
from kit.execution.settings import OrdersSettings
from kit.execution.tests.fake_venue import FakeClient, FakeVenue
from kit.execution.tests.simulated_process import LoopClock, run
from tests.support.waiting import WAIT_SECONDS_MAX

KEYS = '[[keys]]\nkey_id = "{}"\nlimits = {{ open_orders_max = 1 }}\n'
APPROVERS = """[[approvers]]
key_id = "{}"
public_key = "{}"
role = "trade"
accounts = ["*"]
first_epoch = 1
last_epoch = 9
not_after = 2030-01-01T00:00:00Z
"""
LIMITS = '[[accounts]]\naccount = "fake/main"\nlimits = { open_orders_max = 1 }\n'


class Clock(LoopClock):
    """A clock that a test advances."""

    now_ns = 0

    def monotonic_ns(self):
        return self.now_ns


class Runtime:
    """Takes note of nothing."""

    def __init__(self):
        self.meter = Meter("fake")

    def serve(self, *arguments):
        pass

    run_task = at_end = serve


def require_venue(name):
    """There is one other venue."""
    if name != "other":
        raise SettingError("venue", name, "known are fake, other")


def write(file, content):
    file.parent.mkdir(exist_ok=True)
    file.write_text(content)


def approvers(key_id):
    return APPROVERS.format(key_id, b64encode(bytes(32)).decode())


def registry(folder, clock, symbols=no_listing, venue="fake", **settings):
    mesh = MeshSettings(data_dir=str(folder), world="live")
    market = PublishedMarket({}.get, None, None, lambda: None, symbols=symbols)
    given = OrdersSettings(**settings)
    found = AccountRegistry(venue, mesh, given, clock, market, require_venue)
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


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (LIMITS.replace("main", "mian"), ["'fake/mian'", "known are fake/main", "'fake/main'?"]),
        (LIMITS.replace("fake", "faek"), ["'faek/main'", "known are fake, other"]),
        (KEYS.format("dekS"), ["'dekS'", "known are desk, inspector", "'desk'?"]),
    ],
    ids=["account", "venue", "key"],
)
def test_entry_of_what_does_not_exist_is_an_error_at_the_start_and_a_problem_later(
    tmp_path, content, texts
):
    async def scenario():
        clock, file = Clock(), tmp_path / "keys" / "accounts.toml"
        write(tmp_path / "keys" / "approvers.toml", approvers("desk"))
        write(file, content)
        mistyped = registry(tmp_path, clock)
        with pytest.raises(SettingError) as caught:
            mistyped.serve(Runtime())
        await mistyped._close()
        write(file, LIMITS + KEYS.format("desk"))
        found = registry(tmp_path, clock)
        found.serve(Runtime())
        account = found.by_name["main"]
        write(file, content.replace("= 1", "= 2"))
        clock.now_ns += NANOSECONDS_PER_SECOND
        assert account.context.terms.limits.open_orders_max == 1
        assert account.context.accounts_file.key("desk").open_orders_max == 1
        for problem in (str(caught.value), found.problem(), account.message().detail):
            for text in (str(file), *texts):
                assert text in problem
        write(file, LIMITS.replace("= 1", "= 2"))
        clock.now_ns += NANOSECONDS_PER_SECOND
        assert account.context.terms.limits.open_orders_max == 2
        assert not found.problem()

    run(scenario())


def test_symbol_that_is_not_listed_is_an_error_at_the_start_or_when_the_listing_is_known(tmp_path):
    async def scenario():
        clock, file, listed = Clock(), tmp_path / "keys" / "accounts.toml", []
        write(tmp_path / "keys" / "approvers.toml", approvers("desk"))
        limit = "{} = {{ BTCUSTD = 1 }}\n"
        for table in SYMBOL_TABLES:
            write(file, LIMITS.replace("open_orders_max = 1", limit.format(table).strip()))
            listed.clear()
            found = registry(tmp_path, clock, lambda: listed)
            found.serve(Runtime())
            account = found.by_name["main"]
            assert not account.message().detail.count("BTCUSTD")
            with pytest.raises(VenueUnavailable):
                account.context.unlisted_symbols()
            listed[:] = ["BTCUSDT", "ETHUSDT"]
            shown = [found.problem(), account.message().detail]
            shown.append(account.context.unlisted_symbols())
            await found._close()
            again = registry(tmp_path, clock, lambda: listed)
            with pytest.raises(SettingError) as caught:
                again.serve(Runtime())
            await again._close()
            for problem in (*shown, str(caught.value)):
                for text in ("the account fake/main", "'BTCUSTD'", table, "mean 'BTCUSDT'?"):
                    assert text in problem
                assert "allowed are symbols as ListInstruments shows them: correct or" in problem

    run(scenario())


def test_file_that_names_an_unlisted_symbol_later_is_not_read_and_a_delisted_one_stays(tmp_path):
    async def scenario():
        clock, file, listed = Clock(), tmp_path / "keys" / "accounts.toml", ["BTCUSDT", "ETHUSDT"]
        good = LIMITS.replace("open_orders_max = 1", "order_size_max = { BTCUSDT = 1 }")
        write(file, good)
        found = registry(tmp_path, clock, lambda: listed)
        found.serve(Runtime())
        account = found.by_name["main"]
        write(file, good.replace("BTCUSDT", "BTCUSTD"))
        clock.now_ns += NANOSECONDS_PER_SECOND
        assert account.context.terms.limits.order_size_max == {"BTCUSDT": 1}
        assert "the limits read before stay" in account.message().detail
        assert "'BTCUSTD'" in account.message().detail
        write(file, good)
        clock.now_ns += NANOSECONDS_PER_SECOND
        assert not found.problem()
        listed.remove("BTCUSDT")
        assert not found.problem()
        assert not account.context.unlisted_symbols()

    run(scenario())


@pytest.mark.parametrize(
    ("accounts", "is_refused"),
    [('"fake/main"', True), ('"fake/main", "other/main"', False), ('"*"', False)],
)
def test_key_may_have_symbols_of_the_venues_that_it_is_for(tmp_path, accounts, is_refused, caplog):
    async def scenario():
        key = KEYS.format("desk").replace("open_orders_max = 1", "order_size_max = { X = 1 }")
        write(tmp_path / "keys" / "approvers.toml", approvers("desk").replace('"*"', accounts))
        write(tmp_path / "keys" / "accounts.toml", key)
        found = registry(tmp_path, Clock(), lambda: ["BTCUSDT"])
        problem = [found.by_name["main"].context.unlisted_symbols() for _ in range(2)][1]
        said = [one.symbol for one in caplog.records if one.message == "limit holds nothing here"]
        assert said == ([] if is_refused else ["X"])
        assert ("limits of the key desk have 'X' in order_size_max" in problem) is is_refused

    run(scenario())


def test_key_that_is_renamed_in_the_approvers_file_is_a_problem_until_both_files_agree(tmp_path):
    async def scenario():
        clock, keys = Clock(), tmp_path / "keys" / "approvers.toml"
        write(keys, approvers("desk"))
        write(tmp_path / "keys" / "accounts.toml", KEYS.format("desk") + KEYS.format("inspector"))
        found = registry(tmp_path, clock)
        found.serve(Runtime())
        assert not found.problem()
        write(keys, approvers("desk2"))
        clock.now_ns += NANOSECONDS_PER_SECOND
        assert "keys has 'desk'" in found.problem()
        write(keys, "no = [")
        clock.now_ns += NANOSECONDS_PER_SECOND
        assert "keys has" not in found.problem()
        write(keys, approvers("desk"))
        clock.now_ns += NANOSECONDS_PER_SECOND
        assert not found.problem()

    run(scenario())


def test_entries_of_other_venues_and_of_accounts_in_the_settings_are_accepted(tmp_path):
    async def scenario():
        named = ("fake/main", "fake/live")
        write(
            tmp_path / "keys" / "accounts.toml",
            LIMITS + LIMITS.replace("main", "live") + LIMITS.replace("fake", "other"),
        )
        found = registry(tmp_path, Clock(), accounts=named)
        found.serve(Runtime())
        assert not found.problem()

    run(scenario())


def test_symbols_of_stops_without_live_data_are_counted_and_make_the_process_degraded(tmp_path):
    async def scenario():
        found, runtime = registry(tmp_path, Clock()), Runtime()
        found.serve(runtime)
        find = runtime.meter.registry.get_sample_value
        assert find("venuemesh_held_symbols_stale") == 0
        stale = {"BTCUSDT": "no event for 60 s", "ETHUSDT": "not subscribed"}
        found.by_name["main"].local_stops.stale = stale
        assert find("venuemesh_held_symbols_stale") == 2
        assert "no event for 60 s" in found.problem()

    run(scenario())


def test_limits_of_the_file_are_those_of_the_account(tmp_path):
    async def scenario():
        file = tmp_path / "mine.toml"
        file.write_text(LIMITS)
        found = registry(tmp_path, Clock(), accounts_file=str(file))
        assert found.by_name["main"].context.terms.limits.open_orders_max == 1

    run(scenario())


@pytest.mark.parametrize("is_readable", [True, False])
async def test_it_waits_until_every_journal_is_read_or_cannot_be(tmp_path, is_readable):
    found = registry(tmp_path, SystemClock())
    account = found.by_name["main"]
    waiting = asyncio.create_task(found.wait_until_read())
    await asyncio.sleep(0)
    assert not waiting.done()
    if is_readable:
        await account.load()
    else:
        account.refuse("journal damaged")
    await asyncio.wait_for(waiting, WAIT_SECONDS_MAX)
    assert account.is_loaded == is_readable
    await found._close()


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


async def test_account_whose_journal_and_anchor_are_those_of_another_one_is_not_opened(tmp_path):
    found = registry(tmp_path, SystemClock())
    await found.by_name["main"].load()
    await found._close()
    for folder in ("orders", "anchors"):
        (tmp_path / folder / "fake").rename(tmp_path / folder / "other")
    again = registry(tmp_path, SystemClock(), venue="other")
    with pytest.raises(JournalReplaced, match="of the account fake/main, and this is other/main"):
        await again.by_name["main"].load()
    await again._close()
