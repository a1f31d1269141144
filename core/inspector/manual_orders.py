"""Handles order requests of persons, and of programs with a token."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from venuemesh.events.v1 import event_pb2, risk_pb2
from venuemesh.inspector.v1 import inspector_pb2
from venuemesh.tradeflow.v1 import signed_pb2

from core.inspector import entry_fences, manual_requests, open_entries, proposals, submissions
from core.inspector.approvals import Approver
from core.inspector.first_events import SOURCE
from core.inspector.manual_requests import FLATTEN, OrderFacts, VenueFacts
from core.inspector.proposals import Proposal
from core.inspector.settings import RequestTimes
from core.inspector.submissions import RISK, Submission, submitted_id, verdict_event
from core.inspector.transactions import exclusive_transaction
from core.inspector.verdict_inputs import VerdictInputs
from core.inspector.verdicts import RiskState, blocked
from kit.base.access.roles import Role
from kit.base.access.tokens import Caller
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.database import Connection, Database, PendingRead, send
from kit.base.errors import (
    ApprovalRejected,
    BadRequest,
    RequestIdReused,
    RoleMissing,
    VenuemeshError,
)
from kit.base.waiting import is_set_within
from kit.events import event_log
from kit.execution.approval.signing import content_text
from kit.execution.request_ids import lifecycle_request_id
from kit.risk.scopes import PositionKey

METHOD = "SubmitManual"
_FIND = (
    "SELECT content_hash, lifecycle_id, verdict_id FROM inspector_requests WHERE request_id = %s"
)
_KEEP = "INSERT INTO inspector_requests VALUES (%s, %s, %s, %s)"

Request = inspector_pb2.SubmitManualRequest
Response = inspector_pb2.SubmitManualResponse
ManualResult = Response | VenuemeshError


@dataclass(frozen=True, slots=True)
class _Known:
    """A stored request."""

    lifecycle_id: bytes
    verdict_id: bytes
    given: event_pb2.Event | None = None
    """Its verdict, if this call has stored it."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that nothing is stored of."""

    request: Request
    digest: bytes
    facts: OrderFacts
    caller: Caller
    """Whose roles count: who confirms a proposal."""
    proposal: Proposal | None = None
    """Set if it was proposed, and is now confirmed."""


class _Reads(NamedTuple):
    """What the verdict on a request needs. The transaction has sent the statements."""

    fence: PendingRead[int]
    strategy: str
    state: PendingRead[RiskState]


