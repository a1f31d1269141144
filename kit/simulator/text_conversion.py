"""Numbers and times as clients write them, and numbers as most exchanges write them.

A text that cannot be read is None; each dialect has its own error for it.
"""

import re
from decimal import Decimal

from kit.marketdata.frames.reference_reader import time_ns

DIGITS_MAX = 18
_AMOUNT = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")


def whole(text: str, digits_max: int = DIGITS_MAX) -> int | None:
    """``20``: digits alone, and not too many."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits_max else None


def amount(text: str) -> Decimal | None:
    """``0.001``: without sign and exponent."""
    return Decimal(text) if _AMOUNT.fullmatch(text) else None


def instant_ns(text: str) -> int | None:
    """``2026-01-02T03:04:05.678901Z``, with any zone."""
    try:
        return time_ns(text)
    except ValueError:
        return None


def plain(number: Decimal) -> str:
    """Without exponent and without trailing zeros."""
    return short(f"{number:f}")


def short(text: str) -> str:
    """The same number without trailing zeros."""
    return text.rstrip("0").rstrip(".") if "." in text else text
