"""The accounts file: what its owner allows each account, and each key that approves orders.

The file is read again while the process runs, so that a limit can be changed without a restart.
While it cannot be read, its last content holds, and every account shows it in its detail.
"""

import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from pathlib import Path

import msgspec

from kit.accounting.amounts import ZERO
from kit.base.clock import Clock
from kit.base.errors import SettingError
from kit.base.reloaded_file import ReloadedFile
from kit.base.suggestions import did_you_mean
from kit.execution.account_configuration import MarginMode, PositionMode

ACCOUNTS_FILE = Path("keys") / "accounts.toml"
SETTING = "orders.accounts_file"
AMOUNTS = ("order_size_max", "order_notional_max", "position_size_max", "position_notional_max")
SYMBOL_TABLES = ("order_size_max", "position_size_max")
ALL = "*"
NO_ALL = (
    "must be one symbol or one asset: no entry stands for all. order_notional_max and "
    "position_notional_max limit all symbols of a quote asset"
)
COUNTS = ("open_orders_max", "orders_per_second_max")
UNKNOWN_FIELD = re.compile(r"unknown field `([^`]*)`(?: - at `([^`]*)`)?")
"""In the text of msgspec: the field and the path of what has it."""


class OrderLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits of an account or of a key. A missing entry is no limit."""

    order_size_max: Mapping[str, Decimal] = {}
    """By symbol, the largest size of an order, in the venue's unit of sizes."""
    order_notional_max: Mapping[str, Decimal] = {}
    """By quote asset, the largest notional of an order. Where there is one, an order with another
    quote asset is rejected."""
    open_orders_max: int | None = None
    orders_per_second_max: int | None = None
    position_size_max: Mapping[str, Decimal] = {}
    """By symbol, the largest size of a position, long or short, once all open orders are filled; of
    a spot symbol, the largest balance of the base asset."""
    position_notional_max: Mapping[str, Decimal] = {}
    """By quote asset, the largest notional of the position in one symbol, with all open orders.
    Where there is one, an order with another quote asset is rejected."""


NO_LIMITS = OrderLimits()


class AccountTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one account must be like at the venue, and its limits. None: anything."""

    account: str
    """As "venue/account"."""
    position_mode: PositionMode | None = None
    margin_mode: MarginMode | None = None
    leverage_max: Decimal | None = None
    clock_skew_max_ms: int | None = None
    """The largest difference between our clock and the venue's."""
    limits: OrderLimits = NO_LIMITS


class KeyTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits of one key, at each account that it may be used for."""

    key_id: str
    limits: OrderLimits = NO_LIMITS


class AccountsContent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of the accounts file."""

    accounts: tuple[AccountTerms, ...] = ()
    keys: tuple[KeyTerms, ...] = ()


class AccountsFile:
    """The terms of all accounts and keys, as they are in the file now."""

    def __init__(self, file: Path, clock: Clock, *, is_required: bool) -> None:
        """``is_required``: whether the file must be there; otherwise it may also be made later.
        Raises SettingError for a file that cannot be read."""
        missing = None if is_required else AccountsContent()
        self._path = file
        self._check_account: Callable[[str], None] = lambda name: None
        self._key_ids: Callable[[], Collection[str] | None] = lambda: None
        self._unlisted: Callable[[AccountsContent], str] = lambda content: ""
        self._file = ReloadedFile(file, self._read, clock, missing=missing, unreadable=None)

    def require_known(
        self,
        check_account: Callable[[str], None],
        key_ids: Callable[[], Collection[str] | None],
        unlisted: Callable[[AccountsContent], str] = lambda content: "",
    ) -> None:
        """Have each entry be of an account, a key and symbols that exist, now and when the file is
        read again: the limits of any other would hold nothing. ``check_account`` raises
        SettingError for an account that does not exist. ``key_ids`` returns all keys, or None if
        they are not known; ``unlisted`` which symbols do not exist, as far as that is known. Raises
        SettingError."""
        self._check_account, self._key_ids, self._unlisted = check_account, key_ids, unlisted
        self._check(self._file.content)

    @property
    def content(self) -> AccountsContent:
        """What the file has now, or had when it could be read last."""
        return self._file.content

    def account(self, venue: str, account: str) -> AccountTerms:
        """Return the terms of an account; without an entry, terms that limit nothing."""
        name = f"{venue}/{account}"
        found = (one for one in self._file.content.accounts if one.account == name)
        return next(found, AccountTerms(account=name))

    def key(self, key_id: str) -> OrderLimits:
        """Return the limits of a key; without an entry, none."""
        found = (one.limits for one in self._file.content.keys if one.key_id == key_id)
        return next(found, NO_LIMITS)

    @property
    def problem(self) -> str:
        """Why the file cannot be read now, for the operator; "" while it can be."""
        found = self._file.problem
        if found:
            return f"accounts file not read, the limits read before stay: {found}"
        try:
            # The keys are in another file, which may have changed since, and instruments are listed
            # some time after the start.
            self._check_keys(self._file.content)
            self._check_symbols(self._file.content)
        except SettingError as error:
            return str(error)
        return ""

    def _read(self, file: Path) -> AccountsContent:
        content = read_accounts(file)
        self._check(content)
        return content

    def _check(self, content: AccountsContent) -> None:
        for terms in content.accounts:
            try:
                self._check_account(terms.account)
            except SettingError as error:
                what = f"accounts has {terms.account!r}: {error.allowed}"
                raise SettingError(SETTING, str(self._path), what) from None
        self._check_keys(content)
        self._check_symbols(content)

    def _check_symbols(self, content: AccountsContent) -> None:
        unlisted = self._unlisted(content)
        if unlisted:
            raise SettingError(SETTING, str(self._path), unlisted)

    def _check_keys(self, content: AccountsContent) -> None:
        known = self._key_ids()
        for key in content.keys:
            if known is not None and key.key_id not in known:
                what = f"keys has {key.key_id!r}: no such key is in the approvers file; known are "
                what += ", ".join(sorted(known)) + did_you_mean(key.key_id, known)
                raise SettingError(SETTING, str(self._path), what)


