"""Adds up the signals to enter that led to no order, and what they would have brought.

The advisor observes the outcome of each decision to enter, whether or not its order was sent. Here
those are counted that a check has refused.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import checks_pb2, decisions_pb2, event_pb2, risk_pb2, signals_pb2
from venuemesh.inspector.v1 import capital_reports_pb2

from core.inspector import verdict_reports
from core.inspector.first_events import SOURCE
from core.inspector.submissions import RISK
from core.inspector.verdict_inputs import FindInstrument
from kit.accounting import instruments
from kit.accounting.amounts import ZERO, add, plain
from kit.base.database import Connection, Database
from kit.events import event_log
from kit.events.streams import EventStream
from kit.risk.order_checks import amount

DECISIONS = event_pb2.EVENT_STREAM_DECISIONS
ISSUED = decisions_pb2.DECISION_OUTCOME_INTENT_ISSUED
ENTRIES = (signals_pb2.POSITION_ACTION_OPEN, signals_pb2.POSITION_ACTION_FLIP)
BLOCKED = checks_pb2.CHECK_RESULT_BLOCKED
READ_EVENTS_MAX = 20_000
"""Of each stream: older events are not counted."""


class SuppressionKey(NamedTuple):
    """What the signals of a sum have in common."""

    strategy: str
    refused_by: str
    reason: str
    asset: str


@dataclass(slots=True)
class Suppression:
    """A sum of signals."""

    won: int = 0
    lost: int = 0
    unknown: int = 0
    profit: Decimal = ZERO

    def add(self, profit: Decimal | None, *, is_won: bool) -> None:
        if profit is None:
            self.unknown += 1
            return
        self.won += is_won
        self.lost += not is_won
        self.profit = add(self.profit, profit)

    def message(self, key: SuppressionKey) -> capital_reports_pb2.SuppressedSignals:
        return capital_reports_pb2.SuppressedSignals(
            **key._asdict(),
            signals=self.won + self.lost + self.unknown,
            won=self.won,
            lost=self.lost,
            unknown=self.unknown,
            profit=plain(self.profit) if self.won + self.lost else "",
        )


@dataclass(slots=True)
class _ReadEvents:
    """What the newest events of both streams have."""

    counted_since_ns: int
    decisions: dict[bytes, event_pb2.Event] = field(default_factory=dict)
    outcomes: dict[bytes, decisions_pb2.OutcomeObserved] = field(default_factory=dict)
    """By decision."""
    refusals: dict[bytes, risk_pb2.VerdictGiven] = field(default_factory=dict)
    """By decision."""


async def summarize(
    database: Database, instrument: FindInstrument, since_ns: int
) -> tuple[list[capital_reports_pb2.SuppressedSignals], int]:
    """The sums of what was decided since a time, and from when on they count. Raises
    StoreUnavailable."""
    async with database.reading() as connection:
        read = await _read(connection, since_ns)
        signals = {event.cause_ids[0] for event in read.decisions.values() if event.cause_ids}
        raised = await event_log.stored(connection, sorted(signals))
    found: dict[SuppressionKey, Suppression] = {}
    for event in read.decisions.values():
        signal = raised.get(event.cause_ids[0]) if event.cause_ids else None
        is_entry = signal is not None and signal.signal_raised.action in ENTRIES
        refused = _refused(event, read.refusals.get(event.event_id)) if is_entry else None
        if refused is None:
            continue
        intent, outcome = event.decision_made.intent, read.outcomes.get(event.event_id)
        terms = await instrument(intent.venue, intent.symbol) if intent.venue else None
        assets = None if terms is None else instruments.contract_assets(terms)
        asset = "" if assets is None else assets.settle or assets.quote
        key = SuppressionKey(event.instance, *refused, asset)
        profit = None if terms is None or outcome is None else _profit(terms, intent, outcome)
        sums = found.setdefault(key, Suppression())
        sums.add(profit, is_won=outcome is not None and outcome.is_won)
    return [found[key].message(key) for key in sorted(found)], read.counted_since_ns


async def _read(connection: Connection, since_ns: int) -> _ReadEvents:
    read = _ReadEvents(since_ns)
    async for event in _newest(connection, DECISIONS, read):
        if event.HasField("decision_made"):
            read.decisions[event.event_id] = event
        elif event.HasField("outcome_observed"):
            read.outcomes[event.cause_ids[0]] = event.outcome_observed
    async for event in _newest(connection, RISK, read):
        given = event.verdict_given
        if given.verdict not in (risk_pb2.VERDICT_UNSPECIFIED, risk_pb2.VERDICT_ALLOW):
            read.refusals |= dict.fromkeys(event.cause_ids, given)
    read.decisions = {
        event_id: event
        for event_id, event in read.decisions.items()
        if event.time_ns >= read.counted_since_ns
    }
    return read


async def _newest(
    connection: Connection, stream: EventStream, read: _ReadEvents
) -> AsyncIterator[event_pb2.Event]:
    """The events of a stream since ``counted_since_ns``, newest first. If they are too many, it
    becomes the time of the oldest one."""
    before, count = verdict_reports.NEWEST, 0
    while page := await verdict_reports.read_before(connection, stream, before):
        for one in page:
            # An event is stored after its time.
            if one.stored_time_ns < read.counted_since_ns:
                return
            yield one.event
        before, count = page[-1].sequence, count + len(page)
        if count >= READ_EVENTS_MAX:
            read.counted_since_ns = max(read.counted_since_ns, page[-1].stored_time_ns)
            return


def _refused(
    decision: event_pb2.Event, refusal: risk_pb2.VerdictGiven | None
) -> tuple[str, str] | None:
    """Who has refused a decision and why; None: nobody."""
    if refusal is not None:
        return SOURCE, _reason(refusal.checks)
    made = decision.decision_made
    if made.outcome == ISSUED:
        return None
    return decision.source, _reason(check for stage in made.stages for check in stage.checks)


def _reason(checks: Iterable[checks_pb2.Check]) -> str:
    return next((one.name for one in checks if one.result == BLOCKED), "")


def _profit(
    terms: types_pb2.Instrument,
    intent: decisions_pb2.ExecutionIntent,
    outcome: decisions_pb2.OutcomeObserved,
) -> Decimal | None:
    size, entry = amount(intent.size), amount(intent.reference_price)
    end = amount(outcome.price) if outcome.HasField("is_won") else None
    if size is None or entry is None or end is None:
        return None
    is_buy = intent.side == types_pb2.SIDE_BUY
    return instruments.profit(terms, size if is_buy else -size, entry, end)
