"""What a venue's refusal over REST means: for how long it wants to be left alone."""

from collections.abc import Mapping

from kit.base.request_budget import spending

UNSAID_RETRY_S = 10.0
"""To leave a venue alone that wants it and does not say for how long."""
RETRY_S_MAX = 24 * 3600.0
SLOW_DOWN, BANNED = 429, 418


def heard(status: int, headers: Mapping[str, str]) -> None:
    """An answer has come. When it says 429 or 418, the budget of the call is closed."""
    account = spending()
    if status in (SLOW_DOWN, BANNED) and account is not None:
        account.budget.close(_retry_after_s(headers))


def left_alone_s() -> float:
    """How long to wait after a refusal, which may have come as an ordinary answer."""
    account = spending()
    if account is None:
        return UNSAID_RETRY_S
    if not account.budget.closed_s():
        account.budget.close(UNSAID_RETRY_S)
    return account.budget.closed_s()


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """In seconds; the header may also hold a date, or nonsense."""
    said = {name.lower(): value for name, value in headers.items()}.get("retry-after", "")
    return min(float(said), RETRY_S_MAX) if said.isdecimal() else UNSAID_RETRY_S
