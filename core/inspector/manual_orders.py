"""Handles order requests of persons, and of programs with a token."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from venuemesh.events.v1 import event_pb2, risk_pb2
from venuemesh.inspector.v1 import inspector_pb2
from venuemesh.tradeflow.v1 import signed_pb2

from core.inspector import entry_fences, manual_requests, open_entries, submissions
from core.inspector.approvals import Approver
from core.inspector.manual_requests import FLATTEN, OrderFacts, VenueFacts
from core.inspector.modes import SOURCE
from core.inspector.risk_rules import RiskRules
from core.inspector.submissions import RISK, Submission, submitted_id, verdict_event
from core.inspector.transactions import exclusive_transaction
from core.inspector.verdicts import RiskState, blocked
from kit.base.access.roles import Role
from kit.base.access.tokens import Caller
from kit.base.database import Connection, Database
from kit.base.errors import (
    ApprovalRejected,
    BadRequest,
    RequestIdReused,
    RoleMissing,
    VenuemeshError,
)
from kit.base.waiting import is_set_within
from kit.events import event_log
from kit.events.event_ids import event_id
from kit.execution.approval.signing import content_text
from kit.execution.request_ids import lifecycle_request_id
from kit.risk.scopes import Place

METHOD = "SubmitManual"
_FIND = (
    "SELECT content_hash, lifecycle_id, verdict_id FROM inspector_requests WHERE request_id = %s"
)
_KEEP = "INSERT INTO inspector_requests VALUES (%s, %s, %s, %s)"

Request = inspector_pb2.SubmitManualRequest
Response = inspector_pb2.SubmitManualResponse
Answer = Response | VenuemeshError


@dataclass(frozen=True, slots=True)
class _Known:
    """A stored request."""

    lifecycle_id: bytes
    verdict_id: bytes


class ManualOrders:
    """Handles each request once, by its request id."""

    def __init__(
        self,
        database: Database,
        rules: RiskRules,
        approver: Approver,
        venues: VenueFacts,
        answer_seconds_max: float,
    ) -> None:
        self._database = database
        self._rules = rules
        self._approver = approver
        self._venues = venues
        self._answer_seconds_max = answer_seconds_max
        self._decided: dict[bytes, asyncio.Event] = {}
        self.when_approved: Callable[[bytes], None] = lambda submission_id: None
        """Called with the id of a submission before its commit."""
        self.after_commit: Callable[[], None] = lambda: None

    def decided(self, submission_id: bytes) -> None:
        """Wake the request that waits for the outcome of a submission."""
        waiting = self._decided.get(submission_id)
        if waiting is not None:
            waiting.set()

    async def submit(self, request: Request, caller: Caller) -> Response:
        """Handle a request and return its verdict and outcome. Raises BadRequest, InvalidOrder,
        RequestIdReused, RoleMissing, StoreUnavailable, LeaseLost."""
        return await self._answer(request, await self._known(request, caller))

    async def submit_many(self, requests: Sequence[Request], caller: Caller) -> list[Answer]:
        """Handle requests in this order, and return an answer for each. Raises LeaseLost."""
        taken: list[_Known | VenuemeshError] = []
        for request in requests:
            try:
                taken.append(await self._known(request, caller))
            except VenuemeshError as error:
                taken.append(error)

        async def answer(request: Request, known: _Known | VenuemeshError) -> Answer:
            if isinstance(known, VenuemeshError):
                return known
            try:
                return await self._answer(request, known)
            except VenuemeshError as error:
                return error

        return await asyncio.gather(*map(answer, requests, taken))

    async def _known(self, request: Request, caller: Caller) -> _Known:
        manual_requests.check(request)
        digest = _digest(request, caller)
        facts = await manual_requests.facts(request, self._venues)
        async with exclusive_transaction(self._database, self._approver.lease) as connection:
            known = await _find(connection, request.request_id, digest)
            if known is None:
                known = await self._take(connection, request, caller, digest, facts)
        self.after_commit()
        return known

    async def _take(
        self,
        connection: Connection,
        request: Request,
        caller: Caller,
        digest: bytes,
        facts: OrderFacts,
    ) -> _Known:
        content, policy = request.content, self._rules.policy
        key = (content.venue, content.account, request.target_client_order_id)
        strategy = await open_entries.strategy_of(connection, *key)
        state = await self._state(connection, request, facts, strategy)
        verdict = manual_requests.verdict(request, policy, state, facts, strategy)
        if not verdict.is_reduction:
            _require_trader(caller, request)
        asked = _requested(request, caller, state.now_ns)
        expires_ns = state.now_ns + self._rules.approval_ns
        approved: list[signed_pb2.ApprovedOrder] = []
        if verdict.is_allowed:
            try:
                number = 0 if verdict.is_reduction else await entry_fences.next_number(connection)
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
            self.when_approved(submission.submission_id)
        keys = [asked.lifecycle_id, given.event_id]
        await connection.execute(_KEEP, [request.request_id, digest, *keys])
        await event_log.append(connection, RISK, [asked, given], state.now_ns)
        return _Known(asked.lifecycle_id, given.event_id)

    async def _state(
        self, connection: Connection, request: Request, facts: OrderFacts, strategy: str
    ) -> RiskState:
        content = request.content
        place = Place(content.venue, content.account, content.symbol, strategy)
        if manual_requests.reduction_checks(request, facts) is not None:
            return await self._rules.reduction_state(connection, place)
        amended = (*place[:3], request.target_client_order_id)
        return await self._rules.entry_state(connection, place, facts.instrument, amended=amended)

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

    async def _answer(self, request: Request, known: _Known) -> Response:
        """The stored verdict, and the outcome if it arrives in time."""
        if request.operation == FLATTEN:
            return await self._answer_flatten(request, known)
        instance = f"{request.content.venue}/{request.content.account}"
        outcome_id = submitted_id(known.verdict_id, instance)
        waiting = self._decided.setdefault(known.verdict_id, asyncio.Event())
        response = Response(lifecycle_id=known.lifecycle_id)
        try:
            found = await self._stored(known.verdict_id, outcome_id)
            verdict = found[known.verdict_id].verdict_given
            if verdict.verdict == risk_pb2.VERDICT_ALLOW and outcome_id not in found:
                await is_set_within(waiting, self._answer_seconds_max)
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
        async with self._database.transaction() as connection:
            return await event_log.stored(connection, event_ids)


async def _find(connection: Connection, name: str, digest: bytes) -> _Known | None:
    row = await (await connection.execute(_FIND, [name])).fetchone()
    if row is None:
        return None
    if bytes(row[0]) != digest:
        text = f"the request id {name} belongs to another request"
        raise RequestIdReused(text, request_id=name)
    return _Known(bytes(row[1]), bytes(row[2]))


def _digest(request: Request, caller: Caller) -> bytes:
    """A hash that is the same for equal requests of one caller."""
    try:
        texts = [
            content_text(content, request.request_id)
            for content in manual_requests.contents(request)
        ]
    except ApprovalRejected as error:
        raise BadRequest(
            error.message, field="content", value="", allowed="see docs/ORDERS.md"
        ) from None
    parts = (caller.name, str(request.operation), request.target_client_order_id)
    return hashlib.sha256(b"".join(texts) + "\n".join(parts).encode()).digest()


def _requested(request: Request, caller: Caller, now_ns: int) -> event_pb2.Event:
    """The first event of the chain."""
    event = event_pb2.Event(
        # Nothing in the mesh is the cause: the request names it.
        event_id=event_id(SOURCE, "manual", [request.request_id.encode()]),
        source=SOURCE,
        instance="manual",
        time_ns=now_ns,
    )
    event.lifecycle_id = event.event_id
    event.order_requested.CopyFrom(
        risk_pb2.OrderRequested(
            caller=caller.name,
            request_id=request.request_id,
            reason=request.reason,
            operation=request.operation,
            target_client_order_id=request.target_client_order_id,
            content=request.content,
            others=request.others,
        )
    )
    return event


def _require_trader(caller: Caller, request: Request) -> None:
    if Role.TRADER in caller.roles:
        return
    text = f"only a trader may do more than cancel orders and reduce positions; {caller.name} has "
    text += ", ".join(sorted(caller.roles))
    raise RoleMissing(text, method=METHOD, roles=Role.TRADER)
