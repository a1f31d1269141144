"""Three-way reconciliation: what differs, why, and what follows from it."""

from decimal import Decimal

import pytest
from venuemesh.events.v1 import risk_pb2
from venuemesh.inspector.v1 import reconciliations_pb2 as messages_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector import account_books, mode_rules
from core.inspector.account_reconciler import RULE
from core.inspector.metrics import InspectorMetrics
from core.inspector.reconciliation import OLD_NS
from core.inspector.reconciliation_store import OLD_NS as COMPARISON_OLD_NS
from core.inspector.tests.books import CASH, Booked, book, hold
from core.inspector.tests.lying_venue import CANCELLED, OPEN
from core.inspector.tests.rig import DECISIONS, close, decision, mode
from core.inspector.tests.test_lifecycles import tell
from core.inspector.tests.test_manual_orders import LENA, place
from core.inspector.tests.watched_account import ACCOUNT, PERPETUAL, SCOPE, Watched, causes
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.events.subjects import fill_subject
from tests.support.waiting import eventually, until

ACTIVE, STANDING_DOWN = risk_pb2.TRADING_MODE_ACTIVE, risk_pb2.TRADING_MODE_STANDING_DOWN
AGREES = messages_pb2.RECONCILIATION_STATE_AGREES
LATE = messages_pb2.RECONCILIATION_STATE_LATE
DIFFERS = messages_pb2.RECONCILIATION_STATE_DIFFERS
UNKNOWN = messages_pb2.RECONCILIATION_STATE_UNKNOWN


@pytest.fixture
async def watched(rig):
    process = await rig.start()
    await until(lambda: process.active.is_active)
    return Watched(rig, process)


async def opened_position(rig, watched):
    """A strategy has opened one, and the inspector knows its fills. Returns the size."""
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    await tell(rig)
    watched.reports.says(orders=list(rig.venue.orders.values()))

    async def is_known():
        async with rig.database.transaction() as connection:
            books = await account_books.read(connection, [ACCOUNT])
        (own,) = books[ACCOUNT].own_positions.values()
        return own.size == rig.venue.held()

    await eventually(is_known)
    return rig.venue.held()


async def test_sides_that_agree_change_nothing(rig, watched):
    await watched.opened()
    await watched.derivative(2)
    await book(rig, Booked(1, 1, -1_000, code=CASH, strategy=""))
    watched.reports.says(balances={"USDT": Decimal(1_000)}, positions={PERPETUAL: Decimal(2)})
    found = await watched.looks()
    assert (found.state, found.unreadable, list(found.differences)) == (AGREES, "", [])
    assert found.agreed_time_ns == found.compared_time_ns
    assert await watched.mode() == ACTIVE
    assert await rig.payloads("reconciliation_changed") == []


async def test_late_difference_ends_by_waiting(rig, watched):
    await watched.opened()
    await watched.derivative(2)
    watched.reports.says(positions={PERPETUAL: Decimal(3)})
    found = await watched.look()
    assert (found.state, causes(found)) == (LATE, ["LATE"])
    assert (await watched.look(50)).state == LATE
    watched.reports.says(positions={PERPETUAL: Decimal(2)})
    assert (await watched.look(50)).state == AGREES
    assert await watched.mode() == ACTIVE
    # What differs later begins again.
    watched.reports.says(positions={PERPETUAL: Decimal(3)})
    assert (await watched.look(50)).state == LATE


async def test_lasting_difference_makes_the_account_stand_down_and_says_why(rig, watched):
    await watched.opened()
    await watched.derivative(2)
    watched.reports.says(positions={PERPETUAL: Decimal("3.5")})
    found = await watched.looks()
    assert (found.state, causes(found)) == (DIFFERS, ["UNKNOWN"])
    (one,) = found.differences
    assert (one.venue_value, one.ledger_value, one.inspector_value) == ("3.5", "2", "")
    assert await watched.mode() == STANDING_DOWN
    (changed,) = await rig.payloads("reconciliation_changed")
    assert list(changed.differences) == [one]
    (mode_changed,) = await rig.payloads("mode_changed")
    assert (mode_changed.scope, mode_changed.rule, mode_changed.caller) == (SCOPE, RULE, "")
    assert mode_changed.reason == f"position {PERPETUAL}: venue 3.5, ledger 2 (unknown)"
    # It is published once.
    await watched.look(30)
    assert len(await rig.payloads("reconciliation_changed")) == 1
    assert len(await rig.payloads("mode_changed")) == 1


