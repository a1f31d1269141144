"""Scopes of limits: the mesh, or one venue, account, strategy, instrument or group."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

ALL = "*"


class ScopeKind(StrEnum):
    """The kinds of scopes, in the order in which they are checked."""

    MESH = "mesh"
    VENUE = "venue"
    ACCOUNT = "account"
    STRATEGY = "strategy"
    INSTRUMENT = "instrument"
    GROUP = "group"


ALL_KINDS = tuple(ScopeKind)
Groups = Mapping[str, tuple[str, ...]]
"""Names of instruments, each as "venue/SYMBOL", by the name of their group."""


class Scope(NamedTuple):
    """One of them, for example the venue "binance"."""

    kind: ScopeKind
    name: str = ""
    """"" of the mesh; "venue/account" of an account, "venue/SYMBOL" of an instrument."""

    @property
    def key(self) -> str:
        """As it is written in a policy and in a mode: "mesh", "venue:binance"."""
        return f"{self.kind}:{self.name}" if self.name else str(self.kind)


class PositionKey(NamedTuple):
    """Where an order or a position is."""

    venue: str
    account: str
    symbol: str
    strategy: str = ""
    """"": of a person."""

    def is_in(self, scope: Scope, groups: Groups) -> bool:
        """Whether it counts for the limits of a scope."""
        match scope.kind:
            case ScopeKind.MESH:
                return True
            case ScopeKind.VENUE:
                return self.venue == scope.name
            case ScopeKind.ACCOUNT:
                return f"{self.venue}/{self.account}" == scope.name
            case ScopeKind.STRATEGY:
                return self.strategy == scope.name
            case ScopeKind.INSTRUMENT:
                return f"{self.venue}/{self.symbol}" == scope.name
            case ScopeKind.GROUP:
                return f"{self.venue}/{self.symbol}" in groups.get(scope.name, ())

    def scopes(self, groups: Groups) -> Iterator[Scope]:
        """All scopes that it is in."""
        yield Scope(ScopeKind.MESH)
        yield Scope(ScopeKind.VENUE, self.venue)
        yield Scope(ScopeKind.ACCOUNT, f"{self.venue}/{self.account}")
        if self.strategy:
            yield Scope(ScopeKind.STRATEGY, self.strategy)
        instrument = f"{self.venue}/{self.symbol}"
        yield Scope(ScopeKind.INSTRUMENT, instrument)
        for name in sorted(groups):
            if instrument in groups[name]:
                yield Scope(ScopeKind.GROUP, name)


def limit_of(limits: Mapping[str, Decimal], scope: Scope) -> Decimal | None:
    """The limit of a scope: its own, or the limit for all scopes of its kind."""
    found = limits.get(scope.key)
    return limits.get(f"{scope.kind}:{ALL}") if found is None else found
