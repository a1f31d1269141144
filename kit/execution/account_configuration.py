"""What a venue states of the configuration of an account, and of its clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

PositionMode: TypeAlias = Literal["one_way", "hedge"]
"""one_way: one position per symbol. hedge: a long and a short position of a symbol are kept
apart."""
MarginMode: TypeAlias = Literal["cross", "isolated", "portfolio"]


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """How far the venue's clock is ahead of ours."""

    offset_ns: int
    """The venue's time less ours in the middle of the round trip; negative: it is behind."""
    uncertainty_ns: int
    """The true offset differs by at most this: half of the round trip, and half of the unit in
    which the venue states its time."""

    def is_beyond(self, bound_ns: int) -> bool:
        """Whether the clocks certainly differ by more than a bound."""
        return abs(self.offset_ns) - self.uncertainty_ns > bound_ns


@dataclass(frozen=True, slots=True)
class SymbolConfiguration:
    """What is set for one symbol of a derivative. None: the venue does not state it."""

    margin_mode: MarginMode | None = None
    leverage: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountConfiguration:
    """The configuration of an account and the permissions of its key. None: the venue does not
    state it."""

    position_mode: PositionMode | None = None
    margin_mode: MarginMode | None = None
    """Of the whole account, where the venue does not set it by symbol."""
    symbols: Mapping[str, SymbolConfiguration] | None = None
    """By native symbol; at least the symbols that were asked for."""
    may_trade: bool | None = None
    """Whether key and account may place orders."""
    excess_permissions: Sequence[str] | None = None
    """Permissions of the key that trading does not need, for example "withdraw"."""
    obstacles: Sequence[str] = ()
    """What else keeps the account from trading here, each with what to do about it."""


def all_of(*flags: bool | None) -> bool | None:
    """Return False if any flag is False, else None if any is not known, else True."""
    if False in flags:
        return False
    return None if None in flags else True
