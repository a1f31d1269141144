"""Computes the values of expressions bar by bar."""

import math
import re
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, TypeAlias

from kit.features.calculators import (
    CALCULATORS,
    PAIR_CALCULATORS,
    SavedCalculator,
    SavedState,
    Value,
)
from kit.features.expression import CONSTANT, Expression
from kit.features.market_fields import COMPUTED_FIELDS, KIND_OF, InputKind
from kit.features.operators import OPERATORS
from kit.features.regime_filter import REGIME_CALCULATORS

DEPTH_MAX = 100
"""Most expressions inside each other."""
NUMBER_MAX = 1e100
"""A number further from 0 is not known. So no sum or product of numbers is infinite or NaN."""
DAY_S, FIRST_DAY = 86_400, 3
"""The Unix epoch was a Thursday."""
NANOSECONDS = 1_000_000_000


class FeatureBar(NamedTuple):
    """A final bar. Prices in quote units, volumes in base units or contracts."""

    open: float
    high: float
    low: float
    close: float
    volume: float
    buy_volume: float
    trade_count: int
    quote_volume: float = 0.0
    open_time_ns: int = 0
    close_time_ns: int = 0
    covered_ns: int = 0
    """The part of the bar without a gap."""
    revision: int = 0
    """How often late trades had amended it when it was first seen."""
    is_candle: bool = False
    """Whether it is a candle of the venue, not made of trades."""

    @property
    def trade_flow(self) -> float | None:
        """Volume in which the taker bought minus that in which it sold, as a share of all."""
        return 2 * self.buy_volume / self.volume - 1 if self.volume else None

    @property
    def coverage(self) -> float | None:
        """The part of its interval without a gap, 0 to 1."""
        length_ns = self.close_time_ns - self.open_time_ns
        return self.covered_ns / length_ns if length_ns > 0 else None

    @property
    def second_of_day(self) -> float:
        """Of its end, UTC."""
        return self.close_time_ns // NANOSECONDS % DAY_S

    @property
    def day_of_week(self) -> float:
        """Of its end, UTC: 0 is Monday."""
        return (self.close_time_ns // NANOSECONDS // DAY_S + FIRST_DAY) % 7

    @property
    def day(self) -> float:
        """Days from the Unix epoch to its end."""
        return self.close_time_ns // NANOSECONDS // DAY_S


Values: TypeAlias = Sequence[Value]
Compute: TypeAlias = Callable[[FeatureBar, Values], Values]


class Evaluator:
    """The state of some expressions. Raises ValueError for one that names nothing known.

    The steps are written as one Python function, in which each distinct expression is a line: that
    is several times faster than calls of one function per expression.
    """

    def __init__(self, expressions: Collection[Expression]) -> None:
        self.inputs: list[Expression] = []
        """The market data that it needs besides the bars of the strategy's instrument."""
        self._places: dict[tuple[object, ...], int] = {}
        self._lines: list[str] = []
        self._calculators: list[SavedCalculator] = []
        self._names: dict[str, object] = {"log": math.log, "sqrt": math.sqrt}
        self.places = {expression: self._add(expression, 0) for expression in expressions}
        """Of each expression in the results of ``update``."""
        self._no_inputs: Values = (None,) * len(self.inputs)
        self.results: Values = (None,) * len(self._places)
        """After the newest bar."""
        self._compute = self._compiled()

    def update(self, bar: FeatureBar, inputs: Values = ()) -> Values:
        """The results after one more bar. ``inputs``: those of ``self.inputs`` that had arrived at
        its end, in their order; None for one that had not."""
        self.results = self._compute(bar, inputs or self._no_inputs)
        return self.results

    def value(self, expression: Expression) -> Value:
        return self.results[self.places[expression]]

    def place_of_part(self, part: Expression) -> int:
        """The place in the results of an operand of an expression, or of an operand's one. Raises
        KeyError."""
        operands = map(self.place_of_part, part.operands)
        return self._places[(part.name, part.parameters, part.source, *operands)]

    def save(self) -> SavedState:
        """Everything that the next values depend on."""
        return [list(self.results), [calculator.save() for calculator in self._calculators]]

    def restore(self, saved: SavedState) -> None:
        """Go on from what an evaluator of the same expressions has saved. Raises ValueError for
        what one of others has saved."""
        results, calculators = saved
        if len(results) != len(self.results) or len(calculators) != len(self._calculators):
            raise ValueError(f"{len(results)} values were saved, {len(self.results)} are needed")
        self.results = tuple(results)
        for calculator, state in zip(self._calculators, calculators, strict=True):
            calculator.restore(state)

    def _add(self, expression: Expression, depth: int) -> int:
        """Add the step that computes an expression after those of its operands. Returns its
        place."""
        if depth > DEPTH_MAX:
            raise ValueError(f"more than {DEPTH_MAX} expressions are inside each other")
        operands = [self._add(operand, depth + 1) for operand in expression.operands]
        key = (expression.name, expression.parameters, expression.source, *operands)
        place = self._places.get(key)
        if place is None:
            lines = self._step(expression, [f"v{operand}" for operand in operands])
            place = self._places[key] = len(self._places)
            self._lines += [line.format(result=f"v{place}") for line in lines]
        return place

    def _step(self, expression: Expression, operands: list[str]) -> list[str]:
        name = expression.name
        if name == CONSTANT:
            return [f"{{result}} = {expression.parameters[0]!r}"]
        if name in COMPUTED_FIELDS or name in KIND_OF:
            return self._field(expression)
        if name in OPERATORS:
            return _operation(name, operands)
        return self._indicator(expression, operands)

    def _field(self, expression: Expression) -> list[str]:
        name = expression.name
        if not expression.source and KIND_OF.get(name, InputKind.BARS) is InputKind.BARS:
            return [f"{{result}} = bar.{name}"]
        self.inputs.append(expression)
        return [f"{{result}} = inputs[{len(self.inputs) - 1}]", _BOUND_KNOWN]

    def _indicator(self, expression: Expression, operands: list[str]) -> list[str]:
        """A bar without a value changes nothing, and has none."""
        name, calculator = expression.name, f"c{len(self._calculators)}"
        period = int(expression.parameters[0]) if expression.parameters else 0
        if name in CALCULATORS:
            one = CALCULATORS[name](period)
            self._names[calculator] = one.next
            self._calculators.append(one)
        elif name in PAIR_CALCULATORS:
            pair = PAIR_CALCULATORS[name](period)
            self._names[calculator] = pair.next
            self._calculators.append(pair)
        elif name in REGIME_CALCULATORS:
            regime = REGIME_CALCULATORS[name](expression.parameters)
            self._names[calculator] = regime.next
            self._calculators.append(regime)
        else:
            known = ", ".join(sorted([*CALCULATORS, *PAIR_CALCULATORS, *REGIME_CALCULATORS]))
            raise ValueError(f"{name!r} is no indicator: known are {known}")
        call = f"{calculator}({', '.join(operands)})"
        return [f"{{result}} = None if {_unknown(operands)} else {call}", _BOUND_KNOWN]

    def _compiled(self) -> Compute:
        results = "".join(f"v{place}, " for place in range(len(self._places)))
        lines = ["def compute(bar, inputs):", *self._lines, f"return ({results})"]
        exec("\n ".join(lines), self._names)
        compute: Compute = self._names["compute"]  # type: ignore[assignment]
        return compute


_WITHIN = f"-{NUMBER_MAX!r} <= {{result}} <= {NUMBER_MAX!r}"
_BOUND_KNOWN = f"if {{result}} is not None and not {_WITHIN}: {{result}} = None"


def _unknown(operands: list[str]) -> str:
    return " or ".join(f"{operand} is None" for operand in operands)


def _operation(name: str, operands: list[str]) -> list[str]:
    operator = OPERATORS[name]
    of = dict(zip("abc", operands, strict=False))
    source = re.sub(r"\b[abc]\b", lambda found: of[found[0]], operator.source)
    unless = "" if operator.sees_unknown else f"None if {_unknown(operands)} else "
    bound = [] if operator.is_bounded else [_BOUND_KNOWN]
    return [f"{{result}} = {unless}{source}", *bound]