class ManualOrders:
    """Handles each request once, by its request id."""

    def __init__(
        self,
        database: Database,
        rules: VerdictInputs,
        approver: Approver,
        venues: VenueFacts,
        times: RequestTimes,
    ) -> None:
        self._database = database
        self._rules = rules
        self._approver = approver
        self._venues = venues
        self._times = times
        self._decided: dict[bytes, asyncio.Event] = {}
        self.when_approved: Callable[[Submission], None] = lambda submission: None
        """Called with a submission before its commit."""
        self.after_commit: Callable[[], None] = lambda: None

    def decided(self, submission_id: bytes) -> None:
        """Wake the request that waits for the outcome of a submission."""
        waiting = self._decided.get(submission_id)
        if waiting is not None:
            waiting.set()

    async def submit(self, request: Request, caller: Caller) -> Response:
        """Handle a request and return its verdict and outcome; of a model's request the proposal,
        until it is confirmed. Raises BadRequest, InvalidOrder, RequestIdReused, RoleMissing,
        CallerLimited, StoreUnavailable, LeaseLost."""
        return await self._answer(request, await self._known(request, caller))

    async def confirm(self, request_id: str, caller: Caller) -> Response:
        """Handle the request of a proposal as one of this caller. Raises BadRequest,
        ProposalEnded, OtherCallerNeeded, RoleMissing, StoreUnavailable, LeaseLost."""
        async with self._database.transaction() as connection:
            proposal = await proposals.known(connection, request_id)
        proposal.require_other(caller)
        facts = await manual_requests.facts(proposal.request, self._venues)
        known = None
        async with exclusive_transaction(self._database, self._approver.lease) as connection:
            await proposals.expire(connection, self._rules.clock.time_ns())
            proposal = await proposals.known(connection, request_id)
            digest = proposal.content_hash
            if proposal.state == proposals.CONFIRMED:
                known = await (await _send_find(connection, request_id, digest))()
            elif proposal.state == proposals.PENDING:
                asked = _Asked(proposal.request, digest, facts, caller, proposal)
                reads = await self._send_reads(connection, asked)
                known = await self._take(connection, asked, reads)
        self.after_commit()
        if known is None:
            raise proposal.ended()
        return await self._answer(proposal.request, known)

    async def decline(self, request_id: str, reason: str, caller: Caller) -> Proposal:
        """End a proposal without effect. Raises BadRequest, ProposalEnded, StoreUnavailable,
        LeaseLost."""
        now_ns = self._rules.clock.time_ns()
        async with exclusive_transaction(self._database, self._approver.lease) as connection:
            await proposals.expire(connection, now_ns)
            proposal = await proposals.known(connection, request_id)
            if proposal.state == proposals.PENDING:
                by = caller.name
                await proposals.end(connection, proposal, proposals.DECLINED, now_ns, by, reason)
                proposal = await proposals.known(connection, request_id)
        self.after_commit()
        if proposal.state != proposals.DECLINED:
            raise proposal.ended()
        return proposal

    async def waiting(self) -> list[Proposal]:
        """The proposals that wait for a confirmation, oldest first. Raises StoreUnavailable."""
        async with self._database.reading() as connection:
            return await proposals.pending(connection)

    async def submit_many(self, requests: Sequence[Request], caller: Caller) -> list[ManualResult]:
        """Handle requests in this order, and return an answer for each. Raises LeaseLost."""
        taken: list[_Known | Proposal | VenuemeshError] = []
        for request in requests:
            try:
                taken.append(await self._known(request, caller))
            except VenuemeshError as error:
                taken.append(error)

        async def answer(
            request: Request, known: _Known | Proposal | VenuemeshError
        ) -> ManualResult:
            if isinstance(known, VenuemeshError):
                return known
            try:
                return await self._answer(request, known)
            except VenuemeshError as error:
                return error

        return await asyncio.gather(*map(answer, requests, taken))

    async def _known(self, request: Request, caller: Caller) -> _Known | Proposal:
        manual_requests.check(request)
        digest = _digest(request, caller)
        facts = OrderFacts()
        if caller.is_model:
            _check_proposal(request, caller)
        else:
            facts = await manual_requests.facts(request, self._venues)
        found: _Known | Proposal | None
        lease = self._approver.lease
        async with exclusive_transaction(self._database, lease, waits=False) as connection:
            known = await _send_find(connection, request.request_id, digest)
            proposed = await proposals.send_of_request(connection, request.request_id, digest)
            wanted = _Asked(request, digest, facts, caller)
            reads = await self._send_reads(connection, wanted)
            found = await known() or await proposed()
            if found is None and caller.is_model:
                found = self._proposal(request, digest, caller)
                await proposals.add(connection, found)
            if found is None:
                found = await self._take(connection, wanted, reads)
        self.after_commit()
        return found

    def _proposal(self, request: Request, digest: bytes, caller: Caller) -> Proposal:
        now_ns, asked = self._rules.clock.time_ns(), _content(request, caller.name)
        lasts_ns = int(self._times.proposal_seconds * NANOSECONDS_PER_SECOND)
        return Proposal(asked, digest, caller.first_token_id, now_ns, now_ns + lasts_ns)

    async def _send_reads(self, connection: Connection, wanted: _Asked) -> _Reads:
        """Send what ``_take`` reads, without waiting for more than the strategy of an order."""
        request, content = wanted.request, wanted.request.content
        key = (content.venue, content.account, request.target_client_order_id)
        fence = await entry_fences.send_next_number(connection)
        # A new order is a person's own.
        strategy = await open_entries.strategy_of(connection, *key) if key[2] else ""
        state = await self._send_state(connection, request, wanted.facts, strategy)
        return _Reads(fence, strategy, state)

    async def _take(self, connection: Connection, wanted: _Asked, reads: _Reads) -> _Known:
        request, facts, strategy = wanted.request, wanted.facts, reads.strategy
        content, policy = request.content, self._rules.policy
        state = await reads.state()
        verdict = manual_requests.verdict(request, policy, state, facts, strategy)
        if not verdict.is_reduction:
            _require_trader(wanted.caller, request)
        asked = await _requested(connection, wanted, state.now_ns)
        expires_ns = state.now_ns + self._rules.approval_ns
        approved: list[signed_pb2.ApprovedOrder] = []
        if verdict.is_allowed:
            try:
                number = 0 if verdict.is_reduction else await reads.fence()
                approved = self._approve(request, asked.lifecycle_id, expires_ns, number)
            except ApprovalRejected as error:
                verdict = blocked(verdict, "content", "", error.message)
        instance = f"{content.venue}/{content.account}"
        given = verdict_event(asked, instance, verdict, policy.version)
        given.verdict_given.orders.extend(approved)
        if approved and request.operation != FLATTEN:
            is_entry = not verdict.is_reduction
            submission = Submission(
                given.event_id, asked.lifecycle_id, b"", approved, is_entry, expires_ns, strategy
            )
            await submissions.insert(connection, submission, state.now_ns)
            self.when_approved(submission)
        keys = [asked.lifecycle_id, given.event_id]
        await connection.execute(_KEEP, [request.request_id, wanted.digest, *keys])
        await event_log.append(connection, RISK, [asked, given], state.now_ns)
        return _Known(asked.lifecycle_id, given.event_id, given)

    async def _send_state(
        self, connection: Connection, request: Request, facts: OrderFacts, strategy: str
    ) -> PendingRead[RiskState]:
        content = request.content
        place = PositionKey(content.venue, content.account, content.symbol, strategy)
        if manual_requests.reduction_checks(request, facts) is not None:
            return await self._rules.send_reduction_reads(connection, place)
        amended = (*place[:3], request.target_client_order_id)
        return await self._rules.send_entry_reads(connection, place, facts.instrument, amended)

    def _approve(
        self, request: Request, lifecycle_id: bytes, expires_ns: int, entry_fence: int = 0
    ) -> list[signed_pb2.ApprovedOrder]:
        """Raises ApprovalRejected for a content that cannot be signed."""
        contents = manual_requests.contents(request)
        numbers = range(1, len(contents) + 1)
        return self._approver.approve(
            contents,
            [lifecycle_request_id(lifecycle_id, number) for number in numbers],
            expires_ns,
            request.operation,
            request.target_client_order_id,
            entry_fence,
        )

    async def _answer(self, request: Request, known: _Known | Proposal) -> Response:
        """The stored verdict, and the outcome if it arrives in time."""
        if isinstance(known, Proposal):
            proposal = known.message()
            return Response(lifecycle_id=proposal.lifecycle_id, proposal=proposal)
        if request.operation == FLATTEN:
            return await self._answer_flatten(request, known)
        instance = f"{request.content.venue}/{request.content.account}"
        outcome_id = submitted_id(known.verdict_id, instance)
        if known.given is not None and not known.given.verdict_given.orders:
            verdict = known.given.verdict_given
            return Response(lifecycle_id=known.lifecycle_id, verdict=verdict)
        response = Response(lifecycle_id=known.lifecycle_id)
        waiting = self._decided.setdefault(known.verdict_id, asyncio.Event())
        try:
            found = await self._stored(known.verdict_id, outcome_id)
            verdict = found[known.verdict_id].verdict_given
            if verdict.verdict == risk_pb2.VERDICT_ALLOW and outcome_id not in found:
                await is_set_within(waiting, self._times.answer_seconds_max)
                found = await self._stored(known.verdict_id, outcome_id)
        finally:
            self._decided.pop(known.verdict_id, None)
        response.verdict.CopyFrom(found[known.verdict_id].verdict_given)
        if outcome_id in found:
            response.submitted.CopyFrom(found[outcome_id].orders_submitted)
        return response

    async def _answer_flatten(self, request: Request, known: _Known) -> Response:
        """The stored verdict, with a new approval for the caller to send."""
        verdict = (await self._stored(known.verdict_id))[known.verdict_id].verdict_given
        response = Response(lifecycle_id=known.lifecycle_id, verdict=verdict)
        expires_ns = self._rules.clock.time_ns() + self._rules.approval_ns
        (approved,) = self._approve(request, known.lifecycle_id, expires_ns)
        response.approved.CopyFrom(approved)
        return response

    async def _stored(self, *event_ids: bytes) -> dict[bytes, event_pb2.Event]:
        async with self._database.reading() as connection:
            return await event_log.stored(connection, event_ids)


