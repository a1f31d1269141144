"""Exact amounts from decimal text of other processes."""

import re
from decimal import Decimal

AMOUNT = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")
TEXT_LENGTH_MAX = 60


def amount_of(text: str) -> Decimal | None:
    """The amount of a plain decimal text; None for anything else: empty text, NaN, exponents, and
    more digits than an exchange has."""
    return Decimal(text) if AMOUNT.fullmatch(text) else None


def positive(text: str) -> Decimal | None:
    """The amount of a text, if it is one above 0."""
    amount = amount_of(text)
    return amount if amount is not None and amount > 0 else None


def shown(text: str) -> str:
    """A text of others, cut for a report."""
    return text if len(text) <= TEXT_LENGTH_MAX else text[:TEXT_LENGTH_MAX] + "…"
