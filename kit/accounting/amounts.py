"""Exact arithmetic with decimal amounts.

Python's default context keeps 28 digits and rounds silently. ``EXACT`` keeps 400 digits, more than
any number of an exchange needs, and raises decimal.Inexact instead of rounding. Functions that
round say so.
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
    """Return the sum of all amounts; 0 if there are none."""
    found = ZERO
    for amount in amounts:
        found = EXACT.add(found, amount)
    return found


def is_multiple(amount: Decimal, step: Decimal) -> bool:
    """Whether an amount is a whole number of steps."""
    return _ROUNDING.remainder(amount, step) == ZERO


def floor_to(amount: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of a step that is not above an amount."""
    return _whole(amount, step, ROUND_FLOOR)


def ceil_to(amount: Decimal, step: Decimal) -> Decimal:
    """Return the smallest multiple of a step that is not below an amount."""
    return _whole(amount, step, ROUND_CEILING)


def nearest_to(amount: Decimal, step: Decimal) -> Decimal:
    """Return the nearest multiple of a step; of two, the even one."""
    return _whole(amount, step, ROUND_HALF_EVEN)


def steps_up(amount: Decimal, step: Decimal) -> Decimal:
    """Return the smallest whole number of steps that is not below an amount."""
    return _ROUNDING.divide(amount, step).to_integral_value(rounding=ROUND_CEILING)


def quotient(first: Decimal, second: Decimal) -> Decimal:
    """Return first / second, rounded to 400 digits."""
    return _ROUNDING.divide(first, second)


def rounded(amount: Decimal, step: Decimal) -> Decimal:
    """Return an amount with as many decimal places as ``step``, rounded half to even."""
    return _ROUNDING.quantize(amount, step)


def plain(amount: Decimal) -> str:
    """Return the amount as exact decimal text, without an exponent or trailing zeros."""
    text = f"{amount.copy_abs():f}" if amount else "0"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"-{text}" if amount < 0 else text


def _whole(amount: Decimal, step: Decimal, rounding: str) -> Decimal:
    count = _ROUNDING.divide(amount, step).to_integral_value(rounding=rounding)
    return EXACT.multiply(count, step)
