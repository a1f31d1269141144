"""Reads the TOML file of a policy and finds all its errors at once."""

import tomllib
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import msgspec

from kit.accounting.amounts import ZERO
from kit.base.suggestions import did_you_mean
from kit.risk import trading_hours
from kit.risk.limits import CURRENCY, RULES, RULES_BY_NAME, LimitRule
from kit.risk.order_checks import is_computable
from kit.risk.policy import Policy
from kit.risk.scopes import ALL, ScopeKind
from kit.risk.trading_hours import TradingHours

WAIVED = "waived"
MISSING = ""
RATE = "entries_per_minute_max"
NAMES = ("accounts", "instruments", "strategies")
BY_ASSET = ("order_size_max", "order_notional_max")
HOURS = "trading_hours"
TERMS = ("currency", "rates", "groups")
REQUIRED = (*NAMES, *BY_ASSET, HOURS, *RULES_BY_NAME)
"""What a complete policy sets or expressly waives."""
ALLOWED_NAMES = {
    "accounts": 'a list of "venue/account", or ["*"]',
    "instruments": 'a list of "venue/SYMBOL" and "venue/*", or ["*"]',
    "strategies": 'a list of names of strategies, or ["*"]',
}
ALLOWED_AMOUNT = "a number, 0 or above"
ALLOWED_COUNT = "a whole number, 0 or above"
ALLOWED_RATE = "a number above 0"
ALLOWED_HOURS = 'a list of { days = ["mon", …], start = "08:00", end = "20:00" }'
SHOWN_MAX = 60


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
        content = tomllib.loads(text, parse_float=_number)
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
        if self._sets(HOURS):
            fields[HOURS] = self._hours()
        if self._has(RATE):
            count = limits.get(RATE, {}).pop("mesh", None)
            fields[RATE] = None if count is None else int(count)
        fields["limits"] = {name: found for name, found in limits.items() if found}
        fields["waived"] = tuple(name for name in REQUIRED if self._is_waived(name))
        if any(not rule.unit and rule.name in limits for rule in RULES):
            self._check_currency(currency, rates, fields.get("order_notional_max", {}))
        return Policy() if self.problems else Policy(**fields)

    def _problem(self, field: str, value: object, allowed: str) -> None:
        self.problems.append(PolicyProblem(field, _shown(value), allowed))

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
                self._problem(name, MISSING, _allowed(name))

    def _names(self, name: str) -> tuple[str, ...]:
        value = self._content[name]
        if not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
            self._problem(name, value, ALLOWED_NAMES[name])
            return ()
        for one in value:
            if one != ALL and not _is_name(name, one):
                self._problem(name, one, ALLOWED_NAMES[name])
        return tuple(value)

    def _table(self, name: str) -> Mapping[str, Any]:
        value = self._content.get(name, {})
        if isinstance(value, dict):
            return value
        self._problem(name, value, _allowed(name))
        return {}

    def _amounts(self, name: str) -> dict[str, Decimal]:
        entries = self._table(name).items()
        for key in self._table(name) if name == "order_size_max" else ():
            if not _is_instrument(key):
                self._problem(f"{name}.{key}", key, 'a table by "venue/SYMBOL"')
        return {key: self._amount(f"{name}.{key}", value) for key, value in entries}

    def _amount(self, field: str, value: object, allowed: str = ALLOWED_AMOUNT) -> Decimal:
        found = _amount(value)
        if found is None:
            self._problem(field, value, allowed)
            return ZERO
        return found

    def _rates(self) -> dict[str, Decimal]:
        found = {}
        for asset, value in self._table("rates").items():
            found[asset] = self._amount(f"rates.{asset}", value, ALLOWED_RATE)
            if _amount(value) == ZERO:
                self._problem(f"rates.{asset}", value, ALLOWED_RATE)
        return found

    def _groups(self) -> dict[str, tuple[str, ...]]:
        found = {}
        for name, members in self._table("groups").items():
            names = members if isinstance(members, list) else [members]
            if not names or not all(isinstance(one, str) and _is_instrument(one) for one in names):
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
            self._problem(rule.name, "{}", _allowed(rule.name))
        found = {}
        for key, limit in value.items():
            field = rule.name if value is not self._content[rule.name] else f"{rule.name}.{key}"
            allowed = _allowed_scope(key, rule, groups)
            if allowed:
                self._problem(field, key, allowed)
            found[key] = self._limit(rule, field, limit)
        return found

    def _limit(self, rule: LimitRule, field: str, value: object) -> Decimal:
        allowed = _allowed_amount(rule)
        if not isinstance(value, (dict, list)) and value == WAIVED:
            allowed += f"; {WAIVED!r} holds for the whole limit only"
        found = self._amount(field, value, allowed)
        is_whole = found == found.to_integral_value() or not rule.is_count
        if not is_whole or (rule.end is not None and found > rule.end):
            self._problem(field, value, allowed)
        return found

    def _hours(self) -> tuple[TradingHours, ...]:
        value = self._content[HOURS]
        if not isinstance(value, list) or not value:
            self._problem(HOURS, value, _allowed(HOURS))
            return ()
        found = []
        for number, one in enumerate(value):
            try:
                hours = msgspec.convert(one, TradingHours)
            except msgspec.ValidationError as error:
                self._problem(f"{HOURS}[{number}]", one, f"{ALLOWED_HOURS} ({error})")
                continue
            problem = trading_hours.problem_of(hours)
            if problem is None:
                found.append(hours)
            else:
                self._problem(f"{HOURS}[{number}].{problem[0]}", problem[1], problem[2])
        day = trading_hours.overlap_of(found)
        if day:
            text = trading_hours.text_of(found)
            self._problem(HOURS, text, f"hours that do not overlap; those of {day} do")
        return tuple(found)

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


