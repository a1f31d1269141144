"""Gives the verdict on each decision of the advisor, in the transaction that handles it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import checks_pb2, decisions_pb2, event_pb2, signals_pb2

from core.inspector import modes, positions, reductions, submissions
from core.inspector.approvals import Approver, entry_contents
from core.inspector.policy import Policy
from core.inspector.position_ends import WHOLE
from core.inspector.positions import OrderRole, Position
from core.inspector.reductions import WantedReduction
from core.inspector.submissions import Submission, verdict_event
from core.inspector.verdicts import (
    NOTED,
    ProposedEntry,
    RiskState,
    blocked,
    verdict_on_entry,
    verdict_on_reduction,
)
from kit.accounting.amounts import ZERO, plain
from kit.accounting.instruments import spot_base
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.database import Connection
from kit.base.errors import ApprovalRejected
from kit.events.event_ids import EVENT_ID_BYTES
from kit.execution.request_ids import lifecycle_request_id

CLOSE = signals_pb2.POSITION_ACTION_CLOSE
REDUCE = signals_pb2.POSITION_ACTION_REDUCE
FLIP = signals_pb2.POSITION_ACTION_FLIP
INTENT_ISSUED = decisions_pb2.DECISION_OUTCOME_INTENT_ISSUED
MINUTE_NS = 60 * NANOSECONDS_PER_SECOND

FindInstrument = Callable[[str, str], Awaitable[types_pb2.Instrument | None]]
"""Returns the terms of an instrument of a venue, or None."""


@dataclass(frozen=True, slots=True)
class RiskRules:
    """What verdicts rest on."""

    policy: Policy
    world: str
    approval_ns: int
    """How long an approval is valid."""
    instrument: FindInstrument
    clock: Clock

    async def state(
        self,
        connection: Connection,
        scopes: list[str],
        instrument: types_pb2.Instrument | None,
        open_positions: int = 0,
    ) -> RiskState:
        """What an order is compared with now."""
        now_ns = self.clock.time_ns()
        return RiskState(
            now_ns,
            await modes.load(connection, scopes, self.world),
            instrument,
            open_positions,
            await submissions.recent_entries(connection, now_ns - MINUTE_NS),
        )


class DecisionHandler:
    """Turns decisions into verdicts and approved orders."""

    def __init__(
        self, rules: RiskRules, approver: Approver, when_approved: Callable[[bytes], None]
    ) -> None:
        """``when_approved`` gets the id of each submission that is to be committed."""
        self._rules = rules
        self._approver = approver
        self._when_approved = when_approved
        self._instruments: Mapping[tuple[str, str], types_pb2.Instrument | None] = {}
        """Of the decisions that come next."""

    async def prepare(self, events: Sequence[event_pb2.Event]) -> None:
        """Find the instruments of what these decisions may open."""
        intents = [event.decision_made.intent for event in events if _is_issued(event)]
        wanted = {
            (intent.venue, intent.symbol)
            for intent in intents
            if intent.action not in (CLOSE, REDUCE)
        }
        found = await asyncio.gather(*(self._rules.instrument(*one) for one in wanted))
        self._instruments = dict(zip(wanted, found, strict=True))

    async def handle(self, connection: Connection, event: event_pb2.Event) -> list[event_pb2.Event]:
        """The events that follow from a decision."""
        if not _is_issued(event):
            return []
        intent = event.decision_made.intent
        position = await positions.find_open(
            connection, intent.strategy, intent.venue, intent.account, intent.symbol
        )
        is_flip = intent.action == FLIP and position is not None
        if is_flip or intent.action in (CLOSE, REDUCE):
            return [await self._reduce(connection, event, position)]
        return [await self._enter(connection, event, position)]

    async def _reduce(
        self, connection: Connection, event: event_pb2.Event, position: Position | None
    ) -> event_pb2.Event:
        """Have a position closed or reduced. The orders are approved once its exits are
        cancelled."""
        intent = event.decision_made.intent
        scopes = modes.scopes_of(intent.venue, intent.account, intent.strategy)
        state = await self._rules.state(connection, scopes, None)
        verdict = verdict_on_reduction(state, [await _held_check(connection, intent, position)])
        if position is not None and not _is_closed_whole(position):
            wanted = WantedReduction(_fraction(intent), event.lifecycle_id, event.event_id)
            if position.is_closing and wanted.fraction != WHOLE:
                await reductions.wait(connection, position.position_id, wanted)
            else:
                await positions.want_close(connection, position, *wanted)
        return verdict_event(event, intent.strategy, verdict, self._rules.policy.version)

    async def _enter(
        self, connection: Connection, event: event_pb2.Event, position: Position | None
    ) -> event_pb2.Event:
        intent, policy = event.decision_made.intent, self._rules.policy
        instrument = self._instruments[intent.venue, intent.symbol]
        scopes = modes.scopes_of(intent.venue, intent.account, intent.strategy)
        # A lifecycle opens one position: its id is in the request ids of the orders.
        begun = await positions.lock(connection, event.lifecycle_id)
        has_position = position is not None or begun is not None
        state = await self._rules.state(connection, scopes, instrument, int(has_position))
        verdict = verdict_on_entry(policy, state, _entry(intent))
        made = verdict_event(event, intent.strategy, verdict, policy.version)
        if verdict.is_allowed and len(event.lifecycle_id) != EVENT_ID_BYTES:
            verdict = blocked(verdict, "lifecycle_id", event.lifecycle_id.hex(), "not 16 bytes")
            return verdict_event(event, intent.strategy, verdict, policy.version)
        if not verdict.is_allowed or instrument is None:
            return made
        contents = entry_contents(intent, event.lifecycle_id)
        ids = [
            lifecycle_request_id(event.lifecycle_id, place + 1) for place in range(len(contents))
        ]
        expires_ns = min(intent.expires_time_ns, state.now_ns + self._rules.approval_ns)
        try:
            approved = self._approver.approve(contents, ids, expires_ns)
        except ApprovalRejected as error:
            verdict = blocked(verdict, "content", "", error.message)
            return verdict_event(event, intent.strategy, verdict, policy.version)
        opened = _position(event, instrument)
        await positions.insert(connection, opened)
        roles = [OrderRole.ENTRY, *[OrderRole.EXIT] * (len(approved) - 1)]
        await positions.add_orders(connection, opened.position_id, approved, roles)
        submission = Submission(
            made.event_id, event.lifecycle_id, opened.position_id, approved, True, expires_ns
        )
        await submissions.insert(connection, submission, state.now_ns)
        self._when_approved(submission.submission_id)
        made.verdict_given.orders.extend(approved)
        return made


def _entry(intent: decisions_pb2.ExecutionIntent) -> ProposedEntry:
    return ProposedEntry(
        intent.venue,
        intent.account,
        intent.symbol,
        intent.size,
        intent.price or intent.reference_price,
        intent.stop_price,
        intent.expires_time_ns,
    )


def _position(event: event_pb2.Event, instrument: types_pb2.Instrument) -> Position:
    intent = event.decision_made.intent
    return Position(
        event.lifecycle_id,
        intent.strategy,
        intent.venue,
        intent.account,
        intent.symbol,
        spot_base(instrument),
        instrument.size_step,
        instrument.size_min,
        intent.stop_price,
        intent.target_price,
    )


def _is_issued(event: event_pb2.Event) -> bool:
    return event.decision_made.outcome == INTENT_ISSUED


def _is_closed_whole(position: Position) -> bool:
    """Whether the whole of it is being closed already: nothing can be added to that."""
    return position.close_fraction == WHOLE


def _fraction(intent: decisions_pb2.ExecutionIntent) -> str:
    """The part to close. One that is not between 0 and 1 closes all: to keep a position that shall
    be smaller is the greater risk."""
    if intent.action != REDUCE:
        return WHOLE
    try:
        fraction = Decimal(intent.reduce_fraction)
    except InvalidOperation:
        return WHOLE
    return plain(fraction) if fraction.is_finite() and ZERO < fraction < 1 else WHOLE


async def _held_check(
    connection: Connection, intent: decisions_pb2.ExecutionIntent, position: Position | None
) -> checks_pb2.Check:
    check = checks_pb2.Check(name="position", observed="0", unit="size_unit", result=NOTED)
    if position is None:
        check.detail = "the strategy holds nothing: there is nothing to close"
        return check
    check.observed = plain(positions.held(await positions.orders_of(connection, position)))
    if _is_closed_whole(position):
        check.detail = "it is being closed already"
    elif position.is_closing and _fraction(intent) != WHOLE:
        check.detail = "another reduction is on its way: this one waits for its outcome"
    elif intent.action == FLIP:
        check.detail = "it is closed; a later signal opens the other side"
    return check
