"""Attributes the observed outcomes of decisions to what the decisions rest on.

The outcome is that of the decision, by recorded bars, whether or not its order was sent.
"""

import math
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from venuemesh.advisor.v1 import decision_reports_pb2
from venuemesh.events.v1 import calibrations_pb2, decisions_pb2, event_pb2

from core.advisor.decider import assigned_models
from core.advisor.decision_case import Assessment, DecisionCase
from core.advisor.facts import DecisionFacts
from core.advisor.observed_entries import is_improbable
from core.advisor.settings import DecisionRules
from core.advisor.signal_handler import DECISIONS
from core.advisor.stages import rules as rules_stage
from core.advisor.synthesis.answer import InvalidAnswer, read
from kit.accounting import instruments
from kit.accounting.amounts import ZERO, add, plain, product, rounded
from kit.accounting.money import ATOM
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.database import Connection, Database
from kit.events import event_log
from kit.events.newest_events import NewestEvents
from kit.risk.outcome_profits import outcome_profit

DAY_NS = 24 * 3600 * NANOSECONDS_PER_SECOND
READ_EVENTS_MAX = 20_000
"""Older events are not counted."""
LOADED_OUTCOMES = 250
"""Whose decisions are loaded at once."""
SHARE_DIGITS = 9
"""Of the part of a rule. Scores are floating-point numbers, amounts are not."""
NOT_APPLIED, NOT_USED = "not applied", "not used"
KIND_PREFIX = "CALIBRATION_MAP_KIND_"
ONE = Decimal(1)

if TYPE_CHECKING:
    Kind: TypeAlias = decision_reports_pb2.AttributionKind.ValueType
else:
    # Enum values are plain integers at run time; their type exists for the checker only.
    Kind = int

STRATEGY: Kind = decision_reports_pb2.ATTRIBUTION_KIND_STRATEGY
REGIME: Kind = decision_reports_pb2.ATTRIBUTION_KIND_REGIME
STRATEGY_RULE: Kind = decision_reports_pb2.ATTRIBUTION_KIND_STRATEGY_RULE
ADVISOR_RULE: Kind = decision_reports_pb2.ATTRIBUTION_KIND_ADVISOR_RULE
CALIBRATION: Kind = decision_reports_pb2.ATTRIBUTION_KIND_CALIBRATION
MODEL: Kind = decision_reports_pb2.ATTRIBUTION_KIND_MODEL


class Part(NamedTuple):
    """A part of a decision."""

    kind: Kind
    name: str = ""
    share: Decimal = ONE
    """Of the profit."""


class ResultKey(NamedTuple):
    """What the results of a sum have in common."""

    strategy: str
    kind: Kind
    name: str
    asset: str


@dataclass(slots=True)
class ResultSum:
    """A sum of results."""

    won: int = 0
    lost: int = 0
    unknown: int = 0
    profit: Decimal | None = None

    def add(
        self, outcome: decisions_pb2.OutcomeObserved, profit: Decimal | None, share: Decimal
    ) -> None:
        if not outcome.HasField("is_won"):
            self.unknown += 1
            return
        self.won += outcome.is_won
        self.lost += not outcome.is_won
        if profit is not None:
            self.profit = add(self.profit or ZERO, product(profit, share))

    def message(self, key: ResultKey) -> decision_reports_pb2.AttributedResult:
        return decision_reports_pb2.AttributedResult(
            **key._asdict(),
            won=self.won,
            lost=self.lost,
            unknown=self.unknown,
            profit="" if self.profit is None else plain(rounded(self.profit, ATOM)),
        )


class DecidedOutcome(NamedTuple):
    """The outcome of a decision, with the decision and its signal."""

    outcome: decisions_pb2.OutcomeObserved
    decision: event_pb2.Event
    signal: event_pb2.Event


