"""Compares an order with the limits that need no other facts."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from venuemesh.events.v1 import checks_pb2

from kit.accounting.amounts import ZERO, plain
from kit.risk.facts import RiskFacts
from kit.risk.limits import BLOCKED, PASSED
from kit.risk.policy import Policy
from kit.risk.scopes import PositionKey

RATE = "entries_per_minute_max"
NOTIONAL = "order_notional_max"
DIGITS_MAX = 40
"""Before and after the decimal point."""


def allow_list_checks(policy: Policy, position_key: PositionKey) -> list[checks_pb2.Check]:
    """Whether positions may be opened there."""
    venue, account, symbol, _ = position_key
    return [
        _allowed("accounts", f"{venue}/{account}", policy.accounts,
                 policy.allows_account(venue, account)),
        _allowed("instruments", f"{venue}/{symbol}", policy.instruments,
                 policy.allows_instrument(venue, symbol)),
    ]  # fmt: skip


def size_check(policy: Policy, position_key: PositionKey, size: str) -> checks_pb2.Check:
    """``size``: text as it was received."""
    limit = policy.order_size_max.get(f"{position_key.venue}/{position_key.symbol}")
    found = amount(size)
    is_within = found is not None and (limit is None or found <= limit)
    return checks_pb2.Check(
        name="order_size_max",
        projected=size[:80],
        limit="" if limit is None else plain(limit),
        unit="size_unit",
        result=PASSED if is_within else BLOCKED,
        detail="" if found is not None else "the size is no amount above 0",
    )


def notional_check(policy: Policy, facts: RiskFacts, price: Decimal | None) -> checks_pb2.Check:
    """The value of the order in the asset of its instrument."""
    check = checks_pb2.Check(name=NOTIONAL, result=BLOCKED, unit=facts.notional_asset)
    if not facts.notional_asset:
        check.detail = "the venue does not list the instrument, or has not answered"
        return check
    limit, value = policy.order_notional_max.get(check.unit), facts.notional
    if limit is not None:
        check.limit = plain(limit)
    if value is not None:
        check.projected = plain(value)
    if limit is None and NOTIONAL in policy.waived:
        check.result, check.detail = PASSED, "the policy waives it"
    elif limit is None:
        check.detail = f"the policy has no limit in {check.unit}"
    elif value is None or price is None:
        check.detail = "the value is not known: no size, no price, or no terms of the contract"
    elif value <= limit:
        check.result = PASSED
    return check


def rate_checks(policy: Policy, recent_entries: int) -> list[checks_pb2.Check]:
    """The entries of the whole mesh within a minute; nothing if that limit is waived."""
    limit = policy.entries_per_minute_max
    if limit is None:
        return []
    check = checks_pb2.Check(
        name=RATE,
        observed=str(recent_entries),
        projected=str(recent_entries + 1),
        limit=str(limit),
        unit="orders",
        result=PASSED if recent_entries < limit else BLOCKED,
    )
    return [check]


def amount(text: str) -> Decimal | None:
    """An amount above 0; None for any other text."""
    found = number(text)
    return None if found is None or found <= ZERO else found


def number(text: str) -> Decimal | None:
    """A number that can be computed with; None for any other text."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if is_computable(found) else None


def is_computable(amount: Decimal) -> bool:
    """Whether values that are computed from it stay exact. One that is not must not stop the
    decisions after it."""
    if not amount.is_finite():
        return False
    _, digits, exponent = amount.as_tuple()
    assert isinstance(exponent, int)
    return exponent >= -DIGITS_MAX and exponent + len(digits) <= DIGITS_MAX


def _allowed(name: str, value: str, limit: Sequence[str], is_allowed: bool) -> checks_pb2.Check:
    result = PASSED if is_allowed else BLOCKED
    text = ", ".join(limit) or "none: name it in the policy file"
    return checks_pb2.Check(name=name, observed=value, limit=text, result=result)