async def _send_find(
    connection: Connection, name: str, digest: bytes
) -> PendingRead[_Known | None]:
    def read(rows: Sequence[Any]) -> _Known | None:
        if rows and bytes(rows[0][0]) != digest:
            text = f"the request id {name} belongs to another request"
            raise RequestIdReused(text, request_id=name)
        return _Known(bytes(rows[0][1]), bytes(rows[0][2])) if rows else None

    return await send(connection, _FIND, [name], read)


def _digest(request: Request, caller: Caller) -> bytes:
    """A hash that is the same for equal requests of one caller."""
    try:
        contents = manual_requests.contents(request)
        texts = [content_text(content, request.request_id) for content in contents]
    except ApprovalRejected as error:
        raise BadRequest(
            error.message, field="content", value="", allowed="see docs/ORDERS.md"
        ) from None
    parts = (caller.name, str(request.operation), request.target_client_order_id)
    return hashlib.sha256(b"".join(texts) + "\n".join(parts).encode()).digest()


async def _requested(connection: Connection, wanted: _Asked, now_ns: int) -> event_pb2.Event:
    """The first event of the chain, after that of a proposal's confirmation."""
    lifecycle_id = proposals.lifecycle_id(wanted.request.request_id)
    event = event_pb2.Event(
        event_id=lifecycle_id,
        source=SOURCE,
        instance="manual",
        time_ns=now_ns,
        lifecycle_id=lifecycle_id,
    )
    if wanted.proposal is None:
        event.order_requested.CopyFrom(_content(wanted.request, wanted.caller.name))
        return event
    by = wanted.caller.name
    cause = await proposals.end(connection, wanted.proposal, proposals.CONFIRMED, now_ns, by)
    event.cause_ids.append(cause.event_id)
    event.order_requested.CopyFrom(wanted.proposal.requested)
    event.order_requested.confirmed_by = by
    return event


