"""Rate limit answers of a venue over REST: how long calls must be suspended."""

from collections.abc import Mapping

from kit.base.request_budget import RequestBudget

RETRY_S_DEFAULT = 10.0
"""Suspension where the venue does not state a time."""
RETRY_S_MAX = 24 * 3600.0
TOO_MANY_REQUESTS, BANNED = 429, 418


def observe(budget: RequestBudget | None, status: int, headers: Mapping[str, str]) -> None:
    """Suspend the budget when an answer has HTTP status 429 or 418."""
    if status in (TOO_MANY_REQUESTS, BANNED) and budget is not None:
        budget.suspend(_retry_after_s(headers))


def suspension_s(budget: RequestBudget | None) -> float:
    """Return how long to wait after a rate limit error, in seconds. The error may have come with
    HTTP status 200; the budget is then suspended here."""
    if budget is None:
        return RETRY_S_DEFAULT
    if not budget.suspended_s():
        budget.suspend(RETRY_S_DEFAULT)
    return budget.suspended_s()


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """The header Retry-After in seconds; it may also hold a date, or nonsense."""
    text = {name.lower(): value for name, value in headers.items()}.get("retry-after", "")
    return min(float(text), RETRY_S_MAX) if text.isdecimal() else RETRY_S_DEFAULT