async def attribution(
    database: Database,
    request: decision_reports_pb2.GetAttributionRequest,
    rules: DecisionRules,
    now_ns: int,
) -> decision_reports_pb2.GetAttributionResponse:
    """The answer to a request. Raises StoreUnavailable."""
    newest = NewestEvents(request.since_time_ns or now_ns - DAY_NS, READ_EVENTS_MAX)
    sums: dict[ResultKey, ResultSum] = {}
    async with database.reading() as connection:
        outcomes = [
            event
            async for event in newest.of(connection, DECISIONS)
            if event.HasField("outcome_observed") and request.strategy in ("", event.instance)
        ]
        async for found in decided_outcomes(connection, outcomes):
            _count(sums, found, rules)
    return decision_reports_pb2.GetAttributionResponse(
        results=[sums[key].message(key) for key in sorted(sums)],
        counted_since_time_ns=newest.since_ns,
    )


async def decided_outcomes(
    connection: Connection, outcomes: list[event_pb2.Event]
) -> AsyncIterator[DecidedOutcome]:
    """The outcomes whose decision and signal are stored."""
    for start in range(0, len(outcomes), LOADED_OUTCOMES):
        part = outcomes[start : start + LOADED_OUTCOMES]
        decisions = await event_log.stored(connection, [one.cause_ids[0] for one in part])
        causes = [cause for one in decisions.values() for cause in one.cause_ids]
        signals = await event_log.stored(connection, causes)
        for event in part:
            decision = decisions.get(event.cause_ids[0])
            signal = None if decision is None else signals.get(decision.cause_ids[0])
            if decision is not None and signal is not None:
                yield DecidedOutcome(event.outcome_observed, decision, signal)


def _count(sums: dict[ResultKey, ResultSum], found: DecidedOutcome, rules: DecisionRules) -> None:
    made = found.decision.decision_made
    if is_improbable(made):
        # Nothing was earned or lost.
        return
    terms = DecisionFacts(made.facts).instrument()
    assets = instruments.contract_assets(terms)
    asset = "" if assets is None else assets.settle or assets.quote
    profit = outcome_profit(terms, made.intent, found.outcome)
    for part in parts_of(found, rules):
        key = ResultKey(found.decision.instance, part.kind, part.name, asset)
        sums.setdefault(key, ResultSum()).add(found.outcome, profit, part.share)


def parts_of(found: DecidedOutcome, rules: DecisionRules) -> Iterator[Part]:
    """What a decision rests on."""
    signal, made = found.signal.signal_raised, found.decision.decision_made
    facts = DecisionFacts(made.facts)
    case = DecisionCase.of(signal, facts, rules).with_models(assigned_models(made))
    yield Part(STRATEGY)
    yield Part(REGIME, signal.regime)
    # Exits and vetoes weigh nothing.
    scores = [one for one in signal.rules if one.HasField("score")]
    said = [(one.rule, one.weight * one.score * case.direction) for one in scores]
    yield from _shares(STRATEGY_RULE, said)
    if found.decision.config_hash == rules.config_hash(facts.rules_version):
        findings = rules_stage.run(case, Assessment()).assessment.rules
        said = [(one.rule, one.weight * one.score) for one in findings if one.score is not None]
        yield from _shares(ADVISOR_RULE, said)
    yield Part(CALIBRATION, _calibration(made))
    if made.HasField("synthesis"):
        yield Part(MODEL, _model(made.synthesis))


def _shares(kind: Kind, said: Iterable[tuple[str, float]]) -> Iterator[Part]:
    """The parts of rules with a weighted score, which is positive for the side of the signal."""
    scores = [(name, score) for name, score in said if 0 < abs(score) < math.inf]
    total = sum(abs(score) for _, score in scores)
    for name, score in scores:
        yield Part(kind, name, Decimal(f"{score / total:.{SHARE_DIGITS}f}"))


def _calibration(made: decisions_pb2.DecisionMade) -> str:
    applied = made.calibration.map
    if not applied.is_applied:
        return NOT_APPLIED
    name = calibrations_pb2.CalibrationMapKind.Name(applied.kind).removeprefix(KIND_PREFIX)
    return name.lower().replace("_", " ")


def _model(made: decisions_pb2.Synthesis) -> str:
    if made.outcome == decisions_pb2.SYNTHESIS_OUTCOME_ACCEPTED:
        try:
            return f"{made.model}: {read(made.answer.encode()).bias}"
        except InvalidAnswer:
            # The record is not one of a decision.
            pass
    return f"{made.model}: {NOT_USED}" if made.model else NOT_USED
