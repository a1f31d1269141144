"""What may stand for the keys of a policy file."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from kit.accounting.amounts import ZERO
from kit.risk.limits import CURRENCY, RULES_BY_NAME, LimitRule
from kit.risk.order_checks import is_computable
from kit.risk.scopes import ALL, ScopeKind

WAIVED = "waived"
MISSING = ""
RATE = "entries_per_minute_max"
NAMES = ("accounts", "instruments", "strategies")
BY_ASSET = ("order_size_max", "order_notional_max")
HOURS = "trading_hours"
CLOSED = "closed_periods"
BOOKS = "book_states"
ESCALATIONS = "escalations"
MAINTENANCE = "maintenance_margin"
TERMS = ("currency", "rates", "groups", MAINTENANCE)
LISTS = (HOURS, CLOSED, BOOKS, ESCALATIONS)
REQUIRED = (*NAMES, *BY_ASSET, *LISTS, *RULES_BY_NAME)
"""What a complete policy sets or expressly waives."""
ALLOWED_NAMES = {
    "accounts": 'a list of "venue/account", or ["*"]',
    "instruments": 'a list of "venue/SYMBOL" and "venue/*", or ["*"]',
    "strategies": 'a list of names of strategies, or ["*"]',
}
ALLOWED_AMOUNT = "a number, 0 or above"
ALLOWED_COUNT = "a whole number, 0 or above"
ALLOWED_RATE = "a number above 0"
BOOK_STATES = ("proven", "unproven")
ALLOWED_LISTS = {
    HOURS: 'a list of { days = ["mon", …], start = "08:00", end = "20:00" }',
    CLOSED: "a list of { start = 2026-12-24T18:00:00Z, end = 2026-12-26T00:00:00Z, reason = "
    '"holidays" }',
    BOOKS: f"a list of {', '.join(BOOK_STATES)}",
    ESCALATIONS: 'a list of { limit = "drawdown_max", mode = "closing_all" }, each with share, '
    "release_seconds or neither",
}
ALLOWED_SHARE = "a number above 0 and below 1"
SHOWN_MAX = 60


def allowed_value(name: str) -> str:
    """What may stand for a key of the file."""
    rule = RULES_BY_NAME.get(name)
    if name in NAMES:
        return ALLOWED_NAMES[name]
    if name in TERMS:
        return "a table"
    if rule is not None:
        unit = "in the currency" if rule.unit == CURRENCY else rule.unit
        kinds = ", ".join(_scope_forms(rule))
        return f'{allowed_amount(rule)} ({unit}), or a table of these by {kinds}; or "{WAIVED}"'
    if name in LISTS:
        return f'{ALLOWED_LISTS[name]}; or "{WAIVED}"'
    by = "asset" if name == "order_notional_max" else '"venue/SYMBOL"'
    return f'a table by {by}; or "{WAIVED}"'


def allowed_amount(rule: LimitRule) -> str:
    if rule.end is not None:
        return f"a number from 0 to {rule.end}"
    return ALLOWED_COUNT if rule.is_count else ALLOWED_AMOUNT


def _scope_forms(rule: LimitRule) -> list[str]:
    return [str(kind) if kind is ScopeKind.MESH else f"{kind}:NAME" for kind in rule.kinds]


def allowed_scope(key: str, rule: LimitRule, groups: Mapping[str, object]) -> str:
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
        return "" if is_instrument(name) else f"{kind}:VENUE/SYMBOL"
    if kind == ScopeKind.ACCOUNT:
        return "" if _is_account(name) else f"{kind}:VENUE/NAME"
    # With a "/" it is the name of something else, and the limit would hold for nothing.
    return "" if name and "/" not in name else forms


def is_list(value: object) -> bool:
    return isinstance(value, list) and bool(value)


def is_name(field: str, name: str) -> bool:
    """Whether it names an account, an instrument or a strategy."""
    match field:
        case "accounts":
            return _is_account(name)
        case "instruments":
            return is_instrument(name) or (name.endswith(f"/{ALL}") and name.count("/") == 1)
    return bool(name)


def _is_account(name: str) -> bool:
    return name.count("/") == 1 and all(name.split("/")) and ALL not in name


def is_instrument(name: str) -> bool:
    # Symbols of some venues have a "/".
    venue, _, symbol = name.partition("/")
    return bool(venue and symbol) and ALL not in name


def amount_of(value: object) -> Decimal | None:
    """An amount of 0 or above that can be computed with."""
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        return None
    try:
        found = Decimal(value)
    except InvalidOperation:
        return None
    return found if is_computable(found) and found >= ZERO else None


def number_of(text: str) -> Decimal | str:
    """A number of the file; the text of one that is too large for any Decimal, and no amount."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}…"
