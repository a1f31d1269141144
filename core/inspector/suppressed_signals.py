"""Adds up the signals to enter that led to no order, and what they would have brought.

The advisor observes the outcome of each decision to enter, whether or not its order was sent. Here
those are counted that a check has refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from venuemesh.events.v1 import checks_pb2, decisions_pb2, event_pb2, risk_pb2, signals_pb2
from venuemesh.inspector.v1 import capital_reports_pb2

from core.inspector.first_events import SOURCE
from core.inspector.submissions import RISK
from core.inspector.verdict_inputs import FindInstrument
from kit.accounting import instruments
from kit.accounting.amounts import ZERO, add, plain
from kit.base.database import Connection, Database
from kit.events import event_log
from kit.events.newest_events import NewestEvents
from kit.risk.outcome_profits import outcome_profit

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

    counted_since_ns: int = 0
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
        profit = None
        if terms is not None and outcome is not None:
            profit = outcome_profit(terms, intent, outcome)
        sums = found.setdefault(key, Suppression())
        sums.add(profit, is_won=outcome is not None and outcome.is_won)
    return [found[key].message(key) for key in sorted(found)], read.counted_since_ns


async def _read(connection: Connection, since_ns: int) -> _ReadEvents:
    newest = NewestEvents(since_ns, READ_EVENTS_MAX)
    decisions = [
        event
        async for event in newest.of(connection, DECISIONS)
        if event.HasField("decision_made") or event.HasField("outcome_observed")
    ]
    read = _ReadEvents()
    async for event in newest.of(connection, RISK):
        given = event.verdict_given
        if given.verdict not in (risk_pb2.VERDICT_UNSPECIFIED, risk_pb2.VERDICT_ALLOW):
            read.refusals |= dict.fromkeys(event.cause_ids, given)
    read.counted_since_ns = newest.since_ns
    for event in decisions:
        if event.HasField("outcome_observed"):
            read.outcomes[event.cause_ids[0]] = event.outcome_observed
        elif event.time_ns >= read.counted_since_ns:
            read.decisions[event.event_id] = event
    return read


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
