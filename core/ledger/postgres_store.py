"""The ledger in PostgreSQL: groups and entries, booked in batches."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from core.ledger.accounts import AccountKey
from core.ledger.postings import TOTAL_END, PostingGroup
from core.ledger.store import Booked, Head
from kit.accounting.money import atoms_text
from kit.base.database import Connection
from kit.base.errors import AmountOutOfBounds, GroupIdReused

ACCOUNTS_KEPT_MAX = 100_000
"""Accounts whose totals are kept in memory."""

_LOCK = "SELECT group_number, booked_time_ns, chain_hash FROM ledger_head FOR UPDATE"
_KNOWN = "SELECT group_id, group_number, content_hash FROM ledger_groups WHERE group_id = ANY (%s)"
_KEY = ("code", "venue", "account", "asset", "symbol", "strategy")
_KEY_NAMES = ", ".join(_KEY)
_KEY_ARRAYS = "%s::smallint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[]"
_FIND = (
    f"SELECT {_KEY_NAMES}, account_id, debits, credits, entries, newest_time_ns"
    f" FROM unnest({_KEY_ARRAYS}) AS wanted ({_KEY_NAMES})"
    f" JOIN ledger_accounts USING ({_KEY_NAMES})"
)
_OPEN = (
    f"INSERT INTO ledger_accounts ({_KEY_NAMES}) SELECT * FROM unnest({_KEY_ARRAYS})"
    f" RETURNING {_KEY_NAMES}, account_id, debits, credits, entries, newest_time_ns"
)
_INSERT_GROUPS = (
    "INSERT INTO ledger_groups SELECT * FROM unnest(%s::bigint[], %s::text[], %s::smallint[],"
    " %s::bigint[], %s::bigint[], %s::bytea[], %s::text[], %s::text[], %s::bytea[])"
)
_COPY_ENTRIES = "COPY ledger_entries FROM STDIN"
_UPDATE_ACCOUNTS = (
    "UPDATE ledger_accounts AS account SET debits = new.debits, credits = new.credits,"
    " entries = new.entries, newest_time_ns = new.newest_time_ns"
    " FROM unnest(%s::bigint[], %s::numeric[], %s::numeric[], %s::bigint[], %s::bigint[])"
    " AS new (account_id, debits, credits, entries, newest_time_ns)"
    " WHERE account.account_id = new.account_id"
)
_UNKNOWN = Head(-1, 0, b"")
_ADVANCE = "UPDATE ledger_head SET group_number = %s, booked_time_ns = %s, chain_hash = %s"


class _Account:
    """The running totals of an account."""

    __slots__ = ("account_id", "credits", "debits", "entries", "newest_time_ns")

    def __init__(
        self, account_id: int, debits: int, credited: int, entries: int, newest_time_ns: int
    ) -> None:
        self.account_id = account_id
        self.debits = debits
        self.credits = credited
        self.entries = entries
        self.newest_time_ns = newest_time_ns

    def enter(self, amount: int, time_ns: int) -> tuple[int, int]:
        """Add an entry. Returns its number and the balance after it."""
        if amount > 0:
            self.debits += amount
        else:
            self.credits -= amount
        self.entries += 1
        self.newest_time_ns = max(self.newest_time_ns, time_ns)
        return self.entries, self.debits - self.credits


class PostgresStore:
    """Implements PostingStore."""

    def __init__(self) -> None:
        self._accounts: dict[AccountKey, _Account] = {}
        self._kept_for = Head(0, 0, b"")
        """The newest group for which ``_accounts`` are right."""

    @property
    def head(self) -> Head:
        return self._kept_for

    async def lock(self, connection: Connection) -> Head:
        row = await (await connection.execute(_LOCK)).fetchone()
        if row is None:
            raise LookupError("the table ledger_head is empty")
        head = Head(row[0], row[1], bytes(row[2]))
        if head != self._kept_for or len(self._accounts) > ACCOUNTS_KEPT_MAX:
            # Another process has booked, or a transaction was not committed.
            self._accounts.clear()
            self._kept_for = head
        return head

    async def known(self, connection: Connection, group_ids: Sequence[str]) -> set[str]:
        found = await connection.execute(_KNOWN, [list(group_ids)])
        return {row[0] async for row in found}

    async def book(
        self, connection: Connection, groups: Sequence[PostingGroup], now_ns: int
    ) -> list[Booked]:
        booked = await self._numbered(connection, groups)
        new = [one for one in booked if not one.is_repeated]
        if new:
            # Until all is written: after an error, ``_accounts`` have totals that were not.
            before, self._kept_for = self._kept_for, _UNKNOWN
            await self._read_accounts(connection, new)
            self._kept_for = await self._insert(connection, new, before, now_ns)
        return booked

    async def committed(self) -> None:
        """The transaction was all."""

    async def _numbered(
        self, connection: Connection, groups: Sequence[PostingGroup]
    ) -> list[Booked]:
        found = await connection.execute(_KNOWN, [[group.group_id for group in groups]])
        known = {row[0]: (row[1], bytes(row[2])) async for row in found}
        number = self._kept_for.group_number
        booked: list[Booked] = []
        for group in groups:
            content_hash = group.content_hash()
            before = known.get(group.group_id)
            if before is None:
                number += 1
                known[group.group_id] = number, content_hash
                booked.append(Booked(group, number, content_hash, is_repeated=False))
                continue
            if before[1] != content_hash:
                raise GroupIdReused(
                    f"a group {group.group_id!r} with other content was booked; use a new id",
                    group_id=group.group_id,
                )
            booked.append(Booked(group, *before, is_repeated=True))
        return booked

    async def _read_accounts(self, connection: Connection, booked: Iterable[Booked]) -> None:
        keys = {
            key: None
            for one in booked
            for posting in one.group.postings
            for key in (posting.debit, posting.credit)
            if key not in self._accounts
        }
        for statement in (_FIND, _OPEN):
            missing = [key for key in keys if key not in self._accounts]
            if missing:
                rows = await connection.execute(statement, key_columns(missing))
                async for row in rows:
                    self._accounts[AccountKey(*row[:6])] = _Account(
                        row[6], int(row[7]), int(row[8]), row[9], row[10]
                    )

    async def _insert(
        self, connection: Connection, booked: Sequence[Booked], before: Head, now_ns: int
    ) -> Head:
        booked_time_ns = max(now_ns, before.booked_time_ns)
        lines: list[str] = []
        changed: dict[int, _Account] = {}
        chain_hash = before.chain_hash
        for one in booked:
            chain_hash = chained(chain_hash, one.content_hash)
            self._enter(one, one.group.time_ns or booked_time_ns, lines, changed)
        columns = _columns(
            (
                one.group_number,
                one.group.group_id,
                int(one.group.kind),
                one.group.time_ns,
                booked_time_ns,
                one.group.event_id,
                one.group.caller,
                one.group.detail,
                one.content_hash,
            )
            for one in booked
        )
        await connection.execute(_INSERT_GROUPS, columns)
        if lines:
            async with connection.cursor() as cursor, cursor.copy(_COPY_ENTRIES) as copy:
                await copy.write("".join(lines))
            totals = _columns(
                (one.account_id, one.debits, one.credits, one.entries, one.newest_time_ns)
                for one in changed.values()
            )
            await connection.execute(_UPDATE_ACCOUNTS, totals)
        head = Head(booked[-1].group_number, booked_time_ns, chain_hash)
        await connection.execute(_ADVANCE, list(head))
        return head

    def _enter(
        self, booked: Booked, time_ns: int, lines: list[str], changed: dict[int, _Account]
    ) -> None:
        """Add the entries of a group to ``lines``, and their accounts to ``changed``."""
        for ordinal, posting in enumerate(booked.group.postings):
            debit, credit = self._accounts[posting.debit], self._accounts[posting.credit]
            for account, other, amount in (
                (debit, credit, posting.amount),
                (credit, debit, -posting.amount),
            ):
                number, balance = account.enter(amount, time_ns)
                lines.append(
                    f"{account.account_id}\t{number}\t{booked.group_number}\t{ordinal}"
                    f"\t{other.account_id}\t{amount}\t{balance}\t{time_ns}"
                    f"\t{account.newest_time_ns}\n"
                )
                changed[account.account_id] = account
            if max(debit.debits, credit.credits) >= TOTAL_END:
                raise AmountOutOfBounds(
                    f"group {booked.group.group_id!r} makes the total of an account too large",
                    field=f"transfers[{ordinal}].amount",
                    value=atoms_text(posting.amount),
                    allowed=f"totals below {atoms_text(TOTAL_END)}",
                )


def chained(chain_hash: bytes, content_hash: bytes) -> bytes:
    """The chained hash of all groups up to one."""
    return hashlib.sha256(chain_hash + content_hash).digest()


def key_columns(keys: Iterable[AccountKey]) -> list[list[Any]]:
    """The parts of keys as arguments of a statement."""
    return _columns((int(key.code), *key[1:]) for key in keys)


def _columns(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
