"""Accounts get heartbeats while the inspector can act, and none otherwise."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from venuemesh.tradeflow.v1 import accounts_pb2

from core.inspector.approvals import Approver
from core.inspector.heartbeat_sender import HeartbeatSender
from core.inspector.tests.rig import KEY
from core.inspector.venue_processes import CallRefused, NoAnswer
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.base.telemetry import Meter
from kit.events.leases import Lease, LeaseLost
from kit.execution.approval.keys import NEVER_NS, ApproverKey
from kit.execution.approval.signing import MeshScope
from kit.execution.approval.verifier import AccountScope, ApprovalVerifier
from tests.support.manual_clock import ManualClock
from tests.support.waiting import until

SCOPE = MeshScope("local", "simulate")
PUBLIC = ApproverKey("inspector", KEY.public_key(), "trade", frozenset({"*"}), 1, 1_000, NEVER_NS)


class HeldLease:
    """A lease of the epoch 7, whose renewal fails as a test says."""

    epoch = 7
    problem = None

    async def renew(self):
        if self.problem is not None:
            raise self.problem


class Venues:
    """The venues' processes: what they list, and which heartbeats they took, and when."""

    def __init__(self, clock):
        self.clock = clock
        self.listed = {"binance": [accounts_pb2.Account(account="main", dead_man_ms=6_000)]}
        self.problems = {}
        """By account."""
        self.tried = []
        self.taken = []
        self.is_away = False

    def trading(self):
        return list(self.listed)

    async def accounts(self, venue):
        if self.is_away:
            raise NoAnswer("away")
        return self.listed[venue]

    async def heartbeat(self, signed):
        self.tried.append(signed)
        if signed.account in self.problems:
            raise self.problems[signed.account]
        scope = AccountScope(SCOPE, signed.venue, signed.account)
        verifier = ApprovalVerifier(scope, {"inspector": PUBLIC}.get, 0)
        verifier.verify_heartbeat(signed, self.clock.time_ns())
        self.taken.append((signed.account, self.clock.now_ns))

    def seconds(self, account="main"):
        """When it took them, from the first on."""
        times = [time_ns for name, time_ns in self.taken if name == account]
        return [(time_ns - times[0]) / NANOSECONDS_PER_SECOND for time_ns in times]


class Sending:
    """A sender with its clock, its lease and its venues."""

    def __init__(self, lease=None):
        self.clock = ManualClock()
        self.lease = lease or HeldLease()
        self.venues = Venues(self.clock)
        self.meter = Meter("inspector")
        approver = Approver("inspector", KEY, SCOPE, self.lease)
        reasons = DegradedReasons(self.meter)
        self.sender = HeartbeatSender(approver, self.venues, reasons, self.clock)

    @property
    def detail(self):
        return self.meter.status().detail

    @asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.sender.run())
        await self.clock.settle()
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])


async def test_account_gets_three_signed_heartbeats_in_the_time_that_it_allows():
    at = Sending()
    async with at.running():
        await at.clock.advance(6)
        assert at.venues.seconds() == [0, 2, 4, 6]
    assert {one.fencing_epoch for one in at.venues.tried} == {7}


async def test_account_that_is_listed_later_gets_its_first_one_with_the_next():
    at = Sending()
    async with at.running():
        new = accounts_pb2.Account(account="new", dead_man_ms=1_500)
        at.venues.listed["binance"].append(new)
        at.venues.listed["okx"] = [accounts_pb2.Account(account="other", dead_man_ms=60_000)]
        await at.clock.advance(2)
        assert at.venues.seconds("other") == [0]
        await at.clock.advance(2)
        assert at.venues.seconds("new") == [0, 0.5, 1, 1.5, 2]


async def test_without_the_database_there_is_none_and_the_process_is_degraded():
    at = Sending()
    async with at.running():
        at.lease.problem = StoreUnavailable("PostgreSQL is away")
        await at.clock.advance(60)
        assert at.venues.seconds() == [0]
        assert "PostgreSQL is away" in at.detail
        at.lease.problem = None
        await at.clock.advance(1)
        assert len(at.venues.seconds()) == 2


async def test_lost_lease_ends_the_sender():
    at = Sending()
    async with at.running() as task:
        at.lease.problem = LeaseLost("another process has it")
        await at.clock.advance(2)
        await until(task.done)
        assert task.exception().subgroup(LeaseLost)


async def test_process_that_does_not_answer_is_asked_again_each_second():
    at = Sending()
    at.venues.is_away = True
    async with at.running():
        await at.clock.advance(3)
        assert at.venues.tried == []
        at.venues.is_away = False
        await at.clock.advance(1)
        assert at.venues.seconds() == [0]
        at.venues.problems["main"] = NoAnswer("lost")
        await at.clock.advance(4)
        assert len(at.venues.tried) >= 4
        assert not at.detail


@pytest.mark.parametrize(
    ("reason", "why"), [("APPROVAL_REFUSED", "stale_epoch"), ("ROLE_MISSING", "")]
)
async def test_refusal_degrades_the_process_until_the_account_takes_a_heartbeat(reason, why):
    at = Sending()
    at.venues.problems["main"] = CallRefused(reason, "not this one", why)
    async with at.running():
        assert at.detail == f"heartbeat of binance/main: {reason}: not this one"
        del at.venues.problems["main"]
        await at.clock.advance(1)
        assert at.venues.seconds() == [0]
        assert not at.detail


@pytest.mark.parametrize("why", ["unknown_key", "account"])
async def test_account_of_another_authority_is_no_alarm(why):
    at = Sending()
    at.venues.problems["main"] = CallRefused("APPROVAL_REFUSED", "not yours", why)
    async with at.running():
        await at.clock.advance(6)
        assert len(at.venues.tried) == 4
        assert not at.detail


async def test_second_process_sends_none_before_it_has_the_lease(rig):
    process = await rig.start()
    await until(lambda: process.active.is_active)
    lease = Lease(rig.database, "inspector", "inspector-2", 3600)
    at = Sending(lease)
    async with at.running() as task:
        await until(task.done)
        assert task.exception().subgroup(LeaseLost)
        assert at.venues.tried == []
