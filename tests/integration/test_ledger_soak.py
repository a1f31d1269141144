"""A short run of ``./venuemesh soak ledger``, and what it finds in a ledger that is wrong."""

import psycopg
import pytest
from venuemesh.ledger.v1 import ledger_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from benchmarks.soaks.books import Booked, Expected, executions_of
from benchmarks.soaks.executions import BLOCK, VENUES, Execution, VenueExecutions
from benchmarks.soaks.ledger import LedgerSoak, Plan
from benchmarks.soaks.trial_balances import TrialBalances
from core.ledger.contracts import InstrumentKey
from core.ledger.reported_events import cash_moved, order_filled
from core.ledger.tests.books import Books
from core.ledger.tests.executions import instrument_of
from core.ledger.tests.stores import in_postgres
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.database import Database
from tests.integration.mesh import new_folder

EXECUTIONS = 2_500
SPOT, DERIVATIVES = "binance", "bybit"
KILLED = frozenset({"ledger", "postgres"})
DAY_S, LISTED_S = 86_400, 600
"""How far back the ledger lists, without a cursor and each minute."""


def place(execution: Execution) -> tuple[int, int, int]:
    return execution.place


@pytest.mark.integration
async def test_killed_processes_leave_balances_of_an_independent_computation() -> None:
    plan = Plan(EXECUTIONS, every_seconds=4.0, venues=(SPOT, DERIVATIVES), victims=KILLED)
    with new_folder() as data:
        outcome = await LedgerSoak(plan, data).run(lambda *shown: None)
    assert outcome.wrong == []
    assert outcome.groups + sum(outcome.refused.values()) == EXECUTIONS
    # Those of the venues are the last ones: the lists have what the streams have not.
    assert outcome.kills.keys() == {*KILLED, SPOT, DERIVATIVES}
    assert outcome.trial_balances > 10
    assert outcome.leaves > 2 * EXECUTIONS


@pytest.mark.parametrize("venue", VENUES)
def test_reports_are_as_late_as_a_ledger_can_follow(venue: str) -> None:
    executions = VenueExecutions(venue, 7, 2 * BLOCK + 10)
    again = VenueExecutions(venue, 7, 2 * BLOCK + 10)
    reported: list[Execution] = []
    newest_ns = 0
    for block in range(executions.blocks):
        assert executions.block(block) == again.block(block)
        for report in executions.block(block):
            if not report.is_new:
                continue
            reported.append(report.execution)
            time_ns = report.execution.reported.venue_time_ns
            only_listed = report.streamed is None and report.execution.fill is not None
            late_max_s = LISTED_S if only_listed else DAY_S
            assert newest_ns - time_ns < late_max_s * NANOSECONDS_PER_SECOND
            newest_ns = max(newest_ns, time_ns)
    happened = [*executions.executions()]
    assert reported != happened
    assert sorted(reported, key=place) == sorted(happened, key=place)


async def test_a_wrong_ledger_is_found(postgres_url: str) -> None:
    venues = executions_of([SPOT, DERIVATIVES], 3, 300)
    database = Database(postgres_url)
    writer = Books.of(database, in_postgres(database)).writer
    for venue in venues:
        terms = venue.terms.items()
        listed = {
            InstrumentKey(venue.venue, symbol): instrument_of(venue.venue, symbol, found)
            for symbol, found in terms
        }
        events = []
        for execution in venue.executions():
            if isinstance(execution.reported, orders_pb2.Fill):
                events.append(order_filled(execution.reported, ""))
                events[-1].order_filled.strategy = execution.strategy
            else:
                events.append(cash_moved(execution.reported))
        await writer.book(events, listed)
    await database.close()

    expected = Expected.of(venues)
    assert wrong(postgres_url, expected) == []
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("UPDATE ledger_positions SET cost = cost + 1 WHERE strategy = 'carry'")
        assert {text.split()[0] for text in wrong(postgres_url, expected)} == {"position"}
        connection.execute("UPDATE ledger_positions SET cost = cost - 1 WHERE strategy = 'carry'")
        connection.execute("DELETE FROM ledger_groups WHERE group_number = 5")
        assert {text.split()[0] for text in wrong(postgres_url, expected)} == {"group"}
        connection.execute("DELETE FROM events WHERE stream = 'ledger' AND sequence = 8")
        connection.execute("DELETE FROM ledger_entries WHERE group_number = 9")
        texts = {text.split()[0] for text in wrong(postgres_url, expected)}
    assert texts == {"group", "events", "number"}


def wrong(url: str, expected: Expected) -> list[str]:
    booked = Booked(url)
    booked.compare(expected)
    return booked.wrong


def test_a_trial_balance_that_is_not_zero_is_found() -> None:
    trial = TrialBalances(None, ())
    answer = ledger_pb2.GetTrialBalanceResponse(balanced=True, group_number=5)
    answer.assets.add(asset="BTC", debits="1.5", credits="1.5")
    trial.check("", answer)
    assert trial.wrong == []
    answer.assets.add(asset="USDT", debits="2", credits="2.000000000000000001")
    answer.group_number = 4
    trial.check("", answer)
    answer.balanced = False
    trial.check("", answer)
    assert len(trial.wrong) == 4
