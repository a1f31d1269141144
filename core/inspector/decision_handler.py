"""Gives the verdict on each decision of the advisor, in the transaction that handles it."""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import checks_pb2, decisions_pb2, event_pb2, signals_pb2

from core.inspector import positions, reduction_queue
from core.inspector.position_opener import OpeningReads, PositionOpener
from core.inspector.position_updates import WHOLE
from core.inspector.positions import Position
from core.inspector.reduction_queue import ReductionRequest
from core.inspector.submissions import verdict_event
from core.inspector.verdict_inputs import VerdictInputs
from core.inspector.verdicts import NOTED, verdict_on_reduction
from kit.accounting.amounts import ZERO, plain
from kit.base.database import Connection
from kit.risk.scopes import PositionKey

CLOSE = signals_pb2.POSITION_ACTION_CLOSE
REDUCE = signals_pb2.POSITION_ACTION_REDUCE
FLIP = signals_pb2.POSITION_ACTION_FLIP
INTENT_ISSUED = decisions_pb2.DECISION_OUTCOME_INTENT_ISSUED


class DecisionHandler:
    """Turns decisions into verdicts and approved orders."""

    def __init__(self, rules: VerdictInputs, opener: PositionOpener) -> None:
        self._rules = rules
        self._opener = opener
        self._instruments: Mapping[tuple[str, str], types_pb2.Instrument | None] = {}
        """Instruments of the prepared decisions, by venue and symbol."""

    async def prepare(self, events: Sequence[event_pb2.Event]) -> None:
        """Request the instruments of positions that these decisions may open."""
        intents = [event.decision_made.intent for event in events if _may_open(event)]
        wanted = {(intent.venue, intent.symbol) for intent in intents}
        found = await asyncio.gather(*(self._rules.instrument(*one) for one in wanted))
        self._instruments = dict(zip(wanted, found, strict=True))

    async def send_reads(
        self, connection: Connection, event: event_pb2.Event
    ) -> OpeningReads | None:
        """Send what the verdict on a decision that may open a position needs, without waiting; None
        for another event."""
        if not _may_open(event):
            return None
        return await self._opener.send_reads(connection, event, self._instrument(event))

    async def handle(
        self, connection: Connection, event: event_pb2.Event, reads: OpeningReads | None
    ) -> list[event_pb2.Event]:
        """The events that follow from a decision."""
        if not _is_issued(event):
            return []
        intent = event.decision_made.intent
        if reads is None:
            found = await positions.send_find_open(
                connection, intent.strategy, intent.venue, intent.account, intent.symbol
            )
            return [await self._reduce(connection, event, await found())]
        if intent.action == FLIP and (position := await reads.held()) is not None:
            return [await self._reduce(connection, event, position)]
        return [await self._opener.open(connection, event, self._instrument(event), reads)]

    def _instrument(self, event: event_pb2.Event) -> types_pb2.Instrument | None:
        intent = event.decision_made.intent
        return self._instruments[intent.venue, intent.symbol]

    async def _reduce(
        self, connection: Connection, event: event_pb2.Event, position: Position | None
    ) -> event_pb2.Event:
        """Request that a position is closed or reduced. PositionCloser approves the orders after it
        has cancelled the exits."""
        intent = event.decision_made.intent
        place = PositionKey(intent.venue, intent.account, intent.symbol, intent.strategy)
        state = await self._rules.reduction_state(connection, place)
        verdict = verdict_on_reduction(state, [await _held_check(connection, intent, position)])
        if position is not None and not _is_wanted_already(intent, position):
            wanted = ReductionRequest(_fraction(intent), event.lifecycle_id, event.event_id)
            if position.is_closing and wanted.fraction != WHOLE:
                await reduction_queue.add(connection, position.position_id, wanted)
            else:
                flips = intent.action == FLIP
                await positions.request_close(connection, position, *wanted, flips=flips)
        return verdict_event(event, intent.strategy, verdict, self._rules.policy.version)


def _is_issued(event: event_pb2.Event) -> bool:
    return event.decision_made.outcome == INTENT_ISSUED


def _may_open(event: event_pb2.Event) -> bool:
    return _is_issued(event) and event.decision_made.intent.action not in (CLOSE, REDUCE)


def _is_wanted_already(intent: decisions_pb2.ExecutionIntent, position: Position) -> bool:
    """Whether the whole position is being closed already. A flip replaces a close, and a close
    replaces a flip: the newest one decides whether the other side is opened."""
    if position.close_fraction != WHOLE:
        return False
    is_other = intent.action != REDUCE and position.close_flips != (intent.action == FLIP)
    return not is_other


def _fraction(intent: decisions_pb2.ExecutionIntent) -> str:
    """The part to close. An invalid part, outside 0 to 1, closes the whole position: keeping a
    position that should be smaller is the greater risk."""
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
    if _is_wanted_already(intent, position):
        check.detail = "it is being closed already"
    elif position.is_closing and _fraction(intent) != WHOLE:
        check.detail = "another reduction is on its way: this one waits for its outcome"
    elif intent.action == FLIP:
        check.detail = "it is closed first; then the other side has a verdict of its own"
    elif position.close_flips:
        check.detail = "it was to be flipped: it is closed, and the other side is not opened"
    return check