def _content(request: Request, caller: str) -> risk_pb2.OrderRequested:
    return risk_pb2.OrderRequested(
        caller=caller,
        request_id=request.request_id,
        reason=request.reason,
        operation=request.operation,
        target_client_order_id=request.target_client_order_id,
        content=request.content,
        others=request.others,
    )


def _check_proposal(request: Request, caller: Caller) -> None:
    """Raise BadRequest and RoleMissing for what a model may not propose."""
    _require_trader(caller, request)
    if request.operation == FLATTEN:
        text = "a model cannot propose OPERATION_FLATTEN; propose the orders that close a position"
        allowed = "OPERATION_PLACE, OPERATION_AMEND, OPERATION_CANCEL"
        raise BadRequest(text, field="operation", value="OPERATION_FLATTEN", allowed=allowed)
    if not request.reason.strip() or not request.reason.isprintable():
        text = "reason says in one line, for the person who confirms, why this is proposed"
        allowed = "1 to 500 printable characters"
        raise BadRequest(text, field="reason", value=request.reason, allowed=allowed)
    fields = [request.target_client_order_id]
    for content in manual_requests.contents(request):
        fields += [content.venue, content.account, content.symbol, content.group.group_id]
    for value in fields:
        if not value.isprintable():
            text = f"{value!r} has characters that the person who confirms cannot see"
            allowed = "printable characters"
            raise BadRequest(text, field="content", value=repr(value), allowed=allowed)


def _require_trader(caller: Caller, request: Request) -> None:
    if Role.TRADER in caller.roles:
        return
    text = f"only a trader may do more than cancel orders and reduce positions; {caller.name} has "
    text += ", ".join(sorted(caller.roles))
    raise RoleMissing(text, method=METHOD, roles=Role.TRADER)
