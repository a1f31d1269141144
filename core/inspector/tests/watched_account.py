"""A reconciler of accounts that looks when a test says so, and what venues report to it."""

from dataclasses import replace

from venuemesh.events.v1 import reconciliations_pb2
from venuemesh.inspector.v1 import reconciliations_pb2 as messages_pb2

from core.inspector import modes
from core.inspector.account_reconciler import AccountReconciler
from core.inspector.account_reports import AccountReport
from core.inspector.approvals import Approver
from core.inspector.entry_fences import EntryFences
from core.inspector.service import InspectorServicer
from core.inspector.tests.books import hold
from core.inspector.tests.rig import KEY
from core.inspector.venue_processes import NoAnswer
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.events.subjects import opening_group_id
from kit.execution.approval.signing import MeshScope
from tests.support.manual_clock import ManualClock

ACCOUNT = "binance", "paper"
SCOPE = "account:binance/paper"
PERPETUAL = "BTCUSDT_PERP"


class Reports:
    """VenueReports as a test sets them. The venue reports again before each look."""

    def __init__(self, rig, clock):
        self.rig, self.clock = rig, clock
        self.accounts = {ACCOUNT: AccountReport()}
        self.listed_fills = []
        self.is_silent = False
        self.reported_ns = None
        """When; None: now."""

    def says(self, **fields):
        self.accounts[ACCOUNT] = AccountReport(**fields)

    async def read(self):
        time_ns = self.clock.time_ns() if self.reported_ns is None else self.reported_ns
        times = {"balances_time_ns": time_ns, "positions_time_ns": time_ns}
        return {
            key: one if one.problem else replace(one, **times) for key, one in self.accounts.items()
        }

    async def fills(self, venue, account):
        if self.is_silent:
            raise NoAnswer("silent")
        return self.listed_fills

    async def find(self, venue, account, client_id):
        return await self.rig.venue.find(venue, account, client_id)


class Watched:
    """A process of the inspector, and its reconciler, which looks when the test says so."""

    def __init__(self, rig, process):
        self.rig, self.process = rig, process
        self.clock = ManualClock()
        self.reports = Reports(rig, self.clock)
        self.rules = replace(process.rules, clock=self.clock)
        approver = Approver("inspector", KEY, MeshScope("local", "simulate"), process.lease)
        fences = EntryFences(process.database, approver, rig.venue, process.reasons, rig.clock)
        self.reconciler = AccountReconciler(
            process.database, self.rules, process.lease, self.reports, fences, process.reasons
        )

    async def look(self, seconds=0):
        """After some time."""
        self.clock.now_ns += seconds * NANOSECONDS_PER_SECOND
        await self.reconciler.look()
        return await self.found()

    async def looks(self, seconds=80):
        """As often as it takes for something to be lasting."""
        await self.look()
        return await self.look(seconds)

    async def found(self):
        servicer = InspectorServicer(self.process.database, self.rules, None, None, None)
        request = messages_pb2.ListReconciliationsRequest()
        answer = await servicer.ListReconciliations(request, None)
        (one,) = answer.reconciliations
        return one

    async def mode(self):
        async with self.rig.database.transaction() as connection:
            return (await modes.of_scope(connection, SCOPE, "simulate"))[0]

    async def opened(self):
        """The ledger has booked what the account had before."""
        async with self.rig.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO ledger_groups VALUES (99, %s, 9, 0, 0, '', '', '', '')",
                [opening_group_id(*ACCOUNT)],
            )

    async def derivative(self, size):
        """A position of persons in a derivative, in the books."""
        async with self.rig.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO ledger_contracts VALUES ('binance', %s, 'BTC', 'USDT', 'USDT', 1)",
                [PERPETUAL],
            )
        await hold(self.rig, size, PERPETUAL, strategy="")


def causes(found):
    name = reconciliations_pb2.ReconciliationCause.Name
    return [name(one.cause).removeprefix("RECONCILIATION_CAUSE_") for one in found.differences]
