"""Reads what a policy file sets as lists: hours, closed periods, states of books, escalations."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from kit.accounting.amounts import ZERO
from kit.base.suggestions import did_you_mean
from kit.risk import closed_periods, trading_hours
from kit.risk.closed_periods import ClosedPeriod
from kit.risk.escalation import ESCALATING, WITH_MODES, EscalatedMode, Escalation
from kit.risk.limits import RULES_BY_NAME, THROTTLED_RATE
from kit.risk.policy_values import (
    ALLOWED_LISTS,
    BOOK_STATES,
    BOOKS,
    CLOSED,
    ESCALATIONS,
    HOURS,
    amount_of,
)
from kit.risk.trading_hours import TradingHours

Report = Callable[[str, object, str], None]
"""Takes field, value and what is allowed."""
ReadList = Callable[[Sequence[Any], Report], tuple[Any, ...]]
Limits = Mapping[str, Mapping[str, Decimal]]
ALLOWED_SHARE = "a number above 0"
ALLOWED_SECONDS = "a whole number above 0; without it, a person ends the mode"


def hours(value: Sequence[Any], report: Report) -> tuple[TradingHours, ...]:
    found = []
    for number, one in enumerate(value):
        field = f"{HOURS}[{number}]"
        read = _converted(one, TradingHours, field, report)
        problem = None if read is None else trading_hours.problem_of(read)
        if problem is not None:
            report(f"{field}.{problem[0]}", problem[1], problem[2])
        elif read is not None:
            found.append(read)
    day = trading_hours.overlap_of(found)
    if day:
        text = trading_hours.text_of(found)
        report(HOURS, text, f"hours that do not overlap; those of {day} do")
    return tuple(found)


def periods(value: Sequence[Any], report: Report) -> tuple[ClosedPeriod, ...]:
    found = []
    for number, one in enumerate(value):
        field = f"{CLOSED}[{number}]"
        read = _converted(one, ClosedPeriod, field, report)
        problem = None if read is None else closed_periods.problem_of(read)
        if problem is not None:
            report(f"{field}.{problem[0]}", problem[1], problem[2])
        elif read is not None:
            found.append(read)
    time = closed_periods.overlap_of(found)
    if time:
        report(CLOSED, time, "periods that do not overlap; two do from then on")
    return tuple(found)


def book_states(value: Sequence[Any], report: Report) -> tuple[str, ...]:
    for one in value:
        if one not in BOOK_STATES:
            report(BOOKS, one, ", ".join(BOOK_STATES))
    return tuple(str(one) for one in value)


def escalations(value: Sequence[Any], report: Report, limits: Limits) -> tuple[Escalation, ...]:
    """``limits``: what the policy sets, by limit and scope."""
    found: list[Escalation] = []
    for number, one in enumerate(value):
        field = f"{ESCALATIONS}[{number}]"
        if not isinstance(one, dict):
            report(field, one, ALLOWED_LISTS[ESCALATIONS])
            continue
        share = amount_of(one.get("share", 1))
        if share is None or share == ZERO:
            report(f"{field}.share", one["share"], ALLOWED_SHARE)
            continue
        read = _converted({**one, "share": share}, Escalation, field, report)
        problem = None if read is None else _problem_of(read, found, limits)
        if problem is not None:
            report(f"{field}.{problem[0]}", problem[1], problem[2])
        elif read is not None:
            found.append(read)
    return tuple(found)


def _problem_of(
    one: Escalation, before: Sequence[Escalation], limits: Limits
) -> tuple[str, object, str] | None:
    if one.limit not in ESCALATING:
        return "limit", one.limit, f"{', '.join(ESCALATING)}{did_you_mean(one.limit, ESCALATING)}"
    scopes = limits.get(one.limit, {})
    if not any(key.partition(":")[0] in WITH_MODES for key in scopes):
        kinds = ", ".join(kind for kind in WITH_MODES if kind in RULES_BY_NAME[one.limit].kinds)
        return "limit", one.limit, f"a limit that the policy sets for one of {kinds}"
    if any((one.limit, one.mode) == (other.limit, other.mode) for other in before):
        return "mode", one.mode.value, f"each mode once for {one.limit}"
    if one.release_seconds is not None and one.release_seconds <= 0:
        return "release_seconds", one.release_seconds, ALLOWED_SECONDS
    if one.mode is EscalatedMode.HALTED and one.release_seconds is not None:
        return "release_seconds", one.release_seconds, "none: a person releases the mode halted"
    if one.mode is EscalatedMode.THROTTLED and not limits.get(THROTTLED_RATE):
        return "mode", one.mode.value, f"a policy that sets {THROTTLED_RATE}"
    return None


def _converted(one: Any, kind: type[Any], field: str, report: Report) -> Any:
    """None, after a report, for what has not the form."""
    try:
        return msgspec.convert(one, kind)
    except msgspec.ValidationError as error:
        report(field, one, f"{ALLOWED_LISTS[field.partition('[')[0]]} ({error})")
        return None
