"""Computes the ledger again from its entries, in PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from core.ledger.group_rows import groups_after
from core.ledger.postgres_store import chained
from kit.base.database import Connection, Database

FINDINGS_MAX = 100
GROUPS_READ_MAX = 500

_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_HEAD = "SELECT group_number, chain_hash FROM ledger_head"
_ENTRIES = "SELECT count(*) FROM ledger_entries"
_CHECKS = {
    "account {0}: its totals are not the sums of its entries": (
        "SELECT account.account_id FROM ledger_accounts AS account LEFT JOIN ("
        " SELECT account_id, coalesce(sum(amount) FILTER (WHERE amount > 0), 0) AS debits,"
        "  coalesce(-sum(amount) FILTER (WHERE amount < 0), 0) AS credits, count(*) AS entries,"
        "  max(number) AS last, max(time_ns) AS newest FROM ledger_entries GROUP BY account_id"
        ") AS sums USING (account_id) WHERE account.debits <> coalesce(sums.debits, 0)"
        " OR account.credits <> coalesce(sums.credits, 0)"
        " OR account.entries <> coalesce(sums.entries, 0)"
        " OR account.entries <> coalesce(sums.last, 0)"
        " OR account.newest_time_ns <> coalesce(sums.newest, 0)"
    ),
    "entry {1} of account {0}: its balance is not the sum up to it": (
        "SELECT account_id, number FROM (SELECT account_id, number, balance,"
        " sum(amount) OVER (PARTITION BY account_id ORDER BY number) AS whole FROM ledger_entries"
        ") AS entry WHERE balance <> whole"
    ),
    "posting {1} of group {0}: its two sides differ": (
        "SELECT group_number, ordinal FROM ledger_entries GROUP BY group_number, ordinal"
        " HAVING count(*) <> 2 OR sum(amount) <> 0"
    ),
    "account {0}: it is of another asset than account {1}, to which it posts": (
        "SELECT DISTINCT own.account_id, other.account_id FROM ledger_entries AS entry"
        " JOIN ledger_accounts AS own ON own.account_id = entry.account_id"
        " JOIN ledger_accounts AS other ON other.account_id = entry.other_account_id"
        " WHERE own.asset <> other.asset"
    ),
    "entry {1} of account {0}: its group is not there": (
        "SELECT account_id, number FROM ledger_entries"
        " LEFT JOIN ledger_groups USING (group_number) WHERE group_id IS NULL"
    ),
}


@dataclass(slots=True)
class Findings:
    """The result of a verification."""

    texts: list[str] = field(default_factory=list)
    """What is wrong, at most FINDINGS_MAX."""
    groups: int = 0
    entries: int = 0

    def add(self, text: str) -> None:
        if len(self.texts) < FINDINGS_MAX:
            self.texts.append(text)


async def verify(database: Database) -> Findings:
    """Compute the ledger again, as it is now. Raises StoreUnavailable."""
    findings = Findings()
    async with database.transaction() as connection:
        await connection.execute(_SNAPSHOT)
        async for found in _numbers(connection, _ENTRIES):
            findings.entries = found[0]
        for text, statement in _CHECKS.items():
            async for numbers in _numbers(connection, f"{statement} LIMIT {FINDINGS_MAX}"):
                findings.add(text.format(*numbers))
        await _verify_groups(connection, findings)
    return findings


async def _verify_groups(connection: Connection, findings: Findings) -> None:
    """Compare the groups with their hashes, and these with the one of the head."""
    chain_hash, last = b"", 0
    while groups := await groups_after(connection, last, GROUPS_READ_MAX):
        for one in groups:
            if one.group_number != last + 1:
                findings.add(f"group {last + 1}: it is not there")
            last = one.group_number
            chain_hash = chained(chain_hash, one.content_hash)
            if one.group.content_hash() != one.content_hash:
                findings.add(f"group {one.group.group_id!r}: its content was changed")
            findings.groups += 1
        # Lets other calls run in between.
        await asyncio.sleep(0)
    row = await (await connection.execute(_HEAD)).fetchone()
    if row is None or (row[0], bytes(row[1])) != (last, chain_hash):
        findings.add(f"the groups up to {last} are not those of which the head has the hash")


async def _numbers(connection: Connection, statement: str) -> AsyncIterator[tuple[int, ...]]:
    rows = await connection.execute(statement.encode())
    async for row in rows:
        yield row
