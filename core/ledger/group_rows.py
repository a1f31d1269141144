"""Groups as they were booked, from PostgreSQL."""

from collections.abc import Sequence
from typing import Any

from core.ledger.accounts import AccountKey
from core.ledger.postings import Posting, PostingGroup, PostingKind
from core.ledger.store import StoredGroup
from kit.base.database import Connection

_KEY = ("code", "venue", "account", "asset", "symbol", "strategy")
_SIDES = ", ".join(f"{side}.{name}" for side in ("debit", "credit") for name in _KEY)
_GROUPS = (
    "SELECT group_number, group_id, kind, time_ns, booked_time_ns, event_id, caller, detail,"
    " content_hash FROM ledger_groups WHERE"
)
_AFTER = f"{_GROUPS} group_number > %s ORDER BY group_number LIMIT %s"
_NAMED = f"{_GROUPS} group_id = ANY (%s) ORDER BY group_number"
_POSTINGS = (
    f"SELECT group_number, amount, {_SIDES} FROM ledger_entries AS entry"
    " JOIN ledger_accounts AS debit ON debit.account_id = entry.account_id"
    " JOIN ledger_accounts AS credit ON credit.account_id = entry.other_account_id"
    " WHERE group_number = ANY (%s) AND amount > 0 ORDER BY group_number, ordinal"
)


async def groups_after(connection: Connection, number: int, limit: int) -> list[StoredGroup]:
    """The groups that follow one, in their order."""
    rows = await connection.execute(_AFTER, [number, limit])
    return await _with_postings(connection, await rows.fetchall())


async def groups_named(connection: Connection, group_ids: Sequence[str]) -> list[StoredGroup]:
    """The groups with these ids, in their order."""
    rows = await connection.execute(_NAMED, [list(group_ids)])
    return await _with_postings(connection, await rows.fetchall())


async def _with_postings(connection: Connection, groups: Sequence[Any]) -> list[StoredGroup]:
    postings: dict[int, list[Posting]] = {row[0]: [] for row in groups}
    async for row in await connection.execute(_POSTINGS, [list(postings)]):
        debit, credit = AccountKey(*row[2:8]), AccountKey(*row[8:14])
        postings[row[0]].append(Posting(debit, credit, int(row[1])))
    return [
        StoredGroup(
            row[0],
            PostingGroup(
                row[1],
                PostingKind(row[2]),
                row[3],
                tuple(postings[row[0]]),
                bytes(row[5]),
                caller=row[6],
                detail=row[7],
            ),
            row[4],
            bytes(row[8]),
        )
        for row in groups
    ]