async def test_entries_stop_and_reductions_pass_while_an_account_stands_down(rig, watched):
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    await hold(rig, Decimal(1))
    await watched.looks()
    assert await watched.mode() == STANDING_DOWN
    await rig.put(DECISIONS, decision(2, strategy="other"))
    await rig.put(DECISIONS, close(3))
    await rig.until_flat()
    given = [one.verdict for one in await rig.verdicts()]
    assert risk_pb2.VERDICT_STAND_DOWN in given
    assert given[-1] == risk_pb2.VERDICT_ALLOW


async def test_report_that_is_older_than_the_difference_makes_nothing_lasting(rig, watched):
    await watched.opened()
    await watched.derivative(2)
    watched.reports.says(positions={PERPETUAL: Decimal(3)})
    await watched.look()
    watched.reports.reported_ns = watched.clock.time_ns()
    assert (await watched.look(200)).state == LATE
    watched.reports.reported_ns = None
    assert (await watched.look()).state == DIFFERS


async def test_what_cannot_be_read_is_unknown_and_no_difference_is_forgotten(rig, watched):
    await watched.opened()
    await watched.derivative(2)
    watched.reports.says(problem="the venue's process does not answer")
    found = await watched.looks()
    assert (found.state, found.agreed_time_ns) == (UNKNOWN, 0)
    assert found.unreadable == "the venue's process does not answer"
    assert await watched.mode() == ACTIVE
    watched.reports.says(positions={PERPETUAL: Decimal(3)})
    assert (await watched.looks()).state == DIFFERS
    watched.reports.accounts.clear()
    found = await watched.look(10)
    assert found.state == DIFFERS
    assert "no process of the venue lists the account" in found.unreadable
    assert await watched.mode() == STANDING_DOWN


async def test_old_report_and_missing_opening_are_unknown(rig, watched):
    await book(rig, Booked(1, 1, -1_000, code=CASH, strategy=""))
    watched.reports.says(balances={"USDT": Decimal(5)})
    found = await watched.looks()
    assert found.state == UNKNOWN
    assert found.unreadable == "the ledger has not booked yet what the account had before"
    await watched.opened()
    watched.reports.reported_ns = watched.clock.time_ns() - OLD_NS - NANOSECONDS_PER_SECOND
    found = await watched.look()
    assert (found.state, list(found.differences)) == (UNKNOWN, [])
    assert "301 s ago" in found.unreadable
    watched.reports.reported_ns = None
    assert (await watched.looks()).state == DIFFERS


async def test_balances_of_paper_accounts_are_not_compared(rig, watched):
    watched.reports.says(is_paper=True, balances={"USDT": Decimal(5)})
    found = await watched.looks()
    assert (found.state, found.unreadable, list(found.differences)) == (AGREES, "", [])


async def test_comparison_that_is_not_repeated_says_nothing_of_now(rig, watched):
    await watched.opened()
    assert (await watched.look()).state == AGREES
    watched.clock.now_ns += COMPARISON_OLD_NS + 1
    assert (await watched.found()).state == UNKNOWN


async def test_digits_that_venues_do_not_report_are_rounding(rig, watched):
    await watched.opened()
    await book(rig, Booked(1, 1, -1_000, code=CASH, strategy=""))
    watched.reports.says(balances={"USDT": Decimal("1000.00000001")})
    found = await watched.looks()
    assert (found.state, causes(found)) == (AGREES, ["ROUNDING"])
    watched.reports.says(balances={"USDT": Decimal("1000.00000002")})
    assert (await watched.looks()).state == DIFFERS


async def test_residual_size_of_an_ended_position_is_rounding(rig, watched):
    await rig.put(DECISIONS, decision(1, size="0.01001"))
    await rig.until_outcomes(1)
    await rig.put(DECISIONS, close(2))
    await rig.until_flat()
    rest = rig.venue.held()
    assert rest > 0
    await hold(rig, rest)
    found = await watched.looks()
    assert causes(found) == ["ROUNDING"]
    assert await watched.mode() == ACTIVE
    await hold(rig, rest * 2, strategy="other")
    assert causes(await watched.looks()) == ["ROUNDING", "UNKNOWN"]


async def test_position_of_a_strategy_is_compared_with_its_fills(rig, watched):
    held = await opened_position(rig, watched)
    await hold(rig, held)
    found = await watched.looks()
    assert list(found.differences) == []
    await hold(rig, Decimal(1), strategy="nobody")
    found = await watched.looks()
    assert found.state == DIFFERS
    (one,) = found.differences
    assert (one.strategy, one.ledger_value, one.inspector_value) == ("nobody", "1", "0")


