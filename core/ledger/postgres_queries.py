"""Reads the ledger in PostgreSQL."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from core.ledger.accounts import CONTRACT_PREFIX, AccountCode, AccountKey
from core.ledger.group_rows import groups_after, groups_named
from core.ledger.position_store import load_positions
from core.ledger.postings import PostingKind
from core.ledger.profit import OpenPosition
from core.ledger.store import (
    AccountSelection,
    AssetSums,
    BalanceAt,
    EntryRow,
    EquityAt,
    EquityTimes,
    Head,
    Page,
    StoredGroup,
    Totals,
)
from core.ledger.verification import Findings, verify
from kit.base.database import Connection, Database

INT64_MAX = 2**63 - 1
ALL = Page(0, INT64_MAX)

_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_HEAD = "SELECT group_number, booked_time_ns, chain_hash FROM ledger_head"
_KEY = ("code", "venue", "account", "asset", "symbol", "strategy")
_KEY_NAMES = ", ".join(_KEY)
_OTHER = ", ".join(f"other.{name}" for name in _KEY)
_SELECTED = "account_id > %(after)s AND " + " AND ".join(
    f"(NOT %(exact)s AND %({name})s = {empty} OR {name} = %({name})s)"
    for name, empty in zip(_KEY, ("0", *["''"] * 5), strict=True)
)
_ACCOUNTS = (
    f"SELECT account_id, {_KEY_NAMES}, debits, credits, entries, newest_time_ns"
    f" FROM ledger_accounts WHERE {_SELECTED} ORDER BY account_id LIMIT %(limit)s"
)
_BALANCE_AT = (
    # The last entry up to which nothing is newer,
    " LEFT JOIN LATERAL (SELECT balance, number FROM ledger_entries AS entry"
    "  WHERE entry.account_id = account.account_id AND entry.newest_time_ns <= {time_ns}"
    "  ORDER BY entry.newest_time_ns DESC, number DESC LIMIT 1) AS whole ON true"
    # and those after it that came late.
    " LEFT JOIN LATERAL (SELECT sum(amount) AS amount FROM ledger_entries AS entry"
    "  WHERE entry.account_id = account.account_id AND entry.time_ns < entry.newest_time_ns"
    "  AND entry.time_ns <= {time_ns} AND number > coalesce(whole.number, 0)) AS late ON true"
)
_BALANCE = "coalesce(whole.balance, 0) + coalesce(late.amount, 0)"
_BALANCES = (
    f"SELECT account_id, {_KEY_NAMES}, {_BALANCE}"
    f" FROM (SELECT * FROM ledger_accounts WHERE {_SELECTED} ORDER BY account_id"
    "  LIMIT %(limit)s) AS account"
    f"{_BALANCE_AT.format(time_ns='%(time_ns)s')} ORDER BY account_id"
)
_HAS_VALUE = (
    f"{_SELECTED} AND code <> {AccountCode.EXTERNAL}"
    f" AND NOT starts_with(asset, '{CONTRACT_PREFIX}')"
)
_FIRST_TIME = (
    "SELECT min(time_ns) FROM ledger_entries WHERE number = 1 AND account_id IN"
    f" (SELECT account_id FROM ledger_accounts WHERE {_HAS_VALUE})"
)
_OWNED = f"({AccountCode.CASH}, {AccountCode.POSITION}, {AccountCode.MARGIN})"
_EQUITY_HISTORY = (
    f"SELECT asset, time_ns, coalesce(sum({_BALANCE}) FILTER (WHERE code IN {_OWNED}), 0),"
    f" coalesce(-sum({_BALANCE}) FILTER (WHERE code NOT IN {_OWNED}), 0)"
    f" FROM (SELECT * FROM ledger_accounts WHERE {_HAS_VALUE}) AS account"
    " CROSS JOIN unnest(%(times_ns)s::bigint[]) AS point (time_ns)"
    f"{_BALANCE_AT.format(time_ns='point.time_ns')}"
    ' GROUP BY asset, time_ns ORDER BY asset COLLATE "C", time_ns'
)
_ENTRIES = (
    f"SELECT number, {_OTHER}, amount, balance, group_id, group_number, kind, entry.time_ns,"
    " booked_time_ns, event_id, detail FROM ("
    " (SELECT * FROM ledger_entries"
    "  WHERE account_id = %(account_id)s AND number {follows} %(after)s"
    "  AND time_ns = newest_time_ns AND newest_time_ns >= %(start_ns)s"
    "  AND newest_time_ns < %(end_ns)s ORDER BY newest_time_ns {order}, number {order}"
    "  LIMIT %(limit)s)"
    " UNION ALL"
    " (SELECT * FROM ledger_entries"
    "  WHERE account_id = %(account_id)s AND number {follows} %(after)s"
    "  AND time_ns < newest_time_ns AND time_ns >= %(start_ns)s"
    "  AND time_ns < %(end_ns)s ORDER BY number {order} LIMIT %(limit)s)"
    ") AS entry JOIN ledger_groups AS booked USING (group_number)"
    " JOIN ledger_accounts AS other ON other.account_id = other_account_id"
    " ORDER BY number {order} LIMIT %(limit)s"
)
_OLDEST_FIRST = _ENTRIES.replace("{follows}", ">").replace("{order}", "ASC")
_NEWEST_FIRST = _ENTRIES.replace("{follows}", "<").replace("{order}", "DESC")
_TRIAL_BALANCE = (
    "SELECT asset, sum(sums.debits), sum(sums.credits), count(*), sum(sums.entries)::bigint FROM ("
    " SELECT account_id, coalesce(sum(amount) FILTER (WHERE amount > 0), 0) AS debits,"
    "  coalesce(-sum(amount) FILTER (WHERE amount < 0), 0) AS credits, count(*) AS entries"
    " FROM ledger_entries GROUP BY account_id) AS sums"
    " JOIN ledger_accounts USING (account_id) WHERE %(venue)s IN ('', venue)"
    ' GROUP BY asset ORDER BY asset COLLATE "C"'
)


class Holdings(NamedTuple):
    """What accounts have, all of one moment."""

    totals: list[Totals]
    positions: list[OpenPosition]
    head: Head


class PostgresQueries:
    """Implements LedgerQueries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def accounts(self, selection: AccountSelection, page: Page) -> tuple[list[Totals], Head]:
        async with self._snapshot() as (connection, head):
            return await totals_in(connection, selection, page), head

    async def balances(
        self, selection: AccountSelection, time_ns: int, page: Page
    ) -> tuple[list[BalanceAt], Head]:
        values = {**_selected(selection, page), "time_ns": time_ns}
        async with self._snapshot() as (connection, head):
            rows = await connection.execute(_BALANCES, values)
            found = [BalanceAt(row[0], AccountKey(*row[1:7]), int(row[7])) async for row in rows]
        return found, head

    async def entries(
        self,
        account: AccountKey,
        start_time_ns: int,
        end_time_ns: int,
        page: Page,
        *,
        newest_first: bool = False,
    ) -> list[EntryRow]:
        exact = _selected(AccountSelection(account, is_exact=True), Page(0, 1))
        async with self._snapshot() as (connection, _):
            row = await (await connection.execute(_ACCOUNTS, exact)).fetchone()
            if row is None:
                return []
            values = {
                "account_id": row[0],
                "start_ns": start_time_ns,
                "end_ns": end_time_ns,
                **page._asdict(),
            }
            if newest_first:
                values["after"] = page.after or INT64_MAX
            query = _NEWEST_FIRST if newest_first else _OLDEST_FIRST
            rows = await connection.execute(query, values)
            return [_entry(row) async for row in rows]

    async def groups(self, after: int, limit: int) -> list[StoredGroup]:
        async with self._snapshot() as (connection, _):
            return await groups_after(connection, after, limit)

    async def groups_named(self, group_ids: Sequence[str]) -> list[StoredGroup]:
        async with self._snapshot() as (connection, _):
            return await groups_named(connection, group_ids)

    async def equity_history(
        self, venue: str, account: str, times: EquityTimes
    ) -> tuple[list[EquityAt], Head]:
        values = _selected(selection_of(venue, account), ALL)
        async with self._snapshot() as (connection, head):
            first = await (await connection.execute(_FIRST_TIME, values)).fetchone()
            if first is None or first[0] is None:
                return [], head
            times_ns = times.spread(first[0])
            rows = await connection.execute(_EQUITY_HISTORY, {**values, "times_ns": times_ns})
            found = [EquityAt(row[0], row[1], int(row[2]), int(row[3])) async for row in rows]
        return found, head

    async def holdings(self, venue: str, account: str) -> Holdings:
        """The totals and the open positions of a venue and account; "": of all."""
        async with self._snapshot() as (connection, head):
            totals = await totals_in(connection, selection_of(venue, account), ALL)
            return Holdings(totals, await load_positions(connection, venue, account), head)

    async def trial_balance(self, venue: str) -> tuple[list[AssetSums], Head]:
        async with self._snapshot() as (connection, head):
            rows = await connection.execute(_TRIAL_BALANCE, {"venue": venue})
            sums = [
                AssetSums(row[0], int(row[1]), int(row[2]), row[3], row[4]) async for row in rows
            ]
        return sums, head

    async def verify(self) -> Findings:
        """Compute the ledger again, as it is now."""
        return await verify(self._database)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[tuple[Connection, Head]]:
        """A transaction in which all that is read is of one time, and the newest group of then."""
        async with self._database.transaction() as connection:
            await connection.execute(_SNAPSHOT)
            yield connection, await head_in(connection)


