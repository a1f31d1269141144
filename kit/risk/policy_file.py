"""Reads the TOML file of a policy and finds all its errors at once."""

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from kit.accounting.amounts import ZERO
from kit.base.suggestions import did_you_mean
from kit.risk import policy_lists
from kit.risk.limits import RULES, LimitRule
from kit.risk.policy import Policy
from kit.risk.policy_values import (
    ALLOWED_AMOUNT,
    ALLOWED_NAMES,
    ALLOWED_RATE,
    ALLOWED_SHARE,
    BOOKS,
    BY_ASSET,
    CLOSED,
    ESCALATIONS,
    HOURS,
    LISTS,
    MAINTENANCE,
    MISSING,
    NAMES,
    RATE,
    REQUIRED,
    TERMS,
    WAIVED,
    allowed_amount,
    allowed_scope,
    allowed_value,
    amount_of,
    is_instrument,
    is_name,
    number_of,
    shown,
)
from kit.risk.scopes import ALL, ScopeKind

DISTANCE = "liquidation_distance_min"


class PolicyProblem(NamedTuple):
    """Something that is wrong in a policy."""

    field: str
    """For example "exposure_max.venue:binance"."""
    value: str
    """"": it is missing."""
    allowed: str

    def __str__(self) -> str:
        value = self.value or "missing"
        return f"{self.field}: {value}; allowed: {self.allowed}"


