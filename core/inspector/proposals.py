"""Requests of models that wait for the confirmation of another caller, in PostgreSQL."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from venuemesh.events.v1 import event_pb2, risk_pb2
from venuemesh.inspector.v1 import inspector_pb2, proposals_pb2
from venuemesh.tradeflow.v1 import signed_pb2

from core.inspector.first_events import SOURCE
from core.inspector.submissions import RISK
from kit.base.access.tokens import Caller
from kit.base.database import Connection, PendingRead, send
from kit.base.errors import (
    BadRequest,
    CallerLimited,
    OtherCallerNeeded,
    ProposalEnded,
    RequestIdReused,
)
from kit.events import event_log
from kit.events.event_ids import event_id

if TYPE_CHECKING:
    State: TypeAlias = risk_pb2.ProposalState.ValueType
else:
    # Enum values are plain integers at run time; their type exists for the checker only.
    State = int

PENDING = risk_pb2.PROPOSAL_STATE_PENDING
CONFIRMED = risk_pb2.PROPOSAL_STATE_CONFIRMED
DECLINED = risk_pb2.PROPOSAL_STATE_DECLINED
EXPIRED = risk_pb2.PROPOSAL_STATE_EXPIRED
PENDING_MAX = 100
"""That wait at a time, of all models: so many orders and amendments, and so many cancels."""

_COLUMNS = (
    "number, content_hash, requested, token_id, proposed_time_ns, expires_time_ns, state,"
    " decided_by, reason"
)
_FIND = f"SELECT {_COLUMNS} FROM inspector_proposals WHERE request_id = %s"
_PENDING = f"SELECT {_COLUMNS} FROM inspector_proposals WHERE state = {PENDING} ORDER BY number"
_INSERT = (
    "INSERT INTO inspector_proposals (request_id, content_hash, requested, token_id,"
    " proposed_time_ns, expires_time_ns, state) VALUES (%s, %s, %s, %s, %s, %s, %s)"
)
_END = (
    "UPDATE inspector_proposals SET (state, decided_by, reason) = (%s, %s, %s)"
    f" WHERE request_id = %s AND state = {PENDING}"
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A request of a model, and its state."""

    requested: risk_pb2.OrderRequested
    content_hash: bytes
    token_id: str
    """The first of the chain of the token that was shown."""
    proposed_time_ns: int
    expires_time_ns: int
    state: State = PENDING
    decided_by: str = ""
    reason: str = ""
    number: int = 0
    """Grows with each proposal that is stored."""

    @property
    def request_id(self) -> str:
        return self.requested.request_id

    @property
    def request(self) -> inspector_pb2.SubmitManualRequest:
        asked = self.requested
        return inspector_pb2.SubmitManualRequest(
            request_id=asked.request_id,
            reason=asked.reason,
            operation=asked.operation,
            target_client_order_id=asked.target_client_order_id,
            content=asked.content,
            others=asked.others,
        )

    @property
    def is_cancel(self) -> bool:
        return self.requested.operation == signed_pb2.OPERATION_CANCEL

    def message(self) -> proposals_pb2.Proposal:
        return proposals_pb2.Proposal(
            requested=self.requested,
            lifecycle_id=lifecycle_id(self.request_id),
            state=self.state,
            proposed_time_ns=self.proposed_time_ns,
            expires_time_ns=self.expires_time_ns,
            decided_by=self.decided_by,
            reason=self.reason,
        )

    def require_other(self, caller: Caller) -> None:
        """Raise OtherCallerNeeded for a caller who cannot confirm it: a model, and who made it."""
        is_same = caller.name == self.requested.caller
        is_same |= caller.first_token_id == self.token_id != ""
        if is_same or caller.is_model:
            who = self.requested.caller
            text = f"{who} proposed {self.request_id}, and {caller.name} cannot confirm it: "
            text += "another person must, with a token under another name that is not for a model"
            raise OtherCallerNeeded(text, request_id=self.request_id, caller=who)

    def ended(self) -> ProposalEnded:
        """The error of who comes too late."""
        state = risk_pb2.ProposalState.Name(self.state).removeprefix("PROPOSAL_STATE_")
        by = f" by {self.decided_by}" if self.decided_by else ""
        text = f"the proposal {self.request_id} is {state}{by}: nothing waits for a confirmation"
        return ProposalEnded(text, request_id=self.request_id, state=state)


