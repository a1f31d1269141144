"""The cards, by subject. Importing this package fills kit.conformance.card.CARDS."""

from kit.conformance.cards import (
    books,
    faults,
    history,
    listing,
    quotes,
    status,
    trades,
    values,
    verification,
)

__all__ = [
    "books",
    "faults",
    "history",
    "listing",
    "quotes",
    "status",
    "trades",
    "values",
    "verification",
]
