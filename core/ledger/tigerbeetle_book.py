"""The postings of a ledger as transfers in TigerBeetle.

A posting is a transfer, an asset a ledger, and our code the code of an account. Postings become
transfers once they are committed in PostgreSQL, in their order and each under an id of its own. So
TigerBeetle has a first part of what PostgreSQL has, and its newest transfer says how far it goes.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from typing import NamedTuple, TypeVar
from uuid import UUID

from tigerbeetle import (
    Account,
    ClientAsync,
    CreateAccountStatus,
    CreateTransferStatus,
    QueryFilter,
    QueryFilterFlags,
    Transfer,
    TransferFlags,
)

from core.ledger.store import Totals
from core.ledger.tigerbeetle_client import TIGERBEETLE, TigerBeetleClient
from kit.base.database import Connection
from kit.base.errors import StoreUnavailable

REQUEST_EVENTS_MAX = 240
"""In a request; a server that is started with --development takes 32 KiB."""
ORDINAL_BITS = 16
ID_BITS = 64
ID_END = 1 << ID_BITS

Item = TypeVar("Item")

_LEDGER_ID = "SELECT ledger_id FROM ledger_head"
_ACCOUNTS = (
    # The first account of an asset gives it its number.
    "SELECT account_id, code, (SELECT min(account_id) FROM ledger_accounts AS first"
    " WHERE first.asset = account.asset) FROM ledger_accounts AS account"
    " WHERE account_id = ANY (%s)"
)
_POSTINGS = (
    "SELECT group_number, ordinal, account_id, other_account_id, amount, entry.time_ns, kind"
    " FROM ledger_entries AS entry JOIN ledger_groups USING (group_number)"
    " WHERE (group_number, ordinal) >= (%s, %s) AND amount > 0"
    " ORDER BY group_number, ordinal LIMIT %s"
)


class LedgersDiffer(StoreUnavailable):
    """TigerBeetle has something else than PostgreSQL. Nothing is booked until this is solved."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text}; see docs/LEDGER.md, TigerBeetle", store=TIGERBEETLE)


class _Posting(NamedTuple):
    """A posting, as both stores have it."""

    group_number: int
    ordinal: int
    debit: int
    """Account id."""
    credit: int
    amount: int
    time_ns: int
    kind: int
    asset: int

    @property
    def place(self) -> int:
        """Its id within the ledger, in the order of the postings."""
        return self.group_number << ORDINAL_BITS | self.ordinal

    def __str__(self) -> str:
        return f"posting {self.ordinal} of group {self.group_number}"


