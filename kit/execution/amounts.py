"""Arithmetic with amounts that rounds nothing away unsaid.

Python's own context keeps 28 digits and rounds silently. This one keeps so many that what an
exchange can write is never rounded, and raises decimal.Inexact where it would be.
"""

from collections.abc import Iterable
from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)

ZERO = Decimal(0)
AVERAGE_PLACES = Decimal("1e-16")
EXACT = Context(
    prec=400, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow, Inexact]
)
_ROUNDING = Context(prec=400, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero])


def add(first: Decimal, second: Decimal) -> Decimal:
    return EXACT.add(first, second)


def subtract(first: Decimal, second: Decimal) -> Decimal:
    return EXACT.subtract(first, second)


def product(first: Decimal, second: Decimal) -> Decimal:
    return EXACT.multiply(first, second)


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The sum of all, exact; 0 of none."""
    found = ZERO
    for amount in amounts:
        found = EXACT.add(found, amount)
    return found


def mean(value: Decimal, size: Decimal) -> Decimal:
    """Value by size with up to 16 decimal places, the last one rounded half to even."""
    return _ROUNDING.divide(value, size).quantize(AVERAGE_PLACES, context=_ROUNDING)


def is_multiple(amount: Decimal, step: Decimal) -> bool:
    """Whether an amount is a whole number of steps."""
    return _ROUNDING.remainder(amount, step) == ZERO


def floor_to(amount: Decimal, step: Decimal) -> Decimal:
    """The nearest whole number of steps that is not more."""
    return _whole(amount, step, ROUND_FLOOR)


def ceil_to(amount: Decimal, step: Decimal) -> Decimal:
    """The nearest whole number of steps that is not less."""
    return _whole(amount, step, ROUND_CEILING)


def nearest_to(amount: Decimal, step: Decimal) -> Decimal:
    """The nearest whole number of steps."""
    return _whole(amount, step, ROUND_HALF_EVEN)


def steps_up(amount: Decimal, step: Decimal) -> Decimal:
    """How many steps are not less than an amount."""
    return _ROUNDING.divide(amount, step).to_integral_value(rounding=ROUND_CEILING)


def quotient(first: Decimal, second: Decimal) -> Decimal:
    """One by the other, rounded far behind what an exchange can write."""
    return _ROUNDING.divide(first, second)


def _whole(amount: Decimal, step: Decimal, rounding: str) -> Decimal:
    count = _ROUNDING.divide(amount, step).to_integral_value(rounding=rounding)
    return EXACT.multiply(count, step)