async def head_in(connection: Connection) -> Head:
    """The newest group; its number is 0 where there is none."""
    row = await (await connection.execute(_HEAD)).fetchone()
    if row is None:
        raise LookupError("the table ledger_head is empty")
    return Head(row[0], row[1], bytes(row[2]))


async def totals_in(
    connection: Connection, selection: AccountSelection, page: Page
) -> list[Totals]:
    """Accounts with their totals, by id."""
    rows = await connection.execute(_ACCOUNTS, _selected(selection, page))
    return [_totals(row) async for row in rows]


def selection_of(venue: str, account: str) -> AccountSelection:
    """The accounts of a venue and account; "": of all."""
    return AccountSelection(AccountKey(0, venue, account, ""))


def _selected(selection: AccountSelection, page: Page) -> dict[str, object]:
    parts = selection.parts._asdict() | {"code": int(selection.parts.code)}
    return {**parts, "exact": selection.is_exact, **page._asdict()}


def _totals(row: Any) -> Totals:
    return Totals(row[0], AccountKey(*row[1:7]), int(row[7]), int(row[8]), row[9], row[10])


def _entry(row: Any) -> EntryRow:
    return EntryRow(
        number=row[0],
        other=AccountKey(*row[1:7]),
        amount=int(row[7]),
        balance=int(row[8]),
        group_id=row[9],
        group_number=row[10],
        kind=PostingKind(row[11]),
        time_ns=row[12],
        booked_time_ns=row[13],
        event_id=bytes(row[14]),
        detail=row[15],
    )
