"""The policy: what may be traded where, and how much of it."""

import hashlib
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from pathlib import Path

import msgspec

from kit.accounting.amounts import ZERO
from kit.base.errors import SettingError

ALL = "*"


class Policy(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True
):  # dict: for cached_property
    """The content of a policy file. What is not allowed here is blocked."""

    accounts: tuple[str, ...] = ()
    """Accounts in which positions may be opened, each as "venue/account"; "*": all."""
    instruments: tuple[str, ...] = ()
    """Instruments, each as "venue/SYMBOL"; "venue/*": all of a venue, "*": all."""
    order_size_max: Mapping[str, Decimal] = {}
    """Largest size of an order, by "venue/SYMBOL". Not named: no limit."""
    order_notional_max: Mapping[str, Decimal] = {}
    """Largest value of an order, by quote asset. An asset that is not named is not allowed."""
    entries_per_minute_max: int = 0
    """Orders that open positions, of all accounts within the last minute."""

    @cached_property
    def version(self) -> bytes:
        """SHA-256 of the content."""
        return hashlib.sha256(self.text.encode()).digest()

    @cached_property
    def text(self) -> str:
        """The content as JSON; the same for equal contents."""
        return msgspec.json.encode(self, order="deterministic").decode()

    def allows_account(self, venue: str, account: str) -> bool:
        return ALL in self.accounts or f"{venue}/{account}" in self.accounts

    def allows_instrument(self, venue: str, symbol: str) -> bool:
        names = (ALL, f"{venue}/{ALL}", f"{venue}/{symbol}")
        return not set(names).isdisjoint(self.instruments)


OPEN_POLICY = Policy(
    accounts=(ALL,),
    instruments=(ALL,),
    order_notional_max={
        **dict.fromkeys(("USDT", "USDC", "USD", "EUR"), Decimal(100_000)),
        "BTC": Decimal(2),
        "ETH": Decimal(50),
    },
    entries_per_minute_max=600,
)
"""Where no real money is involved."""


def load(file: str, world: str) -> Policy:
    """The policy of a file, or the one of a world that has none. Raises SettingError."""
    if not file:
        return Policy() if world == "live" else OPEN_POLICY
    try:
        content = tomllib.loads(Path(file).read_text(), parse_float=Decimal)
        policy = msgspec.convert(content, Policy, strict=False)
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise SettingError("inspector.policy_file", file, str(error)) from None
    amounts = [*policy.order_size_max.values(), *policy.order_notional_max.values()]
    if not all(amount.is_finite() and amount >= ZERO for amount in amounts):
        raise SettingError("inspector.policy_file", file, "amounts must be numbers, 0 or above")
    if policy.entries_per_minute_max < 0:
        raise SettingError("inspector.policy_file", file, "entries_per_minute_max: 0 or above")
    return policy
