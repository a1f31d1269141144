"""The newest comparison of each account, in PostgreSQL."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from venuemesh.events.v1 import reconciliations_pb2
from venuemesh.inspector.v1 import reconciliations_pb2 as messages_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector import reconciliation
from core.inspector.account_reports import AccountKey
from core.inspector.reconciliation import LATE, Comparison, Difference
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.database import Connection
from kit.events.subjects import fill_subject

OLD_NS = 60 * NANOSECONDS_PER_SECOND
"""A comparison that is older says nothing of now."""

_COLUMNS = "venue, account, compared_time_ns, agreed_time_ns, unreadable, differences, changes"
_LOAD = f"SELECT {_COLUMNS} FROM inspector_reconciliations ORDER BY venue, account"
_KEEP = (
    f"INSERT INTO inspector_reconciliations ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s)"
    " ON CONFLICT (venue, account) DO UPDATE"
    " SET (compared_time_ns, agreed_time_ns, unreadable, differences, changes)"
    " = (excluded.compared_time_ns, excluded.agreed_time_ns, excluded.unreadable,"
    " excluded.differences, excluded.changes)"
)
_BOOKED = "SELECT subject FROM events WHERE subject = ANY (%s)"


@dataclass(frozen=True, slots=True)
class StoredReconciliation:
    """What was found of an account."""

    venue: str
    account: str
    compared_time_ns: int = 0
    agreed_time_ns: int = 0
    unreadable: str = ""
    differences: Sequence[Difference] = ()
    changes: int = 0

    def after(self, found: Comparison, now_ns: int) -> "StoredReconciliation":
        """With what was found at the next look."""
        is_late = any(one.cause == LATE for one in found.differences)
        agrees = not (found.unreadable or is_late or reconciliation.lasting(found.differences))
        return StoredReconciliation(
            self.venue,
            self.account,
            now_ns,
            now_ns if agrees else self.agreed_time_ns,
            found.unreadable,
            found.differences,
            self.changes + (_names(found.differences) != _names(self.differences)),
        )

    def message(self, now_ns: int) -> messages_pb2.AccountReconciliation:
        """As the API shows it."""
        return messages_pb2.AccountReconciliation(
            venue=self.venue,
            account=self.account,
            state=self._state(now_ns),
            compared_time_ns=self.compared_time_ns,
            agreed_time_ns=self.agreed_time_ns,
            unreadable=self.unreadable,
            differences=self.differences,
        )

    def _state(self, now_ns: int) -> "messages_pb2.ReconciliationState.ValueType":
        if reconciliation.lasting(self.differences):
            return messages_pb2.RECONCILIATION_STATE_DIFFERS
        if self.unreadable or now_ns - self.compared_time_ns > OLD_NS:
            return messages_pb2.RECONCILIATION_STATE_UNKNOWN
        if any(one.cause == LATE for one in self.differences):
            return messages_pb2.RECONCILIATION_STATE_LATE
        return messages_pb2.RECONCILIATION_STATE_AGREES


async def load(connection: Connection) -> list[StoredReconciliation]:
    """What was found of each account that was ever compared, in order."""
    rows = await (await connection.execute(_LOAD)).fetchall()
    return [_stored(row) for row in rows]


async def keep(connection: Connection, stored: StoredReconciliation) -> None:
    """Store a comparison in the caller's transaction."""
    body = reconciliations_pb2.ReconciliationChanged(differences=stored.differences)
    await connection.execute(
        _KEEP,
        [
            stored.venue,
            stored.account,
            stored.compared_time_ns,
            stored.agreed_time_ns,
            stored.unreadable,
            body.SerializeToString(deterministic=True),
            stored.changes,
        ],
    )


async def not_booked(
    connection: Connection, fills: Iterable[orders_pb2.Fill]
) -> dict[str, list[str]]:
    """The ids of those fills of which no event is stored, by symbol."""
    named = {fill_subject(fill): fill for fill in fills}
    rows = await connection.execute(_BOOKED, [list(named)])
    known = {subject for (subject,) in await rows.fetchall()}
    missed: dict[str, list[str]] = {}
    for subject in sorted(named.keys() - known):
        missed.setdefault(named[subject].symbol, []).append(named[subject].fill_id)
    return missed


def account_of(stored: StoredReconciliation) -> AccountKey:
    return stored.venue, stored.account


def _names(differences: Iterable[Difference]) -> set[tuple[Any, ...]]:
    """What differs lastingly, and why."""
    return {(reconciliation.key_of(one), one.cause) for one in reconciliation.lasting(differences)}


def _stored(row: tuple[Any, ...]) -> StoredReconciliation:
    venue, account, compared_ns, agreed_ns, unreadable, body, changes = row
    found = reconciliations_pb2.ReconciliationChanged.FromString(bytes(body))
    return StoredReconciliation(
        venue, account, compared_ns, agreed_ns, unreadable, found.differences, changes
    )
