"""Expressions over bars: trees of names, parameters and operands."""

from dataclasses import dataclass, replace
from typing import TypeAlias

Operand: TypeAlias = "Expression | float | int"


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """A value that changes with each bar: a number, or for a condition true or false.

    Two expressions of the same parts are the same expression for an ``Evaluator``. ``==`` compares
    identity only, as a comparison of values would be mistaken for it.
    """

    name: str
    """The indicator or the operator."""
    parameters: tuple[float, ...] = ()
    operands: tuple["Expression", ...] = ()
    source: str = ""
    """Of market data: "venue/symbol". Empty: the instrument of the strategy."""

    def __str__(self) -> str:
        if self.name == CONSTANT:
            return f"{self.parameters[0]:g}"
        if self.source:
            return f"{self.source}:{replace(self, source='')}"
        inner = [*map(str, self.operands), *(f"{number:g}" for number in self.parameters)]
        if self.name in SYMBOLS and len(inner) == 2:
            return f"({inner[0]} {SYMBOLS[self.name]} {inner[1]})"
        return f"{self.name}({', '.join(inner)})" if inner else self.name

    def __bool__(self) -> bool:
        raise TypeError(f"{self} has no value before it is evaluated: write & | ~, not and or not")

    def __lt__(self, other: Operand) -> "Expression":
        return Expression("less", operands=(self, of(other)))

    def __gt__(self, other: Operand) -> "Expression":
        return Expression("less", operands=(of(other), self))

    def __le__(self, other: Operand) -> "Expression":
        return ~(self > other)

    def __ge__(self, other: Operand) -> "Expression":
        return ~(self < other)

    def __and__(self, other: "Expression") -> "Expression":
        return Expression("both", operands=(self, other))

    def __or__(self, other: "Expression") -> "Expression":
        return Expression("either", operands=(self, other))

    def __invert__(self) -> "Expression":
        return Expression("opposite", operands=(self,))

    def __neg__(self) -> "Expression":
        return 0.0 - self

    def __add__(self, other: Operand) -> "Expression":
        return Expression("sum", operands=(self, of(other)))

    def __radd__(self, other: float) -> "Expression":
        return Expression("sum", operands=(of(other), self))

    def __sub__(self, other: Operand) -> "Expression":
        return Expression("difference", operands=(self, of(other)))

    def __rsub__(self, other: float) -> "Expression":
        return Expression("difference", operands=(of(other), self))

    def __mul__(self, other: Operand) -> "Expression":
        return Expression("product", operands=(self, of(other)))

    def __rmul__(self, other: float) -> "Expression":
        return Expression("product", operands=(of(other), self))

    def __truediv__(self, other: Operand) -> "Expression":
        return Expression("quotient", operands=(self, of(other)))

    def __rtruediv__(self, other: float) -> "Expression":
        return Expression("quotient", operands=(of(other), self))


CONSTANT = "constant"
SYMBOLS = {
    "less": "<",
    "both": "&",
    "either": "|",
    "sum": "+",
    "difference": "-",
    "product": "*",
    "quotient": "/",
}


def of(value: Operand) -> Expression:
    """The expression itself, or a number as one."""
    return value if isinstance(value, Expression) else Expression(CONSTANT, (float(value),))