def _allowed(name: str) -> str:
    """The allowed values of a key of the file."""
    rule = RULES_BY_NAME.get(name)
    if name in NAMES:
        return ALLOWED_NAMES[name]
    if name in ("rates", "groups"):
        return "a table"
    if rule is not None:
        unit = "in the currency" if rule.unit == CURRENCY else rule.unit
        kinds = ", ".join(_scope_forms(rule))
        return f'{_allowed_amount(rule)} ({unit}), or a table of these by {kinds}; or "{WAIVED}"'
    if name == HOURS:
        return f'{ALLOWED_HOURS}; or "{WAIVED}"'
    by = "asset" if name == "order_notional_max" else '"venue/SYMBOL"'
    return f'a table by {by}; or "{WAIVED}"'


def _allowed_amount(rule: LimitRule) -> str:
    if rule.end is not None:
        return f"a number from 0 to {rule.end}"
    return ALLOWED_COUNT if rule.is_count else ALLOWED_AMOUNT


def _scope_forms(rule: LimitRule) -> list[str]:
    return [str(kind) if kind is ScopeKind.MESH else f"{kind}:NAME" for kind in rule.kinds]


def _allowed_scope(key: str, rule: LimitRule, groups: Mapping[str, object]) -> str:
    """What is allowed in place of the key of a scope; "" if it is right."""
    forms = f"{', '.join(_scope_forms(rule))}; {ALL} for NAME: each"
    kind, _, name = key.partition(":")
    if kind not in rule.kinds or (kind == ScopeKind.MESH) == (":" in key):
        return forms
    if kind == ScopeKind.MESH or name == ALL:
        return ""
    if kind == ScopeKind.GROUP:
        known = f"a group of the policy: {', '.join(groups) or 'it has none'}"
        return "" if name in groups else known
    if kind == ScopeKind.INSTRUMENT:
        return "" if _is_instrument(name) else f"{kind}:VENUE/SYMBOL"
    if kind == ScopeKind.ACCOUNT:
        return "" if _is_account(name) else f"{kind}:VENUE/NAME"
    # With a "/" it is the name of something else, and the limit would hold for nothing.
    return "" if name and "/" not in name else forms


def _is_name(field: str, name: str) -> bool:
    """Whether it names an account, an instrument or a strategy."""
    match field:
        case "accounts":
            return _is_account(name)
        case "instruments":
            return _is_instrument(name) or (name.endswith(f"/{ALL}") and name.count("/") == 1)
    return bool(name)


def _is_account(name: str) -> bool:
    return name.count("/") == 1 and all(name.split("/")) and ALL not in name


def _is_instrument(name: str) -> bool:
    # Symbols of some venues have a "/".
    venue, _, symbol = name.partition("/")
    return bool(venue and symbol) and ALL not in name


def _amount(value: object) -> Decimal | None:
    """An amount of 0 or above that can be computed with."""
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        return None
    try:
        found = Decimal(value)
    except InvalidOperation:
        return None
    return found if is_computable(found) and found >= ZERO else None


def _number(text: str) -> Decimal | str:
    """A number of the file; the text of one that is too large for any Decimal, and no amount."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}…"
