"""The interfaces of a ledger's store. ``tests/store_suite`` tests every implementation alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from venuemesh.ledger.v1 import postings_pb2

from core.ledger.accounts import AccountKey
from core.ledger.postings import PostingGroup, PostingKind, message_of
from kit.accounting.money import atoms_text
from kit.base.database import Connection


class Head(NamedTuple):
    """The newest group of a ledger."""

    group_number: int
    """0: there is none."""
    booked_time_ns: int
    chain_hash: bytes


class Booked(NamedTuple):
    """A booked group."""

    group: PostingGroup
    group_number: int
    content_hash: bytes
    is_repeated: bool
    """Whether it was booked before."""


@dataclass(frozen=True, slots=True)
class AccountSelection:
    """Which accounts to read: those that have these parts. A part that is empty or 0 selects all,
    unless ``is_exact``."""

    parts: AccountKey
    is_exact: bool = False


class Page(NamedTuple):
    """Which rows of a list to read: the first ones after a number."""

    after: int
    limit: int


class EquityTimes(NamedTuple):
    """The times of a history."""

    start_ns: int
    """0: of the first entry."""
    end_ns: int
    points: int
    """At least 2."""

    def spread(self, first_ns: int) -> list[int]:
        """All of them, where the first entry has a time."""
        start_ns = min(self.start_ns or first_ns, self.end_ns)
        length_ns, steps = self.end_ns - start_ns, self.points - 1
        return sorted({start_ns + length_ns * step // steps for step in range(self.points)})


class EquityAt(NamedTuple):
    """Equity and net profit in an asset at a time, in atoms."""

    asset: str
    time_ns: int
    at_cost: int
    profit: int


class Totals(NamedTuple):
    """The totals of an account, in atoms."""

    account_id: int
    key: AccountKey
    debits: int
    credits: int
    entries: int
    newest_time_ns: int


class BalanceAt(NamedTuple):
    """The balance of an account at a time, in atoms."""

    account_id: int
    key: AccountKey
    balance: int


class EntryRow(NamedTuple):
    """One account's side of a posting."""

    number: int
    other: AccountKey
    amount: int
    balance: int
    group_id: str
    group_number: int
    kind: PostingKind
    time_ns: int
    booked_time_ns: int
    event_id: bytes
    detail: str

    def message(self, account: AccountKey) -> postings_pb2.Entry:
        """The message of an entry of an account."""
        kind: postings_pb2.PostingKind.ValueType = int(self.kind)  # type: ignore[assignment]
        return postings_pb2.Entry(
            number=self.number,
            account=account.message(),
            other=self.other.message(),
            amount=atoms_text(self.amount),
            balance=atoms_text(self.balance),
            group_id=self.group_id,
            group_number=self.group_number,
            kind=kind,
            time_ns=self.time_ns,
            booked_time_ns=self.booked_time_ns,
            event_id=self.event_id,
            detail=self.detail,
        )


class AssetSums(NamedTuple):
    """The sums of all entries of one asset, in atoms."""

    asset: str
    debits: int
    credits: int
    accounts: int
    entries: int


class StoredGroup(NamedTuple):
    """A group as it was booked."""

    group_number: int
    group: PostingGroup
    booked_time_ns: int
    content_hash: bytes

    def message(self) -> postings_pb2.BookedGroup:
        return postings_pb2.BookedGroup(
            group_number=self.group_number,
            group=message_of(self.group),
            booked_time_ns=self.booked_time_ns,
            event_id=self.group.event_id,
            caller=self.group.caller,
            content_hash=self.content_hash,
        )


class PostingStore(Protocol):
    """Books groups, in the transaction of the caller."""

    @property
    def head(self) -> Head:
        """The newest group after the last call, as it is once the transaction is committed."""

    async def lock(self, connection: Connection) -> Head:
        """Lock the ledger until the end of the transaction, and return its newest group."""

    async def known(self, connection: Connection, group_ids: Sequence[str]) -> set[str]:
        """Those of the ids under which a group was booked."""

    async def book(
        self, connection: Connection, groups: Sequence[PostingGroup], now_ns: int
    ) -> list[Booked]:
        """Book groups, in their order, after ``lock``. A group that was booked is passed over.

        Raises GroupIdReused when its content was another, and AmountOutOfBounds when the total of
        an account becomes too large; the caller then ends the transaction without a commit.
        """

    async def committed(self) -> None:
        """Do the work after the commit. The next ``lock`` does any unfinished part."""


class LedgerQueries(Protocol):
    """Reads the ledger. Methods raise StoreUnavailable."""

    async def accounts(self, selection: AccountSelection, page: Page) -> tuple[list[Totals], Head]:
        """Accounts with their totals, by id."""

    async def balances(
        self, selection: AccountSelection, time_ns: int, page: Page
    ) -> tuple[list[BalanceAt], Head]:
        """Balances after everything that happened at or before a time, by account id."""

    async def entries(
        self,
        account: AccountKey,
        start_time_ns: int,
        end_time_ns: int,
        page: Page,
        *,
        newest_first: bool = False,
    ) -> list[EntryRow]:
        """The entries of one account that happened in a time range, by number; with
        ``newest_first`` from the last one on, and a page after number 0 begins there."""

    async def groups(self, after: int, limit: int) -> list[StoredGroup]:
        """The groups that follow one, in their order."""

    async def groups_named(self, group_ids: Sequence[str]) -> list[StoredGroup]:
        """Those of the groups with these ids that are booked, in their order."""

    async def equity_history(
        self, venue: str, account: str, times: EquityTimes
    ) -> tuple[list[EquityAt], Head]:
        """Equity and profit of a venue and account, "": of all, by asset and time. None before
        the first entry is booked."""

    async def trial_balance(self, venue: str) -> tuple[list[AssetSums], Head]:
        """The sums of all entries of a venue, or with "" of all venues, by asset."""
