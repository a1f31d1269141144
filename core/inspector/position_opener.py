"""Opens positions: gives the verdict on an entry and approves its orders."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import decisions_pb2, event_pb2

from core.inspector import entry_fences, positions, submissions
from core.inspector.approvals import Approver, entry_contents, exit_roles
from core.inspector.positions import OrderRole, Position
from core.inspector.submissions import Submission, verdict_event
from core.inspector.verdict_inputs import VerdictInputs
from core.inspector.verdicts import (
    CheckedVerdict,
    ProposedEntry,
    RiskState,
    blocked,
    valued_price,
    verdict_on_entry,
)
from kit.accounting.instruments import spot_base
from kit.base.database import Connection, PendingRead
from kit.base.errors import ApprovalRejected
from kit.events.event_ids import EVENT_ID_BYTES
from kit.execution.request_ids import lifecycle_prefix, lifecycle_request_id
from kit.risk.order_checks import amount
from kit.risk.scopes import PositionKey

Instrument = types_pb2.Instrument | None


@dataclass(frozen=True, slots=True)
class OpeningReads:
    """What the verdict on a decision needs. The transaction has sent the statements."""

    begun: PendingRead[Position | None]
    """The position of the lifecycle: it opens one."""
    held: PendingRead[Position | None]
    """The open position of the strategy in the instrument."""
    number: PendingRead[int]
    """Of the lifecycle's next order."""
    fence: PendingRead[int]
    state: PendingRead[RiskState]


class PositionOpener:
    """Gives verdicts on decisions that open positions, and approves their orders."""

    def __init__(self, rules: VerdictInputs, approver: Approver) -> None:
        self._rules = rules
        self._approver = approver
        self.when_approved: Callable[[Submission], None] = lambda submission: None
        """Called with each submission before its commit."""

    async def send_reads(
        self, connection: Connection, event: event_pb2.Event, instrument: Instrument
    ) -> OpeningReads:
        """Send what ``open`` reads, without waiting."""
        intent = event.decision_made.intent
        place = PositionKey(intent.venue, intent.account, intent.symbol, intent.strategy)
        return OpeningReads(
            begun=await positions.send_lock(connection, event.lifecycle_id),
            held=await positions.send_find_open(
                connection, intent.strategy, intent.venue, intent.account, intent.symbol
            ),
            number=await positions.send_next_number(
                connection, lifecycle_prefix(event.lifecycle_id)
            ),
            fence=await entry_fences.send_next_number(connection),
            state=await self._rules.send_entry_reads(connection, place, instrument),
        )

    async def open(
        self,
        connection: Connection,
        event: event_pb2.Event,
        instrument: Instrument,
        reads: OpeningReads,
        flipped: Position | None = None,
    ) -> event_pb2.Event:
        """Give the verdict on a decision, and approve its orders if it is ALLOW. ``flipped``: the
        closed position on the other side. Returns the event of the verdict."""
        intent = event.decision_made.intent
        verdict, now_ns = await self._verdict(connection, event, reads, flipped)
        number, fence = await reads.number(), await reads.fence()
        if verdict.is_allowed and instrument is not None:
            contents = entry_contents(intent, event.lifecycle_id)
            ids = [
                lifecycle_request_id(event.lifecycle_id, number + place)
                for place in range(len(contents))
            ]
            expires_ns = min(intent.expires_time_ns, now_ns + self._rules.approval_ns)
            try:
                approved = self._approver.approve(contents, ids, expires_ns, entry_fence=fence)
            except ApprovalRejected as error:
                verdict = blocked(verdict, "content", "", error.message)
        version = self._rules.policy.version
        if flipped is None:
            made = verdict_event(event, intent.strategy, verdict, version)
        else:
            # The first verdict on the decision was about closing.
            made = verdict_event(
                event, intent.strategy, verdict, version, number, flipped.position_id
            )
        if not verdict.is_allowed or instrument is None:
            return made
        opened = _position(event, instrument)
        await positions.insert(connection, opened)
        roles = [OrderRole.ENTRY, *exit_roles(contents[1:])]
        await positions.add_orders(connection, opened.position_id, approved, roles)
        submission = Submission(
            made.event_id,
            event.lifecycle_id,
            opened.position_id,
            approved,
            True,
            expires_ns,
            opened.strategy,
        )
        await submissions.insert(connection, submission, now_ns)
        self.when_approved(submission)
        made.verdict_given.orders.extend(approved)
        return made

    async def _verdict(
        self,
        connection: Connection,
        event: event_pb2.Event,
        reads: OpeningReads,
        flipped: Position | None,
    ) -> tuple[CheckedVerdict, int]:
        """The verdict and its time."""
        intent = event.decision_made.intent
        # A lifecycle opens one position: its id is in the request ids of the orders.
        begun, held = await reads.begun(), await reads.held()
        has_position = held is not None or begun is not None
        state = replace(await reads.state(), open_positions=int(has_position))
        verdict = verdict_on_entry(self._rules.policy, state, proposed_entry(intent))
        if verdict.is_allowed and len(event.lifecycle_id) != EVENT_ID_BYTES:
            name = event.lifecycle_id.hex()
            verdict = blocked(verdict, "lifecycle_id", name, "not 16 bytes")
        if flipped is not None and await _was_on_side(connection, flipped, intent):
            text = "the position was on this side: it is closed, and not opened again"
            verdict = blocked(verdict, "flip_side", types_pb2.Side.Name(intent.side), text)
        return verdict, state.now_ns


def proposed_entry(intent: decisions_pb2.ExecutionIntent) -> ProposedEntry:
    """The entry order of an intent, for the comparison with limits."""
    is_buy = intent.side == types_pb2.SIDE_BUY
    stated = amount(intent.price or intent.reference_price)
    return ProposedEntry(
        intent.venue,
        intent.account,
        intent.symbol,
        intent.size,
        valued_price((stated,), amount(intent.reference_price), is_buy=is_buy),
        intent.stop_price,
        intent.expires_time_ns,
        strategy=intent.strategy,
        is_buy=is_buy,
        stated_prices=(stated,),
    )


async def _was_on_side(
    connection: Connection, position: Position, intent: decisions_pb2.ExecutionIntent
) -> bool:
    is_buy = intent.side == types_pb2.SIDE_BUY
    orders = await positions.orders_of(connection, position)
    return any(one.role == OrderRole.ENTRY and one.is_buy == is_buy for one in orders)


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
        trailing_offset=intent.trailing_offset,
    )
