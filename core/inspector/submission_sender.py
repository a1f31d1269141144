"""Sends approved orders to the venues' processes and stores the outcomes.

It sends a submission again, with the same request ids, until the outcome is clear; the venue's
process makes one order of all calls. A refusal is clear only if no earlier call can still have an
effect: for the first call of a submission that this process approved itself. In every other case
the outcome is clear after the approval has expired: either the venue's process has the order, or
the submission has expired.
"""

import asyncio
from collections.abc import Callable, Iterable

from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from core.inspector import position_updates, submissions
from core.inspector.submissions import EXPIRED, REFUSED, RISK, TAKEN, Outcome, Submission
from core.inspector.transactions import exclusive_transaction
from core.inspector.venue_processes import CallRefused, NoAnswer, VenueOrders, order_id
from kit.base import backoff, telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.database import POSTGRESQL, Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import (
    AccountNotReady,
    ApprovalRejected,
    BadRequest,
    CredentialsRejected,
    InvalidOrder,
    LimitExceeded,
    NotSupported,
    RequestIdReused,
    StoreUnavailable,
    UnknownAccount,
    UnknownInstrument,
    UnknownOrder,
    UnknownVenue,
)
from kit.base.waiting import is_set_within
from kit.events import event_log
from kit.events.leases import Lease

CLEAR = frozenset(
    error.reason
    for error in (
        AccountNotReady,
        ApprovalRejected,
        BadRequest,
        CredentialsRejected,
        InvalidOrder,
        LimitExceeded,
        NotSupported,
        UnknownAccount,
        UnknownInstrument,
        UnknownOrder,
        UnknownVenue,
    )
)
"""Reasons which prove that the venue's process accepted nothing of the call."""
EXPIRY_MARGIN_NS = 5 * NANOSECONDS_PER_SECOND
"""The largest allowed delay of the clock of a venue's process behind ours."""
LOOK_SECONDS = 1.0
RETRY_SECONDS_MAX = 2.0
AT_ONCE_MAX = 16

_log = telemetry.logger("inspector.sender")


