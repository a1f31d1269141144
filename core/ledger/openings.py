"""What accounts had before the ledger knew them, as postings."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from core.ledger.accounts import AccountCode, AccountKey
from core.ledger.execution_events import Execution
from core.ledger.posting_rules import InstrumentAccounts
from core.ledger.postings import Posting, PostingKind, move
from kit.base.database import Connection
from kit.events.subjects import opening_group_id

Place = tuple[str, str]
"""Venue and account."""

_TIMES = "SELECT group_id, time_ns FROM ledger_groups WHERE group_id = ANY (%s)"
_CASH = (
    "SELECT account.asset, sum(entry.amount) FROM ledger_accounts AS account"
    " JOIN ledger_entries AS entry USING (account_id)"
    f" WHERE account.code IN ({AccountCode.CASH}, {AccountCode.MARGIN})"
    " AND account.venue = %s AND account.account = %s AND entry.time_ns <= %s"
    " GROUP BY account.asset"
)
_CLEARING = (
    "SELECT account.symbol, account.asset, sum(entry.amount) FROM ledger_accounts AS account"
    " JOIN ledger_entries AS entry USING (account_id)"
    " JOIN ledger_contracts AS terms ON (terms.venue, terms.symbol, terms.settle)"
    "  = (account.venue, account.symbol, account.asset)"
    f" WHERE account.code = {AccountCode.POSITION} AND account.strategy = ''"
    " AND account.venue = %s AND account.account = %s AND entry.time_ns <= %s"
    # What strategies have realised and the account has not stands there too.
    " AND NOT EXISTS (SELECT FROM ledger_positions AS held WHERE held.strategy <> ''"
    "  AND (held.venue, held.account, held.symbol)"
    "  = (account.venue, account.account, account.symbol))"
    " GROUP BY account.symbol, account.asset"
)


class Openings:
    """The times of which the opening balances are. What happened up to then is in them."""

    def __init__(self) -> None:
        self._times_ns: dict[Place, int | None] = {}

    def forget(self) -> None:
        """Read them again: another process has booked."""
        self._times_ns.clear()

    async def read(self, connection: Connection, executions: Iterable[Execution]) -> None:
        """Read those of the accounts of executions."""
        places = {(one.accounts.venue, one.accounts.account) for one in executions}
        wanted = {opening_group_id(*place): place for place in places - self._times_ns.keys()}
        if not wanted:
            return
        self._times_ns |= dict.fromkeys(wanted.values())
        rows = await connection.execute(_TIMES, [list(wanted)])
        async for group_id, time_ns in rows:
            self._times_ns[wanted[group_id]] = time_ns

    def time_ns(self, venue: str, account: str) -> int:
        """Of which the opening is; -1: there is none."""
        found = self._times_ns.get((venue, account))
        return -1 if found is None else found

    def add(self, execution: Execution) -> None:
        """Note an opening that is booked now."""
        self._times_ns[execution.accounts.venue, execution.accounts.account] = execution.time_ns

    def corrected(self, execution: Execution, postings: Sequence[Posting]) -> tuple[Posting, ...]:
        """The postings of an execution; if it is one of before the opening, also those that take
        back what they change: what the account had then was stated."""
        accounts = execution.accounts
        opened_ns = self.time_ns(accounts.venue, accounts.account)
        if execution.kind is PostingKind.OPENING or execution.time_ns > opened_ns:
            return tuple(postings)
        return (*postings, *_taken_back(execution, postings))


async def opening_postings(connection: Connection, execution: Execution) -> tuple[Posting, ...]:
    """The postings that make the cash of an account that which the venue has stated."""
    accounts = InstrumentAccounts(execution.accounts.venue, execution.accounts.account, "")
    arguments = (accounts.venue, accounts.account, execution.time_ns)
    missing = defaultdict(int, execution.opened_balances())
    async for asset, booked in await connection.execute(_CASH, arguments):
        missing[asset] -= int(booked)
    postings: list[Posting] = []
    for asset, amount in sorted(missing.items()):
        outside = accounts.of(AccountCode.EXTERNAL, asset)
        postings += move(accounts.cash(asset), outside, amount)
    rows = await (await connection.execute(_CLEARING, arguments)).fetchall()
    for symbol, asset, unsettled in sorted(rows):
        if missing[asset]:
            # Not all executions are known, so nobody knows what is still to be settled.
            clearing = InstrumentAccounts(*arguments[:2], symbol).clearing(asset)
            outside = accounts.of(AccountCode.EXTERNAL, asset)
            postings += move(outside, clearing, int(unsettled))
    return tuple(postings)


def _taken_back(execution: Execution, postings: Iterable[Posting]) -> Iterator[Posting]:
    codes = {AccountCode.CASH}
    if execution.kind is PostingKind.SETTLEMENT:
        codes.add(AccountCode.POSITION)
    changes: defaultdict[AccountKey, int] = defaultdict(int)
    for posting in postings:
        for key, amount in ((posting.debit, posting.amount), (posting.credit, -posting.amount)):
            if key.code in codes:
                changes[key] += amount
    for key, amount in sorted(changes.items()):
        outside = AccountKey(AccountCode.EXTERNAL, key.venue, key.account, key.asset)
        yield from move(outside, key, amount)