class TigerBeetleBook:
    """The accounts and transfers of the ledger of a database. Methods raise StoreUnavailable."""

    def __init__(self, client: TigerBeetleClient) -> None:
        self._client = client
        self._turn = asyncio.Lock()
        self._ledger_id = 0
        self._assets: dict[int, int] = {}
        """The numbers of the assets of accounts that were opened, by account id."""
        self._last: _Posting | None = None
        """The newest transfer after the last call."""

    async def settle(self, connection: Connection) -> None:
        """Make transfers of the postings that TigerBeetle does not have.

        The transaction of ``connection`` sees what others commit, or keeps them from it. Raises
        LedgersDiffer.
        """
        async with self._turn:
            if not self._ledger_id:
                self._ledger_id = await _ledger_id(connection)
            newest = await self._newest()
            if newest != self._last:
                # Another process has made transfers, or the servers have lost all.
                self._assets.clear()
            while missing := await self._missing(connection, newest):
                refusals = await self._post(missing)
                # Those that are there were made by another process, which was faster.
                before, newest = newest, await self._newest() if refusals else missing[-1]
                if newest == before:
                    raise LedgersDiffer(f"{missing[0]}: TigerBeetle refuses it, {refusals}")
            self._last = newest

    async def totals(self, rows: Sequence[Totals]) -> list[Totals]:
        """The same accounts with the totals that TigerBeetle has. Raises LedgersDiffer."""
        found: dict[int, Account] = {}
        for part in _parts([self._id(row.account_id) for row in rows]):
            answer = await self._client.ask(partial(ClientAsync.lookup_accounts, accounts=part))
            found |= {one.id % ID_END: one for one in answer}
        if missing := [row.account_id for row in rows if row.account_id not in found]:
            raise LedgersDiffer(f"TigerBeetle does not have account {missing[0]}")
        return [
            row._replace(
                debits=found[row.account_id].debits_posted,
                credits=found[row.account_id].credits_posted,
            )
            for row in rows
        ]

    async def differences(self, connection: Connection, group_number: int) -> AsyncIterator[str]:
        """What is wrong with the transfers of the groups up to one."""
        place = (0, 0)
        while postings := await self._postings(connection, *place):
            own = [one for one in postings if one.group_number <= group_number]
            ids = [self._id(one.place) for one in own]
            answer = await self._client.ask(partial(ClientAsync.lookup_transfers, transfers=ids))
            found = {one.place: one for one in map(_posting, answer)}
            for one in own:
                other = found.get(one.place)
                if other is None:
                    yield f"{one}: TigerBeetle does not have it"
                elif other != one:
                    yield f"{one}: TigerBeetle has {other[2:]}, PostgreSQL has {one[2:]}"
            if len(own) < len(postings):
                return
            place = postings[-1].group_number, postings[-1].ordinal + 1

    def _id(self, number: int) -> int:
        """The id of an account or a transfer; ledgers may share the servers."""
        return self._ledger_id >> ID_BITS << ID_BITS | number

    async def _newest(self) -> _Posting | None:
        wanted = QueryFilter(
            user_data_128=self._ledger_id,
            user_data_64=0,
            user_data_32=0,
            ledger=0,
            code=0,
            timestamp_min=0,
            timestamp_max=0,
            limit=1,
            flags=QueryFilterFlags.REVERSED,
        )
        found = await self._client.ask(lambda client: client.query_transfers(wanted))
        return _posting(found[0]) if found else None

    async def _missing(self, connection: Connection, newest: _Posting | None) -> list[_Posting]:
        """The first postings after the newest transfer, whose accounts are open."""
        if newest is None:
            return await self._postings(connection, 0, 0)
        found = await self._postings(connection, newest.group_number, newest.ordinal)
        if not found or found[0] != newest:
            raise LedgersDiffer(f"{newest}: PostgreSQL does not have what TigerBeetle has")
        return found[1:]

    async def _postings(
        self, connection: Connection, group_number: int, ordinal: int
    ) -> list[_Posting]:
        """The postings from one on, whose accounts are open."""
        values = [group_number, ordinal, REQUEST_EVENTS_MAX]
        rows = await (await connection.execute(_POSTINGS, values)).fetchall()
        used = {account_id for row in rows for account_id in row[2:4]}
        await self._open(connection, sorted(used - self._assets.keys()))
        return [
            _Posting._make((*row[:4], int(row[4]), *row[5:7], self._assets[row[2]])) for row in rows
        ]

    async def _open(self, connection: Connection, account_ids: list[int]) -> None:
        rows = await (await connection.execute(_ACCOUNTS, [account_ids])).fetchall()
        for part in _parts(rows):
            accounts = [
                Account(
                    id=self._id(account_id),
                    user_data_128=self._ledger_id,
                    ledger=asset,
                    code=code,
                )
                for account_id, code, asset in part
            ]
            answer = await self._client.ask(partial(ClientAsync.create_accounts, accounts=accounts))
            for result in answer:
                if result.status not in (CreateAccountStatus.CREATED, CreateAccountStatus.EXISTS):
                    raise LedgersDiffer(f"TigerBeetle refuses an account, {result.status.name}")
            self._assets |= {account_id: asset for account_id, _, asset in part}

    async def _post(self, postings: Sequence[_Posting]) -> set[str]:
        """Make transfers, all or none. Returns why they were refused."""
        transfers = [
            Transfer(
                id=self._id(one.place),
                debit_account_id=self._id(one.debit),
                credit_account_id=self._id(one.credit),
                amount=one.amount,
                user_data_128=self._ledger_id,
                user_data_64=one.time_ns,
                ledger=one.asset,
                code=one.kind,
                flags=TransferFlags.LINKED,
            )
            for one in postings
        ]
        transfers[-1].flags = TransferFlags.NONE
        answer = await self._client.ask(lambda client: client.create_transfers(transfers))
        statuses = {one.status for one in answer}
        expected = {CreateTransferStatus.CREATED, CreateTransferStatus.LINKED_EVENT_FAILED}
        return {status.name for status in statuses - expected}


async def _ledger_id(connection: Connection) -> int:
    row = await (await connection.execute(_LEDGER_ID)).fetchone()
    if row is None:
        raise LookupError("the table ledger_head is empty")
    found: UUID = row[0]
    return found.int


def _posting(transfer: Transfer) -> _Posting:
    place = transfer.id % ID_END
    return _Posting(
        place >> ORDINAL_BITS,
        place % (1 << ORDINAL_BITS),
        transfer.debit_account_id % ID_END,
        transfer.credit_account_id % ID_END,
        transfer.amount,
        transfer.user_data_64,
        transfer.code,
        transfer.ledger,
    )


def _parts(items: list[Item]) -> Iterator[list[Item]]:
    """As many as fit into a request."""
    for start in range(0, len(items), REQUEST_EVENTS_MAX):
        yield items[start : start + REQUEST_EVENTS_MAX]
