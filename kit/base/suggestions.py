"""Suggestions for a name that is not known."""

import difflib
from collections.abc import Iterable

SIMILARITY_MIN = 0.6


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'binance'?"`` for the most similar known name, "" if none is similar."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=SIMILARITY_MIN)
    return f"; did you mean {found[0]!r}?" if found else ""
