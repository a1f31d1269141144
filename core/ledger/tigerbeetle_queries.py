"""Reads the ledger in TigerBeetle: totals from there, texts and times from PostgreSQL.

Whoever reads totals keeps others from committing groups meanwhile, and first makes the transfers
that are missing. So TigerBeetle has exactly the groups that PostgreSQL has.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import groupby

from core.ledger.accounts import AccountKey
from core.ledger.position_store import load_positions
from core.ledger.postgres_queries import (
    ALL,
    Holdings,
    PostgresQueries,
    head_in,
    selection_of,
    totals_in,
)
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
from core.ledger.tigerbeetle_book import LedgersDiffer, TigerBeetleBook
from core.ledger.verification import Findings
from kit.base.database import Connection, Database

# Whoever books waits with its last statement.
_LOCK = "LOCK TABLE ledger_head IN SHARE MODE"


class TigerBeetleQueries:
    """Implements LedgerQueries. Methods raise LedgersDiffer too."""

    def __init__(self, database: Database, book: TigerBeetleBook) -> None:
        self._database = database
        self._book = book
        self._postgres = PostgresQueries(database)

    async def accounts(self, selection: AccountSelection, page: Page) -> tuple[list[Totals], Head]:
        async with self._settled() as (connection, head):
            return await self._book.totals(await totals_in(connection, selection, page)), head

    async def balances(
        self, selection: AccountSelection, time_ns: int, page: Page
    ) -> tuple[list[BalanceAt], Head]:
        totals, head = await self.accounts(selection, page)
        if any(row.newest_time_ns > time_ns for row in totals):
            # TigerBeetle has the order of booking only.
            return await self._postgres.balances(selection, time_ns, page)
        return [
            BalanceAt(row.account_id, row.key, row.debits - row.credits) for row in totals
        ], head

    async def entries(
        self,
        account: AccountKey,
        start_time_ns: int,
        end_time_ns: int,
        page: Page,
        *,
        newest_first: bool = False,
    ) -> list[EntryRow]:
        return await self._postgres.entries(
            account, start_time_ns, end_time_ns, page, newest_first=newest_first
        )

    async def groups(self, after: int, limit: int) -> list[StoredGroup]:
        return await self._postgres.groups(after, limit)

    async def groups_named(self, group_ids: Sequence[str]) -> list[StoredGroup]:
        return await self._postgres.groups_named(group_ids)

    async def equity_history(
        self, venue: str, account: str, times: EquityTimes
    ) -> tuple[list[EquityAt], Head]:
        return await self._postgres.equity_history(venue, account, times)

    async def holdings(self, venue: str, account: str) -> Holdings:
        """The totals and the open positions of a venue and account; "": of all."""
        async with self._settled() as (connection, head):
            rows = await totals_in(connection, selection_of(venue, account), ALL)
            positions = await load_positions(connection, venue, account)
            return Holdings(await self._book.totals(rows), positions, head)

    async def trial_balance(self, venue: str) -> tuple[list[AssetSums], Head]:
        totals, head = await self.accounts(selection_of(venue, ""), ALL)
        totals.sort(key=_asset)
        return [_sums(asset, list(rows)) for asset, rows in groupby(totals, _asset)], head

    async def verify(self) -> Findings:
        """Compute the ledger in PostgreSQL again, and compare TigerBeetle with it."""
        findings = await self._postgres.verify()
        try:
            await self._compare(findings)
        except LedgersDiffer as error:
            findings.add(str(error))
        return findings

    async def _compare(self, findings: Findings) -> None:
        async with self._settled() as (connection, head):
            own = await totals_in(connection, selection_of("", ""), ALL)
            for row, other in zip(own, await self._book.totals(own), strict=True):
                if row != other:
                    findings.add(f"account {row.account_id}: TigerBeetle has other totals")
        # Ignores groups booked during the verification.
        async with self._database.transaction() as connection:
            async for text in self._book.differences(connection, head.group_number):
                findings.add(text)

    @asynccontextmanager
    async def _settled(self) -> AsyncIterator[tuple[Connection, Head]]:
        """A transaction during which both stores have the same groups."""
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK)
            await self._book.settle(connection)
            yield connection, await head_in(connection)


def _asset(row: Totals) -> str:
    return row.key.asset


def _sums(asset: str, rows: Sequence[Totals]) -> AssetSums:
    return AssetSums(
        asset,
        sum(row.debits for row in rows),
        sum(row.credits for row in rows),
        len(rows),
        sum(row.entries for row in rows),
    )
