"""The input of a decision, and the results of its stages."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import (
    calibrations_pb2,
    checks_pb2,
    decisions_pb2,
    scoring_models_pb2,
    signals_pb2,
)

from core.advisor import facts as fact_ids
from core.advisor.amounts import positive, shown
from core.advisor.facts import DecisionFacts
from core.advisor.order_terms import ONE, OrderTerms
from core.advisor.settings import DecisionRules

if TYPE_CHECKING:
    Action: TypeAlias = signals_pb2.PositionAction.ValueType
else:
    # Enum values are plain integers at run time; their type exists for the checker only.
    Action = int

OPEN: Action = signals_pb2.POSITION_ACTION_OPEN
CLOSE: Action = signals_pb2.POSITION_ACTION_CLOSE
REDUCE: Action = signals_pb2.POSITION_ACTION_REDUCE
FLIP: Action = signals_pb2.POSITION_ACTION_FLIP
SIDES = (types_pb2.SIDE_BUY, types_pb2.SIDE_SELL)


@dataclass(frozen=True)
class DecisionCase:
    """A signal and the facts about it. Unknown and invalid values are None."""

    signal: signals_pb2.SignalRaised
    facts: DecisionFacts
    rules: DecisionRules
    action: Action
    """The action to take: the action of the signal, or less."""
    blocked_by: Sequence[str] = ()
    """The checks that reduce the action."""
    synthesis: decisions_pb2.Synthesis | None = None
    """What a language model has said. None: none is configured, or it is not needed."""
    calibration_map: calibrations_pb2.CalibrationMap | None = None
    """The map of stage 5. None: it is not known."""
    models: Sequence[scoring_models_pb2.AssignedScoringModel] = ()
    """The scoring models of the strategy: at most one is in force."""

    @classmethod
    def of(
        cls,
        signal: signals_pb2.SignalRaised,
        facts: DecisionFacts,
        rules: DecisionRules,
        synthesis: decisions_pb2.Synthesis | None = None,
        calibration_map: calibrations_pb2.CalibrationMap | None = None,
    ) -> "DecisionCase":
        return cls(
            signal,
            facts,
            rules,
            signal.action,
            synthesis=synthesis,
            calibration_map=calibration_map,
        )

    def closing(self, blocked_by: Sequence[str]) -> "DecisionCase":
        """The same case with the action CLOSE."""
        return replace(self, action=CLOSE, blocked_by=tuple(blocked_by))

    def with_synthesis(self, synthesis: decisions_pb2.Synthesis | None) -> "DecisionCase":
        return replace(self, synthesis=synthesis)

    def with_models(
        self, models: Sequence[scoring_models_pb2.AssignedScoringModel]
    ) -> "DecisionCase":
        return replace(self, models=tuple(models))

    def with_facts(self, facts: DecisionFacts) -> "DecisionCase":
        return replace(self, facts=facts)

    @property
    def is_reduction(self) -> bool:
        """Whether the action only reduces a position, so that no check blocks it."""
        return self.action in (CLOSE, REDUCE)

    @property
    def direction(self) -> int:
        """1 for a buy, -1 for a sell."""
        return -1 if self.signal.side == types_pb2.SIDE_SELL else 1

    @cached_property
    def now_ns(self) -> int | None:
        return self.facts.whole(fact_ids.CLOCK_TIME)

    @cached_property
    def bid(self) -> Decimal | None:
        return positive(self.facts.text(fact_ids.BID_PRICE))

    @cached_property
    def ask(self) -> Decimal | None:
        return positive(self.facts.text(fact_ids.ASK_PRICE))

    @property
    def reference(self) -> Decimal | None:
        """The best price of the other side: the ask for a buy, the bid for a sale."""
        return self.ask if self.direction > 0 else self.bid

    @cached_property
    def instrument(self) -> types_pb2.Instrument:
        return self.facts.instrument()

    @property
    def quote_age_ns(self) -> int | None:
        """Time since the older of the two best prices was known to be true."""
        bid_ns, ask_ns = self.age_ns(fact_ids.BID_PRICE), self.age_ns(fact_ids.ASK_PRICE)
        return None if bid_ns is None or ask_ns is None else max(bid_ns, ask_ns)

    def age_ns(self, fact_id: str) -> int | None:
        """Time since a fact was true."""
        true_ns = self.facts.time_ns(fact_id)
        return None if self.now_ns is None or true_ns is None else self.now_ns - true_ns

    def check(
        self, name: str, is_within: bool | None, observed: object, limit: object, unit: str = ""
    ) -> checks_pb2.Check:
        """A check of a value. ``is_within``: None if the value is unknown, which blocks too."""
        result = checks_pb2.CHECK_RESULT_PASSED
        if not is_within:
            result = checks_pb2.CHECK_RESULT_BLOCKED
            if self.is_reduction:
                result = checks_pb2.CHECK_RESULT_NOTED
        return checks_pb2.Check(
            name=name,
            observed="" if observed is None else text_of(observed),
            limit=text_of(limit),
            unit=unit,
            result=result,
        )


def text_of(value: object) -> str:
    """A value as text; floats with six digits."""
    return f"{value:.6g}" if isinstance(value, float) else shown(str(value))


def note(name: str, detail: str) -> checks_pb2.Check:
    """A check with information for people, which blocks nothing."""
    return checks_pb2.Check(name=name, result=checks_pb2.CHECK_RESULT_NOTED, detail=detail)


class RuleFinding(NamedTuple):
    """The result of one of the advisor's own rules."""

    rule: str
    weight: float
    score: float | None
    """From -1, against the signal, to 1, for it. None: it abstains."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """The results of the stages."""

    quality: float = 0.0
    rules: tuple[RuleFinding, ...] = ()
    rules_score: float = 0.0
    model_scores: tuple[scoring_models_pb2.ScoringModelScore, ...] = ()
    conviction: float = 0.0
    """From stage 5 on, the probability of a win."""
    calibration: calibrations_pb2.CalibrationApplied | None = None
    size_fraction: Decimal = ONE
    """Of the size by the rules, from 0 to 1."""
    advice: str = ""
    """What became of the answer of a language model. Empty: none was asked."""
    terms: OrderTerms = field(default_factory=lambda: OrderTerms())
    intent: decisions_pb2.ExecutionIntent | None = None


class StageOutput(NamedTuple):
    """The result of one stage."""

    assessment: Assessment
    checks: Sequence[checks_pb2.Check] = ()
    skipped_reason: str = ""
