"""Scores of a strategy's rules and states of its exits after a bar."""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from venuemesh.events.v1 import signals_pb2

from kit.features.calculators import Value
from kit.features.evaluator import NUMBER_MAX, Evaluator, FeatureBar, Values
from kit.features.expression import Expression
from kit.features.price_lines import price_lines
from kit.strategy.strategy import Condition, Exit, Rule, Strategy, explained

PRICE_LINES_MAX = 12

ConditionFunction = Callable[[FeatureBar], Value]


class _ScoredRule(NamedTuple):
    """A rule as numbers."""

    place: int
    weighted_score: float
    """Its score times its weight."""
    weight: float


class Scores:
    """The values of all conditions after a bar. Its methods read numbers only; what is made for a
    signal or an explanation is made then."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self.evaluator = Evaluator(strategy.expressions())
        functions = [one for one in strategy.conditions if not isinstance(one, Expression)]
        self._functions: list[ConditionFunction] = list(dict.fromkeys(functions))
        self._count = len(self.evaluator.results)
        self._values: Values = (*self.evaluator.results, *(None for _ in self._functions))
        rules = [(self._place(rule.condition), rule) for rule in strategy.rules]
        self._scored = [
            _ScoredRule(place, rule.weight * rule.score, rule.weight)
            for place, rule in rules
            if not rule.veto
        ]
        self._vetoes = [(place, rule.name) for place, rule in rules if rule.veto]
        self._exits = [(self._place(one.condition), one) for one in strategy.exits]
        expressions = [one for one in strategy.conditions if isinstance(one, Expression)]
        lines = {self.evaluator.place_of_part(one): one for one in price_lines(expressions)}
        self._lines = dict(list(lines.items())[:PRICE_LINES_MAX])
        self._quorum_weight = strategy.quorum * sum(rule.weight for rule in self._scored)
        # The text of an expression takes longer than its value.
        self._parts = {one: self._named_parts(one) for one in strategy.conditions}

    def update(self, bar: FeatureBar, inputs: Values = ()) -> None:
        """See a bar. Raises what a function raises, and TypeError for what one may not return."""
        self._values = self.evaluator.update(bar, inputs)
        if self._functions:
            found = [_checked(function, function(bar)) for function in self._functions]
            self._values = (*self._values, *found)

    def score(self) -> float | None:
        """The weighted mean of the rules that do not abstain; None where too many do."""
        values, total, weight = self._values, 0.0, 0.0
        for place, weighted_score, rule_weight in self._scored:
            value = values[place]
            if value is not None:
                weight += rule_weight
                # Comparisons are faster than min and max.
                if not -1.0 <= value <= 1.0:
                    value = 1.0 if value > 1.0 else -1.0
                total += weighted_score * value
        return total / weight if weight and weight >= self._quorum_weight else None

    def veto(self) -> str:
        """Why no position is opened, whatever the score is; empty if nothing forbids it."""
        for place, name in self._vetoes:
            value = self._values[place]
            if value is None:
                return f"the veto {name!r} is not known"
            if value:
                return f"the rule {name!r} forbids it"
        return ""

    def wanted_exits(self, closed: str) -> list[Exit]:
        """The exits of this side whose condition is true."""
        values = self._values
        return [
            one for place, one in self._exits if one.closes in (closed, "both") and values[place]
        ]

    def value(self, expression: Expression) -> Value:
        return self._values[self.evaluator.places[expression]]

    @property
    def price_lines(self) -> list[Expression]:
        """What its conditions compare with the price, in the unit of the price."""
        return list(self._lines.values())

    def numbers(self) -> list[Value]:
        """The score, then of each rule its score, of a veto whether it forbids a signal, then of
        each exit whether it closes a position, then the price lines."""
        values = self._values
        rules = [self._number(rule) for rule in self.strategy.rules]
        exits = [values[place] for place, _ in self._exits]
        return [self.score(), *rules, *exits, *(values[place] for place in self._lines)]

    def rule_scores(self) -> list[signals_pb2.RuleScore]:
        """The score of each rule, with its reason."""
        return list(map(self._rule_score, self.strategy.rules))

    def exit_scores(self) -> list[signals_pb2.RuleScore]:
        """1 of each exit whose condition is true, and why."""
        return [self._exit_score(one, 1.0) for one in self.strategy.exits]

    def exit_scores_of(
        self, closed: str, score: float, followed: Collection[Exit]
    ) -> list[signals_pb2.RuleScore]:
        """What each exit of a side says, and why. ``score``: of those that a signal follows."""
        wanted = [one for one in self.strategy.exits if one.closes in (closed, "both")]
        return [self._exit_score(one, score if one in followed else 0.0) for one in wanted]

    def save(self) -> tuple[list[object], Sequence[Value]]:
        """What the evaluator keeps, and the newest values of functions."""
        return self.evaluator.save(), self._values[self._count :]

    def restore(self, evaluator: list[object], functions: Sequence[Value]) -> None:
        """Raises ValueError for what other conditions have saved."""
        self.evaluator.restore(evaluator)
        if len(functions) != len(self._functions):
            raise ValueError(f"{len(functions)} values of functions were saved")
        self._values = (*self.evaluator.results, *functions)

    def _place(self, condition: Condition) -> int:
        if isinstance(condition, Expression):
            return self.evaluator.places[condition]
        return self._count + self._functions.index(condition)

    def _rule_score(self, rule: Rule) -> signals_pb2.RuleScore:
        value = self._number(rule)
        said = signals_pb2.RuleScore(rule=rule.name, values=self._inputs(rule.condition))
        said.weight = 0.0 if rule.veto else rule.weight
        said.is_veto = rule.veto and bool(value)
        if value is not None:
            said.score = 0.0 if rule.veto else value
        return said

    def _number(self, rule: Rule) -> Value:
        """Its score; of a veto whether it forbids a signal."""
        value = self._values[self._place(rule.condition)]
        if value is None or rule.veto:
            return value and bool(value)
        return max(-1.0, min(1.0, float(value))) * rule.score

    def _exit_score(self, exit_rule: Exit, score: float) -> signals_pb2.RuleScore:
        value = self._values[self._place(exit_rule.condition)]
        said = signals_pb2.RuleScore(rule=exit_rule.name, values=self._inputs(exit_rule.condition))
        if value is not None:
            said.score = score if value else 0.0
        return said

    def _inputs(self, condition: Condition) -> list[signals_pb2.FeatureValue]:
        values = self._values
        return [_feature_value(name, values[place]) for name, place in self._parts[condition]]

    def _named_parts(self, condition: Condition) -> list[tuple[str, int]]:
        """What explains a condition: the text of each part, and its place in the values."""
        if isinstance(condition, Expression):
            return [(str(part), self._place(part)) for part in explained(condition)]
        return [(getattr(condition, "__name__", str(condition)), self._place(condition))]


def _checked(function: ConditionFunction, value: object) -> Value:
    """A number that is not finite is not known."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return float(value) if -NUMBER_MAX <= value <= NUMBER_MAX else None
    name = getattr(function, "__name__", str(function))
    allowed = "True, False, a number from -1 to 1, or None to abstain"
    raise TypeError(f"the condition {name!r} returned {value!r}; allowed: {allowed}")


def _feature_value(name: str, value: Value) -> signals_pb2.FeatureValue:
    if value is None:
        return signals_pb2.FeatureValue(expression=name)
    return signals_pb2.FeatureValue(expression=name, value=float(value))