class SubmissionSender:
    """Sends submissions without an outcome while this process has the lease."""

    def __init__(
        self,
        database: Database,
        lease: Lease,
        venues: VenueOrders,
        degraded_reasons: DegradedReasons,
        clock: Clock,
    ) -> None:
        self._database = database
        self._lease = lease
        self._venues = venues
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self._fresh: dict[bytes, Submission] = {}
        """By id, the submissions that this process approved and has not sent yet."""
        self._sending: set[bytes] = set()
        self._at_once = asyncio.Semaphore(AT_ONCE_MAX)
        self._wake = asyncio.Event()
        self._deliveries: asyncio.TaskGroup | None = None
        self.when_decided: Callable[[bytes], None] = lambda submission_id: None
        """Called with the id of each submission after its outcome is committed."""

    def approved(self, submission: Submission) -> None:
        """Note a submission of this process before its commit."""
        self._fresh[submission.submission_id] = submission

    def committed(self, submission_ids: Iterable[bytes]) -> None:
        """Send noted submissions after the commit of their transaction, without reading them."""
        for submission_id in submission_ids:
            if submission_id in self._fresh:
                self._begin(self._fresh[submission_id])

    def wake(self) -> None:
        """Read the database now instead of after LOOK_SECONDS."""
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled. Raises LeaseLost."""
        self._sending.clear()
        async with asyncio.TaskGroup() as self._deliveries:
            while True:
                self._wake.clear()
                try:
                    async with self._database.reading() as connection:
                        found = await submissions.pending(connection)
                    self._degraded_reasons.clear(POSTGRESQL)
                except StoreUnavailable as error:
                    self._degraded_reasons.report(POSTGRESQL, error.message)
                    found = []
                for submission in found:
                    self._begin(submission)
                await is_set_within(self._wake, LOOK_SECONDS)

    def _begin(self, submission: Submission) -> None:
        """Deliver a submission, unless that has begun."""
        if self._deliveries is not None and submission.submission_id not in self._sending:
            self._sending.add(submission.submission_id)
            self._deliveries.create_task(self._deliver(submission))

    def forget(self) -> None:
        """Treat no submission as fresh: another process may have sent them."""
        self._fresh.clear()

    async def _deliver(self, submission: Submission) -> None:
        """Send a submission until its outcome is clear, and store the outcome."""
        async with self._at_once:
            outcome = await self._outcome(submission)
            waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
            while True:
                try:
                    await self._keep(submission, outcome)
                    break
                except StoreUnavailable as error:
                    self._degraded_reasons.report(POSTGRESQL, error.message)
                    await self._clock.sleep(next(waits))
        self._sending.discard(submission.submission_id)
        self.when_decided(submission.submission_id)

    async def _outcome(self, submission: Submission) -> Outcome:
        waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        # Removed before the call: whatever its outcome, the next call is not the first.
        is_first = submission.submission_id in self._fresh
        self._fresh.pop(submission.submission_id, None)
        detail = ""
        while True:
            has_ended = self._clock.time_ns() >= submission.expires_time_ns + EXPIRY_MARGIN_NS
            try:
                if not has_ended:
                    return Outcome(TAKEN, await self._call(submission))
                found = await self._find(submission)
                return Outcome(TAKEN, found) if found else Outcome(EXPIRED, detail=detail)
            except CallRefused as refused:
                # The venue's process has other orders with this id, so it never accepted these.
                is_taken_by_others = refused.reason == RequestIdReused.reason
                if is_taken_by_others or (is_first and refused.reason in CLEAR):
                    return Outcome(REFUSED, (), refused.reason, refused.detail)
                detail = str(refused)
            except NoAnswer as error:
                detail = str(error)
            is_first = False
            extra = {"submission": submission.submission_id.hex(), "detail": detail}
            _log.warning("no clear answer", extra=extra)
            await self._clock.sleep(next(waits))

    async def _call(self, submission: Submission) -> list[orders_pb2.Order]:
        approved = submission.approved
        match submission.operation:
            case signed_pb2.OPERATION_AMEND:
                return [await self._venues.amend(approved[0])]
            case signed_pb2.OPERATION_CANCEL:
                return [await self._venues.cancel(approved[0])]
        return list(await self._venues.place(approved))

    async def _find(self, submission: Submission) -> list[orders_pb2.Order]:
        """The orders of a submission after its approval has expired; empty if it had no effect and
        will have none. Raises NoAnswer and CallRefused."""
        first = submission.approved[0]
        match submission.operation:
            case signed_pb2.OPERATION_AMEND:
                return await self._find_amendment(first)
            case signed_pb2.OPERATION_CANCEL:
                target = first.target_client_order_id
                order = await self._venues.find(submission.venue, submission.account, target)
                return [order] if order is not None and order.cancel_requested_by else []
        found = [
            await self._venues.find(submission.venue, submission.account, order_id(one))
            for one in submission.approved
        ]
        return [order for order in found if order is not None]

    async def _find_amendment(self, approved: signed_pb2.ApprovedOrder) -> list[orders_pb2.Order]:
        """The amended order, found by the request id of the amendment; empty if it expired."""
        try:
            return [await self._venues.amend(approved)]
        except CallRefused as refused:
            if refused.reason in (ApprovalRejected.reason, UnknownOrder.reason):
                return []
            raise

    async def _keep(self, submission: Submission, outcome: Outcome) -> None:
        now_ns = self._clock.time_ns()
        turn = exclusive_transaction(self._database, self._lease, waits=False)
        async with turn as connection:
            if not await submissions.decide(connection, submission, outcome):
                return
            await position_updates.after_submission(connection, submission, outcome, now_ns)
            event = submissions.submitted_event(submission, outcome, now_ns)
            await event_log.append(connection, RISK, [event], now_ns)
