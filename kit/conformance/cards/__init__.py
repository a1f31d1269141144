"""The cards, by subject. Importing this package fills kit.conformance.card.CARDS."""

from kit.conformance.cards import (
    book_verification,
    books,
    faults,
    history,
    listing,
    quotes,
    status,
    tickers_marks_candles,
    trades,
)

__all__ = [
    "book_verification",
    "books",
    "faults",
    "history",
    "listing",
    "quotes",
    "status",
    "tickers_marks_candles",
    "trades",
]
