"""What a live account had before is booked once, whatever breaks off in between."""

import time

import pytest

from core.ledger import account_opening
from core.ledger.accounts import AccountCode, AccountKey
from core.ledger.postgres_queries import PostgresQueries
from core.ledger.store import AccountSelection, Page
from core.ledger.tests.collectors import fill, flow, name_of
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import StoreUnavailable
from tests.support.waiting import until


@pytest.fixture
def quiet(intake, monkeypatch):
    """A live account whose opening is known soon."""
    intake.is_paper = False
    monkeypatch.setattr(account_opening, "QUIET_SECONDS", 0.2)


async def cash(intake) -> dict[str, int]:
    queries = PostgresQueries(intake.database)
    key = AccountKey(AccountCode.CASH, "binance", "main", "")
    totals, _ = await queries.accounts(AccountSelection(key), Page(0, 100))
    return {row.key.asset: row.debits - row.credits for row in totals}


async def test_what_a_live_account_had_is_booked_once(intake, venue, quiet):
    venue.add(fill(1))
    venue.flows.append(flow(2))
    async with intake.runs():
        await intake.until("fill 1", "flow 2", "opening")
        await until(lambda: intake.meter.status().detail == "")
    async with intake.runs():
        venue.balances = {"BTC": "99"}
        venue.flows.append(flow(3))
        await intake.until("fill 1", "flow 2", "flow 3", "opening")
    # The flow has the time of before the opening.
    assert await cash(intake) == {"BTC": 3 * 10**18, "USDT": 5000 * 10**18}


async def test_a_paper_account_had_nothing(intake, venue, quiet):
    intake.is_paper = True
    async with intake.runs():
        venue.flows.append(flow(2))
        await intake.until("flow 2")
        asked = len(venue.pages_asked)
        await until(lambda: len(venue.pages_asked) > asked + 20)
        assert len(await intake.events()) == 1


async def test_it_is_said_that_an_opening_is_not_known_yet(intake, venue, quiet, monkeypatch):
    monkeypatch.setattr(account_opening, "QUIET_SECONDS", 3600.0)
    async with intake.runs():
        await until(lambda: "opening balances of binance/main" in intake.meter.status().detail)
        assert "until then cash lacks them" in intake.meter.status().detail


async def test_a_fill_that_arrives_meanwhile_lets_the_opening_wait(intake, venue, quiet):
    """The clock of the fill is the venue's, so nobody knows yet whether the balances have it."""
    arrived = fill(9)
    arrived.venue_time_ns = time.time_ns() + 3600 * NANOSECONDS_PER_SECOND
    async with intake.runs():
        venue.add(arrived)
        await intake.until("fill 9")
        asked = len(venue.pages_asked)
        await until(lambda: len(venue.pages_asked) > asked + 20)
        assert [name_of(event) for event in await intake.events()] == ["fill 9"]
        assert "opening balances" in intake.meter.status().detail


async def test_an_opening_that_was_killed_is_made_again(intake, venue, quiet, monkeypatch):
    save, killed = intake.store.save, []

    async def failing(before, after, events, instruments):
        if any(one.HasField("balances_opened") for one in events) and len(killed) < 2:
            killed.append(events)
            raise StoreUnavailable("killed", store="postgresql")
        return await save(before, after, events, instruments)

    monkeypatch.setattr(intake.store, "save", failing)
    async with intake.runs():
        await intake.until("opening")
    assert len(killed) == 2
    assert await cash(intake) == {"BTC": 3 * 10**18, "USDT": 5000 * 10**18}
