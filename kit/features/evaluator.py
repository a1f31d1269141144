"""Computes the values of expressions bar by bar."""

import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from kit.features.calculators import CALCULATORS, Calculator, SavedState, Value
from kit.features.expression import CONSTANT, Expression


@dataclass(frozen=True, slots=True)
class FeatureBar:
    """A final bar. Prices in quote units, volumes in base units or contracts."""

    open: float
    high: float
    low: float
    close: float
    volume: float
    buy_volume: float
    trade_count: int


Key: TypeAlias = tuple[object, ...]
Compute: TypeAlias = Callable[[FeatureBar], Value]

_OPERATORS: Mapping[str, Callable[[float, float], Value]] = {
    "less": operator.lt,
    "sum": operator.add,
    "difference": operator.sub,
    "product": operator.mul,
    "quotient": lambda first, second: first / second if second else None,
}
_FIELDS: Mapping[str, Callable[[FeatureBar], Value]] = {
    "open": lambda bar: bar.open,
    "high": lambda bar: bar.high,
    "low": lambda bar: bar.low,
    "close": lambda bar: bar.close,
    "volume": lambda bar: bar.volume,
    "trade_count": lambda bar: float(bar.trade_count),
    "trade_flow": lambda bar: 2 * bar.buy_volume / bar.volume - 1 if bar.volume else None,
}


class Evaluator:
    """The state of some expressions. Raises ValueError for one that names nothing known."""

    def __init__(self, expressions: Collection[Expression]) -> None:
        self._steps: dict[Key, Compute] = {}
        self._values: dict[Key, Value] = {}
        self._calculators: list[Calculator | _TrueRange] = []
        self._keys = {expression: self._add(expression) for expression in expressions}

    def update(self, bar: FeatureBar) -> dict[Expression, Value]:
        """The values after one more bar."""
        for key, compute in self._steps.items():
            self._values[key] = compute(bar)
        return self.values()

    def values(self) -> dict[Expression, Value]:
        """The values after the newest bar."""
        return {expression: self._values.get(key) for expression, key in self._keys.items()}

    def save(self) -> SavedState:
        """Everything that the next values depend on."""
        values = [self._values.get(key) for key in self._steps]
        return [values, [calculator.save() for calculator in self._calculators]]

    def restore(self, saved: SavedState) -> None:
        """Go on from what an evaluator of the same expressions has saved. Raises ValueError for
        what one of others has saved."""
        values, calculators = saved
        self._values.update(zip(self._steps, values, strict=True))
        for calculator, state in zip(self._calculators, calculators, strict=True):
            calculator.restore(state)

    def _add(self, expression: Expression) -> Key:
        """Add the step that computes an expression after those of its operands."""
        operands = [self._add(operand) for operand in expression.operands]
        key = (expression.name, expression.parameters, *operands)
        if key not in self._steps:
            self._steps[key] = self._step(expression, operands)
        return key

    def _step(self, expression: Expression, operands: list[Key]) -> Compute:
        name, values = expression.name, self._values
        if name == CONSTANT:
            number = expression.parameters[0]
            return lambda _: number
        if name in _FIELDS:
            return _FIELDS[name]
        if name in _OPERATORS:
            compute, (first, second) = _OPERATORS[name], operands
            return lambda _: _with_both(compute, values[first], values[second])
        if name in ("both", "either"):
            decides, (first, second) = name == "either", operands
            return lambda _: _decided(decides, values[first], values[second])
        if name == "opposite":
            (first,) = operands
            return lambda _: None if values[first] is None else not values[first]
        if name not in CALCULATORS:
            raise ValueError(
                f"{name!r} is no indicator: known are {', '.join(sorted(CALCULATORS))}"
            )
        calculator = CALCULATORS[name](int(expression.parameters[0]))
        if name == "atr":
            true_range = _TrueRange(calculator)
            self._calculators.append(true_range)
            return true_range.next
        self._calculators.append(calculator)
        (first,) = operands
        return lambda _: _continued(calculator, values[first])


class _TrueRange:
    def __init__(self, average: Calculator) -> None:
        self._average = average
        self._close: float | None = None

    def next(self, bar: FeatureBar) -> Value:
        before, self._close = self._close, bar.close
        if before is None:
            return None
        return self._average.next(max(bar.high, before) - min(bar.low, before))

    def save(self) -> SavedState:
        return [self._average.save(), self._close]

    def restore(self, saved: SavedState) -> None:
        average, self._close = saved
        self._average.restore(average)


def _with_both(compute: Callable[[float, float], Value], first: Value, second: Value) -> Value:
    return None if first is None or second is None else compute(first, second)


def _decided(decides: bool, first: Value, second: Value) -> Value:
    """Of and, or: one known value may decide; otherwise both must be known."""
    if first is decides or second is decides:
        return decides
    return None if first is None or second is None else not decides


def _continued(calculator: Calculator, value: Value) -> Value:
    """A bar without a value changes nothing, and has none."""
    return None if value is None else calculator.next(value)