def lifecycle_id(request_id: str) -> bytes:
    """The id of the chain of a request of a person, or of a model that was confirmed."""
    # Nothing in the mesh is the cause: the request names it.
    return event_id(SOURCE, "manual", [request_id.encode()])


async def find(connection: Connection, request_id: str) -> Proposal | None:
    row = await (await connection.execute(_FIND, [request_id])).fetchone()
    return None if row is None else _proposal(row)


async def known(connection: Connection, request_id: str) -> Proposal:
    """Raises BadRequest if there is none."""
    found = await find(connection, request_id)
    if found is None:
        text = f"no model has proposed a request with the id {request_id!r}"
        allowed = "that of a proposal, see ListProposals"
        raise BadRequest(text, field="request_id", value=request_id, allowed=allowed)
    return found


async def send_of_request(
    connection: Connection, request_id: str, digest: bytes
) -> PendingRead[Proposal | None]:
    """Read the proposal of a request. The answer raises RequestIdReused if the id is that of
    another request."""

    def read(rows: Sequence[Any]) -> Proposal | None:
        found = _proposal(rows[0]) if rows else None
        if found is not None and found.content_hash != digest:
            text = f"the request id {request_id} belongs to another request"
            raise RequestIdReused(text, request_id=request_id)
        return found

    return await send(connection, _FIND, [request_id], read)


async def pending(connection: Connection) -> list[Proposal]:
    """Those that wait, oldest first."""
    return [_proposal(row) async for row in await connection.execute(_PENDING)]


async def add(connection: Connection, proposal: Proposal) -> None:
    """Store a new proposal and its event. Raises CallerLimited."""
    # Orders that wait keep no cancel from being proposed.
    same_kind = [one for one in await pending(connection) if one.is_cancel == proposal.is_cancel]
    if len(same_kind) >= PENDING_MAX:
        kind = "cancels" if proposal.is_cancel else "orders"
        text = f"{PENDING_MAX} proposed {kind} wait for a confirmation, the most allowed"
        raise CallerLimited(text, limit=PENDING_MAX)
    values = (proposal.request_id, proposal.content_hash, proposal.requested.SerializeToString())
    times = (proposal.proposed_time_ns, proposal.expires_time_ns)
    await connection.execute(_INSERT, [*values, proposal.token_id, *times, proposal.state])
    first = _event(proposal, proposal.proposed_time_ns)
    await event_log.append(connection, RISK, [first], proposal.proposed_time_ns)


async def end(
    connection: Connection, proposal: Proposal, state: State, now_ns: int, by: str, reason: str = ""
) -> event_pb2.Event:
    """End a proposal that waits, and store the event of it, which is returned."""
    await connection.execute(_END, [state, by, reason, proposal.request_id])
    ended = replace(proposal, state=state, decided_by=by, reason=reason)
    event = _event(ended, now_ns)
    await event_log.append(connection, RISK, [event], now_ns)
    return event


async def expire(connection: Connection, now_ns: int) -> Sequence[Proposal]:
    """End those whose time has passed, and return them."""
    due = [one for one in await pending(connection) if one.expires_time_ns <= now_ns]
    for proposal in due:
        await end(connection, proposal, EXPIRED, now_ns, "")
    return due


def _proposal(row: Sequence[Any]) -> Proposal:
    number, content_hash, requested, token_id, proposed_ns, expires_ns, state, by, reason = row
    return Proposal(
        requested=risk_pb2.OrderRequested.FromString(bytes(requested)),
        content_hash=bytes(content_hash),
        token_id=token_id,
        proposed_time_ns=proposed_ns,
        expires_time_ns=expires_ns,
        state=state,
        decided_by=by,
        reason=reason,
        number=number,
    )


def _event(proposal: Proposal, now_ns: int) -> event_pb2.Event:
    first_id = event_id(SOURCE, "proposal", [proposal.request_id.encode()])
    is_first = proposal.state == PENDING
    event = event_pb2.Event(
        event_id=first_id if is_first else event_id(SOURCE, "proposal", [first_id]),
        source=SOURCE,
        instance="proposal",
        time_ns=now_ns,
        lifecycle_id=first_id,
        cause_ids=[] if is_first else [first_id],
    )
    event.proposal_changed.CopyFrom(
        risk_pb2.ProposalChanged(
            state=proposal.state,
            requested=proposal.requested,
            expires_time_ns=proposal.expires_time_ns,
            decided_by=proposal.decided_by,
            reason=proposal.reason,
        )
    )
    return event