class PolicyInvalid(Exception):
    """A policy cannot be used. It has every problem that was found."""

    def __init__(self, problems: list[PolicyProblem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


def read_policy(text: str, *, is_complete: bool) -> Policy:
    """The policy of a file. ``is_complete``: whether each limit must be set or expressly waived.
    Raises PolicyInvalid."""
    try:
        content = tomllib.loads(text, parse_float=number_of)
    except (ValueError, RecursionError) as error:
        raise PolicyInvalid([PolicyProblem("file", "no TOML", str(error))]) from None
    reader = _Reader(content)
    policy = reader.policy(is_complete)
    if reader.problems:
        raise PolicyInvalid(reader.problems)
    return policy


class _Reader:
    """One file."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content
        self.problems: list[PolicyProblem] = []

    def policy(self, is_complete: bool) -> Policy:
        """The policy of the file, without its invalid parts."""
        self._check_keys(is_complete)
        fields: dict[str, Any] = {name: self._names(name) for name in NAMES if self._has(name)}
        fields |= {name: self._amounts(name) for name in BY_ASSET if self._sets(name)}
        currency = self._content.get("currency", "")
        if not isinstance(currency, str):
            self._problem("currency", currency, 'an asset, for example "USDT"')
        fields["groups"] = groups = self._groups()
        fields["rates"] = rates = self._rates()
        fields["currency"] = currency
        limits = {rule.name: self._scoped(rule, groups) for rule in RULES if self._sets(rule.name)}
        fields[MAINTENANCE] = self._maintenance()
        fields |= self._lists(limits)
        if self._has(RATE):
            count = limits.get(RATE, {}).pop("mesh", None)
            fields[RATE] = None if count is None else int(count)
        fields["limits"] = {name: found for name, found in limits.items() if found}
        fields["waived"] = tuple(name for name in REQUIRED if self._is_waived(name))
        if any(not rule.unit and rule.name in limits for rule in RULES):
            self._check_currency(currency, rates, fields.get("order_notional_max", {}))
        return Policy() if self.problems else Policy(**fields)

    def _problem(self, field: str, value: object, allowed: str) -> None:
        self.problems.append(PolicyProblem(field, shown(value), allowed))

    def _has(self, name: str) -> bool:
        return name in self._content

    def _is_waived(self, name: str) -> bool:
        return name not in NAMES and self._content.get(name) == WAIVED

    def _sets(self, name: str) -> bool:
        return self._has(name) and not self._is_waived(name)

    def _check_keys(self, is_complete: bool) -> None:
        known = (*REQUIRED, *TERMS)
        for key, value in self._content.items():
            if key not in known:
                allowed = f"one of {', '.join(known)}{did_you_mean(key, known)}"
                self._problem(key, value, allowed)
        for name in REQUIRED if is_complete else ():
            if not self._has(name):
                self._problem(name, MISSING, allowed_value(name))

    def _names(self, name: str) -> tuple[str, ...]:
        value = self._content[name]
        if not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
            self._problem(name, value, ALLOWED_NAMES[name])
            return ()
        for one in value:
            if one != ALL and not is_name(name, one):
                self._problem(name, one, ALLOWED_NAMES[name])
        return tuple(value)

    def _table(self, name: str) -> Mapping[str, Any]:
        value = self._content.get(name, {})
        if isinstance(value, dict):
            return value
        self._problem(name, value, allowed_value(name))
        return {}

    def _amounts(self, name: str) -> dict[str, Decimal]:
        entries = self._table(name).items()
        for key in self._table(name) if name == "order_size_max" else ():
            if not is_instrument(key):
                self._problem(f"{name}.{key}", key, 'a table by "venue/SYMBOL"')
        return {key: self._amount(f"{name}.{key}", value) for key, value in entries}

    def _amount(self, field: str, value: object, allowed: str = ALLOWED_AMOUNT) -> Decimal:
        found = amount_of(value)
        if found is None:
            self._problem(field, value, allowed)
            return ZERO
        return found

    def _rates(self) -> dict[str, Decimal]:
        found = {}
        for asset, value in self._table("rates").items():
            found[asset] = self._amount(f"rates.{asset}", value, ALLOWED_RATE)
            if amount_of(value) == ZERO:
                self._problem(f"rates.{asset}", value, ALLOWED_RATE)
        return found

    def _groups(self) -> dict[str, tuple[str, ...]]:
        found = {}
        for name, members in self._table("groups").items():
            names = members if isinstance(members, list) else [members]
            if not names or not all(isinstance(one, str) and is_instrument(one) for one in names):
                self._problem(f"groups.{name}", members, 'a list of "venue/SYMBOL"')
            else:
                found[name] = tuple(names)
        return found

    def _scoped(self, rule: LimitRule, groups: Mapping[str, object]) -> dict[str, Decimal]:
        value = self._content[rule.name]
        if not isinstance(value, dict):
            # One number holds for the mesh, or for each strategy where there is no such limit.
            first = rule.kinds[0]
            value = {"mesh" if first is ScopeKind.MESH else f"{first}:{ALL}": value}
        if not value:
            self._problem(rule.name, "{}", allowed_value(rule.name))
        found = {}
        for key, limit in value.items():
            field = rule.name if value is not self._content[rule.name] else f"{rule.name}.{key}"
            allowed = allowed_scope(key, rule, groups)
            if allowed:
                self._problem(field, key, allowed)
            found[key] = self._limit(rule, field, limit)
        return found

    def _limit(self, rule: LimitRule, field: str, value: object) -> Decimal:
        allowed = allowed_amount(rule)
        if not isinstance(value, (dict, list)) and value == WAIVED:
            allowed += f"; {WAIVED!r} holds for the whole limit only"
        found = self._amount(field, value, allowed)
        is_whole = found == found.to_integral_value() or not rule.is_count
        if not is_whole or (rule.end is not None and found > rule.end):
            self._problem(field, value, allowed)
        return found

    def _lists(self, limits: Mapping[str, Mapping[str, Decimal]]) -> dict[str, Any]:
        """What is set as a list, and not by scope."""
        readers: Mapping[str, policy_lists.ReadList] = {
            HOURS: policy_lists.hours,
            CLOSED: policy_lists.periods,
            BOOKS: policy_lists.book_states,
            ESCALATIONS: partial(policy_lists.escalations, limits=limits),
        }
        found: dict[str, Any] = {}
        for name in LISTS:
            if self._sets(name):
                value = self._content[name]
                if isinstance(value, list) and value:
                    found[name] = readers[name](value, self._problem)
                else:
                    self._problem(name, value, allowed_value(name))
        return found

    def _maintenance(self) -> dict[str, Decimal]:
        found = {}
        for venue, value in self._table(MAINTENANCE).items():
            found[venue] = amount_of(value) or ZERO
            if not ZERO < found[venue] < 1:
                self._problem(f"{MAINTENANCE}.{venue}", value, ALLOWED_SHARE)
        if self._sets(DISTANCE) and not found and MAINTENANCE not in self._content:
            self._problem(MAINTENANCE, MISSING, f"a table by venue: {DISTANCE} needs it")
        return found

    def _check_currency(
        self, currency: str, rates: Mapping[str, Decimal], assets: Mapping[str, Decimal]
    ) -> None:
        if not currency:
            names = [rule.name for rule in RULES if not rule.unit and self._sets(rule.name)]
            allowed = f'an asset, for example "USDT": {", ".join(names)} need it'
            self._problem("currency", currency, allowed)
            return
        for asset in assets:
            if asset != currency and asset not in rates:
                allowed = f"the value of 1 {asset} in {currency}: order_notional_max names it"
                self._problem(f"rates.{asset}", MISSING, allowed)