def read_accounts(file: Path) -> AccountsContent:
    """Return the content of an accounts file. Raises SettingError."""
    try:
        # Numbers of the file become exact amounts, never floats.
        values = tomllib.loads(file.read_text(), parse_float=Decimal)
        found = msgspec.convert(values, AccountsContent)
    except msgspec.ValidationError as error:
        raise SettingError(SETTING, str(file), _explained(str(error))) from None
    except (OSError, ValueError, RecursionError) as error:
        raise SettingError(SETTING, str(file), str(error)) from None
    names = [one.account for one in found.accounts]
    key_ids = [one.key_id for one in found.keys]
    if not names and not key_ids:
        # A file that is being written is empty for a moment.
        raise SettingError(SETTING, str(file), "must have an entry of accounts or keys")
    for kind, each in (("account", names), ("key_id", key_ids)):
        if len(set(each)) < len(each):
            raise SettingError(SETTING, str(file), f"each {kind} must be there once")
    for terms in found.accounts:
        _check_terms(terms)
    for key in found.keys:
        _check_limits(f"keys.{key.key_id}", key.limits)
    return found


def _explained(text: str) -> str:
    """The text of msgspec; for an unknown field with those that are allowed there."""
    unknown = UNKNOWN_FIELD.search(text)
    if unknown is None:
        return text
    field, path = unknown[1], unknown[2] or ""
    at: type[msgspec.Struct] = AccountsContent
    if path.endswith(".limits"):
        at = OrderLimits
    elif path:
        at = AccountTerms if path.startswith("$.accounts") else KeyTerms
    allowed = at.__struct_fields__
    return f"{text}; allowed are {', '.join(allowed)}{did_you_mean(field, allowed)}"


def _check_terms(terms: AccountTerms) -> None:
    venue, _, account = terms.account.partition("/")
    if not venue or not account or "/" in account:
        raise SettingError("accounts.account", terms.account, 'must be "venue/account"')
    at = f"accounts.{terms.account}"
    leverage, skew_ms = terms.leverage_max, terms.clock_skew_max_ms
    if leverage is not None and not (leverage.is_finite() and leverage > ZERO):
        raise SettingError(f"{at}.leverage_max", leverage, "must be above 0")
    if skew_ms is not None and skew_ms < 1:
        raise SettingError(f"{at}.clock_skew_max_ms", skew_ms, "must be at least 1")
    _check_limits(at, terms.limits)


def _check_limits(at: str, limits: OrderLimits) -> None:
    for name in AMOUNTS:
        if ALL in getattr(limits, name):
            raise SettingError(f"{at}.limits.{name}", ALL, NO_ALL)
        for key, limit in getattr(limits, name).items():
            if not (limit.is_finite() and limit >= ZERO):
                raise SettingError(f"{at}.limits.{name}.{key}", limit, "must be 0 or more")
    for name in COUNTS:
        count = getattr(limits, name)
        if count is not None and count < 0:
            raise SettingError(f"{at}.limits.{name}", count, "must be 0 or more")
