"""The positions in one instrument of one account, and the profit that its fills realise.

Changes count in the order of the venue. One that comes late is put in its place, and all after it
are applied again, from the last kept state before it. So the result does not depend on the order in
which changes arrive.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from enum import IntEnum
from operator import attrgetter
from typing import NamedTuple

from core.ledger.position_state import Effect, PositionState
from kit.accounting.contract import Contract

STATE_INTERVAL = 256
"""Changes between two kept states."""
CHANGES_KEPT_MAX = 8 * STATE_INTERVAL
"""Changes that are kept in memory; for one that comes later than all of them, older ones are
read."""


class ChangeKind(IntEnum):
    """What has changed positions. Of one time, a lower one counts first."""

    FUNDING = 1
    SETTLEMENT = 2
    FILL = 3
    UNPAID_FILL = 4
    """Its profit is paid by a settlement."""
    OPENING = 5
    """The position is the one that the venue states, whatever came before."""


FILLS = frozenset({ChangeKind.FILL, ChangeKind.UNPAID_FILL})


class ChangeKey(NamedTuple):
    """The order of the changes of an instrument."""

    time_ns: int
    kind: int
    id_length: int
    """So that ids that are numbers are in their order."""
    change_id: str


START = ChangeKey(-1, 0, 0, "")


class PositionChange(NamedTuple):
    """A fill, a payment on a position, or an opening. Prices and sizes count 10^-18, amounts are
    atoms."""

    key: ChangeKey
    event_id: bytes
    strategy: str = ""
    price: int = 0
    size: int = 0
    """Negative for a sale."""
    base_fee: int = 0
    """Fee of a fill on spot in the base asset: it leaves the position as if it were sold at the
    price of the fill."""
    amount: int = 0
    """Paid to the account, as funding or by a settlement."""


class KeptState(NamedTuple):
    """The positions after a change."""

    key: ChangeKey
    state: str
    """See ``PositionState.text``."""


class PositionHistory:
    """The newest changes of an instrument, and the positions that they lead to."""

    def __init__(
        self,
        contract: Contract,
        cost_method: str,
        base: KeptState | None = None,
        changes: Iterable[PositionChange] = (),
    ) -> None:
        """``base``: the positions before all ``changes``, which are in their order."""
        self._contract = contract
        self._cost_method = cost_method
        self._kept = [base or KeptState(START, "")]
        self._changes: list[PositionChange] = []
        self._dropped_after: ChangeKey | None = None
        self._unsaved: list[KeptState] = []
        self._since_kept = 0
        self.state = self._restored(self._kept[0])
        for change in changes:
            self._apply(change)

    @property
    def contract(self) -> Contract:
        return self._contract

    def sizes(self) -> dict[str, int]:
        """What each strategy holds after the newest change."""
        return {name: one.position.size for name, one in self.state.strategies.items()}

    def reaches(self, key: ChangeKey) -> bool:
        """Whether a change with this key can be put in its place."""
        return key > self._kept[0].key

    def find(self, key: ChangeKey) -> PositionChange | None:
        """The change with a key that is reached, or None."""
        place = bisect_right(self._changes, key, key=attrgetter("key"))
        found = self._changes[place - 1] if place else None
        return found if found is not None and found.key == key else None

    def insert(self, changes: Sequence[PositionChange]) -> list[Effect]:
        """Put new changes, which are in their order, into their places.

        Returns the effect of each. If one is late, the last effect is that of all of them: the
        difference to what had been realised.
        """
        if not self._changes or changes[0].key > self._changes[-1].key:
            return [self._apply(change) for change in changes]
        before = self.state
        self._rewind(changes)
        return [*[Effect()] * (len(changes) - 1), self.state.since(before)]

    def unsaved(self) -> tuple[ChangeKey | None, list[KeptState]]:
        """What has changed since the last call in the kept states: those after a key are wrong, and
        these are new."""
        changed = self._dropped_after, self._unsaved
        self._dropped_after, self._unsaved = None, []
        if len(self._changes) > CHANGES_KEPT_MAX:
            self._forget()
        return changed

    def _rewind(self, changes: Sequence[PositionChange]) -> None:
        """Apply changes and all those that follow the first of them."""
        first = changes[0].key
        while self._kept[-1].key > first:
            self._kept.pop()
        kept = self._kept[-1]
        self._dropped_after = min(kept.key, self._dropped_after or kept.key)
        self._unsaved = [one for one in self._unsaved if one.key <= kept.key]
        place = bisect_right(self._changes, kept.key, key=attrgetter("key"))
        again = sorted([*self._changes[place:], *changes], key=attrgetter("key"))
        del self._changes[place:]
        self.state = self._restored(kept)
        for change in again:
            self._apply(change)

    def _apply(self, change: PositionChange) -> Effect:
        effect = applied(self.state, change)
        self._changes.append(change)
        self._since_kept += 1
        if self._since_kept == STATE_INTERVAL:
            self._since_kept = 0
            kept = KeptState(change.key, self.state.text())
            self._kept.append(kept)
            self._unsaved.append(kept)
        return effect

    def _restored(self, kept: KeptState) -> PositionState:
        self._since_kept = 0
        return PositionState(self._contract, self._cost_method, kept.state)

    def _forget(self) -> None:
        """Forget the older half of the changes."""
        middle = self._changes[len(self._changes) // 2].key
        place = max(1, bisect_right(self._kept, middle, key=attrgetter("key"))) - 1
        del self._kept[:place]
        del self._changes[: bisect_right(self._changes, self._kept[0].key, key=attrgetter("key"))]


def applied(state: PositionState, change: PositionChange) -> Effect:
    """Apply a change to positions."""
    match change.key.kind:
        case ChangeKind.FILL | ChangeKind.UNPAID_FILL:
            profit, net_profit = state.trade(
                change.strategy,
                change.price,
                change.size,
                change.base_fee,
                is_paid=change.key.kind == ChangeKind.FILL,
            )
            return Effect({change.strategy: profit} if profit else {}, net_profit)
        case ChangeKind.OPENING:
            return Effect(opened=state.open(change.size, change.price))
        case ChangeKind.FUNDING:
            return Effect(funding=state.pay_funding(change.amount))
    state.settle(change.amount)
    return Effect()