async def test_missed_fills_are_named(rig, watched):
    await watched.opened()
    await watched.derivative(2)
    watched.reports.says(positions={PERPETUAL: Decimal(3)})
    booked, missed = (
        orders_pb2.Fill(venue="binance", account="paper", symbol=PERPETUAL, fill_id=name)
        for name in ("7", "8")
    )
    async with rig.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO events VALUES ('executions', 77, 'x', '', %s, 0, '')",
            [fill_subject(booked)],
        )
    watched.reports.listed_fills = [booked, missed]
    found = await watched.looks()
    assert causes(found) == ["MISSED_FILL"]
    assert found.differences[0].detail == f"fills of {PERPETUAL} that are not booked: 8"
    watched.reports.is_silent = True
    assert causes(await watched.look(10)) == ["UNKNOWN"]


async def test_order_of_others_makes_the_account_stand_down_at_once(rig, watched):
    order = orders_pb2.Order(state=OPEN, external=True, venue_order_id="17")
    order.content.symbol = "BTCUSDT"
    own = orders_pb2.Order(state=OPEN, client_order_id="a", request_id="by another key")
    watched.reports.says(orders=[order, own])
    found = await watched.look()
    assert causes(found) == ["EXTERNAL_ORDER"]
    assert (found.differences[0].order_id, found.differences[0].venue_value) == ("17", "OPEN")
    assert await watched.mode() == STANDING_DOWN


async def test_order_that_the_venues_process_has_lost_is_lost(rig, watched):
    await hold(rig, await opened_position(rig, watched))
    watched.reports.says(orders=[])
    rig.venue.orders.clear()
    found = await watched.looks()
    assert set(causes(found)) == {"LOST_ORDER"}
    assert {one.detail for one in found.differences} == {
        "the venue's process does not know the order"
    }
    assert await watched.mode() == STANDING_DOWN


async def test_a_person_accepts_what_differs_and_something_else_counts_again(rig, watched):
    await watched.opened()
    await watched.derivative(2)
    watched.reports.says(positions={PERPETUAL: Decimal(3)})
    await watched.looks()
    await watched.process.changes.set(mode(ACTIVE, SCOPE), "ann")
    assert (await watched.look(30)).state == DIFFERS
    assert await watched.mode() == ACTIVE
    watched.reports.says(positions={PERPETUAL: Decimal(3), "ETHUSDT_PERP": Decimal(1)})
    await watched.looks()
    assert await watched.mode() == STANDING_DOWN


async def test_account_that_agrees_again_stands_down_until_a_person_ends_it(rig, watched):
    await watched.opened()
    await watched.derivative(2)
    watched.reports.says(positions={PERPETUAL: Decimal(3)})
    await watched.looks()
    watched.reports.says(positions={PERPETUAL: Decimal(2)})
    assert (await watched.look(10)).state == AGREES
    assert await watched.mode() == STANDING_DOWN
    # The rules of the policy end no mode that this one sets.
    async with rig.database.transaction() as connection:
        (trigger,) = (await mode_rules.load(connection)).values()
    assert trigger.is_active
    assert len((await rig.payloads("reconciliation_changed"))[-1].differences) == 0
    await watched.process.changes.set(mode(ACTIVE, SCOPE), "ann")
    await watched.look(10)
    watched.reports.says(positions={PERPETUAL: Decimal(3)})
    await watched.looks()
    assert await watched.mode() == STANDING_DOWN


async def test_differences_survive_a_restart(rig, watched):
    await watched.opened()
    await watched.derivative(2)
    watched.reports.says(positions={PERPETUAL: Decimal(3)})
    await watched.look()
    await rig.kill()
    process = await rig.start()
    await until(lambda: process.active.is_active)
    again = Watched(rig, process)
    again.clock.now_ns = watched.clock.now_ns
    again.reports.says(positions={PERPETUAL: Decimal(3)})
    # It was seen for a minute, over the restart.
    assert (await again.look(80)).state == DIFFERS


async def test_accounts_are_counted_by_state(rig, watched):
    await watched.derivative(2)
    metrics = InspectorMetrics(rig.meter)

    async def counts():
        await metrics.count_accounts(rig.database, watched.clock.time_ns())
        names = ("differing", "unreconciled")
        prefix = "venuemesh_inspector_accounts"
        return [rig.meter.registry.get_sample_value(f"{prefix}_{name}") for name in names]

    await watched.look()
    assert await counts() == [0, 1]
    watched.reports.says(positions={PERPETUAL: Decimal(3)})
    await watched.looks()
    assert await counts() == [1, 0]


async def test_end_of_a_persons_order_that_no_event_has_told_is_asked_for(rig, watched):
    await watched.process.manual.submit(place(), LENA)
    (order,) = rig.venue.orders.values()
    watched.reports.says(orders=[order])
    assert list((await watched.look()).differences) == []
    order.state = CANCELLED
    watched.reports.says(orders=[])
    assert causes(await watched.looks()) == ["LATE"]
    assert list((await watched.look(10)).differences) == []
    assert await watched.mode() == ACTIVE
