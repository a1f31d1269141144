"""Rate limits and bans in a venue's answers: what must be suspended, and for how long."""

import re
from collections.abc import Mapping

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.base.request_budget import BanRule, RequestBudget, Scope

RETRY_S_DEFAULT = 10.0
"""Suspension where the venue does not state a time."""
CANCEL_RETRY_S_DEFAULT = 1.0
"""The same for cancels."""
RETRY_S_MAX = 24 * 3600.0
BAN_S_DEFAULT = 120.0
"""Length of a ban where neither the answer nor a rule of the venue states one."""
BAN_S_MAX = 3 * 24 * 3600.0
TOO_MANY_REQUESTS, BANNED = 429, 418
ERROR_STATUS = 400
BODY_LENGTH_MAX = 300
"""Errors that come with HTTP status 200 are not longer. Longer answers are data."""
BAN_RULES = (
    BanRule("", BAN_S_DEFAULT, status=BANNED),
    # Cloudflare, which many venues use.
    BanRule("error code: 1015", BAN_S_DEFAULT, status=TOO_MANY_REQUESTS),
    BanRule("error 1015", BAN_S_DEFAULT, status=TOO_MANY_REQUESTS),
)
"""Signs of a ban that hold for every venue."""
BANNED_UNTIL = re.compile(r"banned until (\d{13})\b")
"""The end of a ban as Binance writes it, in ms since the Unix epoch."""


def observe(
    budget: RequestBudget | None,
    scope: Scope,
    status: int,
    headers: Mapping[str, str],
    body: str = "",
) -> None:
    """Suspend the scope of a call whose answer has HTTP status 429; suspend all calls when the
    answer tells of a ban."""
    if budget is None:
        return
    text = body.lower() if status >= ERROR_STATUS or len(body) <= BODY_LENGTH_MAX else ""
    rules = (*budget.ban_rules, *BAN_RULES)
    rule = next((one for one in rules if one.fits(status, text)), None)
    until = BANNED_UNTIL.search(text)
    stated_s = _stated_s(headers)
    if rule is not None:
        budget.ban(min(stated_s or rule.seconds, BAN_S_MAX))
    if until is not None:
        budget.ban_until(int(until[1]) * NANOSECONDS_PER_MILLISECOND, BAN_S_MAX)
    if rule is None and until is None and status == TOO_MANY_REQUESTS:
        budget.suspend(min(stated_s or _default_s(scope), RETRY_S_MAX), scope)


def suspension_s(budget: RequestBudget | None, scope: Scope) -> float:
    """Return how long to wait after a rate limit error, in seconds. The error may have come with
    HTTP status 200; the scope is then suspended here."""
    if budget is None:
        return _default_s(scope)
    if not budget.suspended_s(scope):
        budget.suspend(_default_s(scope), scope)
    return budget.suspended_s(scope)


def _default_s(scope: Scope) -> float:
    return CANCEL_RETRY_S_DEFAULT if scope is Scope.CANCEL else RETRY_S_DEFAULT


def _stated_s(headers: Mapping[str, str]) -> float:
    """The header Retry-After in seconds; 0 where it is missing, a date, or nonsense."""
    text = {name.lower(): value for name, value in headers.items()}.get("retry-after", "")
    return float(text) if text.isdecimal() else 0.0
