"""Sends heartbeats to the accounts: the venues' processes cancel entries when they stop.

Each is signed with the inspector's key and the epoch of its lease. It is sent only after the lease
was renewed for it: an inspector without its database can neither follow an entry nor cancel one,
and is as silent as one that is dead.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from venuemesh.tradeflow.v1 import accounts_pb2, signed_pb2

from core.inspector.approvals import Approver
from core.inspector.venue_processes import CallRefused, NoAnswer
from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.database import POSTGRESQL
from kit.base.degradation import DegradedReasons
from kit.base.errors import AccountNotReady, StoreUnavailable

HEARTBEATS_PER_SPAN = 3
"""Of the silence after which a venue's process cancels entries."""
SPAN_MS = 15_000
"""Of a venue's process that does not state it."""
LOOK_SECONDS = 1.0
"""Until venues that have registered get their first heartbeat, and the others another try."""
FOREIGN = frozenset({"unknown_key", "account"})
"""Of accounts that another order authority approves orders of."""

_log = telemetry.logger("inspector.heartbeats")


class AccountProcesses(Protocol):
    """The venues' processes. The calls raise NoAnswer and CallRefused."""

    def trading(self) -> Sequence[str]:
        """The registered venues that have accounts."""

    async def accounts(self, venue: str) -> Sequence[accounts_pb2.Account]:
        """The accounts of a venue."""

    async def heartbeat(self, signed: signed_pb2.HeartbeatRequest) -> None:
        """Report that the order authority is alive."""


class HeartbeatSender:
    """Sends heartbeats to every account that knows the key, while its process has the lease."""

    def __init__(
        self,
        approver: Approver,
        venues: AccountProcesses,
        degraded_reasons: DegradedReasons,
        clock: Clock,
    ) -> None:
        self._approver = approver
        self._venues = venues
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self._served: set[str] = set()

    async def run(self) -> None:
        """Send until cancelled. Raises LeaseLost."""
        self._served.clear()
        async with asyncio.TaskGroup() as group:
            while True:
                for venue in set(self._venues.trading()) - self._served:
                    self._served.add(venue)
                    group.create_task(self._serve(venue))
                await self._clock.sleep(LOOK_SECONDS)

    async def _serve(self, venue: str) -> None:
        """Send to the accounts of a venue until it is not registered any more."""
        while venue in self._venues.trading():
            await self._clock.sleep(await self._send(venue))
        self._served.discard(venue)

    async def _send(self, venue: str) -> float:
        """Send one to each account. Returns the seconds until the next ones are due."""
        try:
            await self._approver.lease.renew()
            accounts = await self._venues.accounts(venue)
        except StoreUnavailable as error:
            self._degraded_reasons.report(POSTGRESQL, error.message)
            return LOOK_SECONDS
        except (NoAnswer, CallRefused) as error:
            _log.info("no heartbeats", extra={"venue": venue, "detail": str(error)})
            return LOOK_SECONDS
        waits = await asyncio.gather(*(self._heartbeat(venue, one) for one in accounts))
        return min(waits, default=LOOK_SECONDS)

    async def _heartbeat(self, venue: str, account: accounts_pb2.Account) -> float:
        """Send one. Returns the seconds until the next one is due."""
        seconds = (account.dead_man_ms or SPAN_MS) / 1000 / HEARTBEATS_PER_SPAN
        about = f"heartbeat of {venue}/{account.account}"
        signed = self._approver.heartbeat(venue, account.account, self._clock.time_ns())
        try:
            await self._venues.heartbeat(signed)
        except CallRefused as refused:
            if refused.why not in FOREIGN:
                _log.info("heartbeat refused", extra={"about": about, "detail": str(refused)})
                if refused.reason != AccountNotReady.reason:
                    self._degraded_reasons.report(about, str(refused))
                return min(LOOK_SECONDS, seconds)
        except NoAnswer as error:
            _log.info("heartbeat not answered", extra={"about": about, "detail": str(error)})
            return min(LOOK_SECONDS, seconds)
        self._degraded_reasons.clear(about)
        return seconds
