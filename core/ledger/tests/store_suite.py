"""What every store of the ledger does. A class of tests for a store inherits these, and has a
fixture ``ledger``."""

import random
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import pytest

from core.ledger.accounts import AccountCode, AccountKey
from core.ledger.postings import AMOUNT_END, Posting, PostingGroup, PostingKind
from core.ledger.store import (
    AccountSelection,
    Booked,
    EquityAt,
    EquityTimes,
    LedgerQueries,
    Page,
    PostingStore,
)
from core.ledger.tests.postings import UNIT, VENUE, cash, deposit, external
from kit.base.database import Database
from kit.base.errors import AmountOutOfBounds, GroupIdReused

ALL = AccountSelection(AccountKey(0, "", "", ""))
WHOLE = Page(0, 1_000)
NOW_NS = 10**18
END_NS = 2**63 - 1


class Ledger(NamedTuple):
    """A store in a database."""

    database: Database
    store: PostingStore
    queries: LedgerQueries

    async def book(self, *groups: PostingGroup, now_ns: int = NOW_NS) -> list[Booked]:
        async with self.database.transaction() as connection:
            await self.store.lock(connection)
            booked = await self.store.book(connection, groups, now_ns)
        await self.store.committed()
        return booked

    async def book_and_roll_back(self, *groups: PostingGroup) -> None:
        with suppress(ZeroDivisionError):
            async with self.database.transaction() as connection:
                await self.store.lock(connection)
                await self.store.book(connection, groups, NOW_NS)
                raise ZeroDivisionError

    async def balances(self, time_ns: int = END_NS) -> dict[AccountKey, int]:
        rows, _ = await self.queries.balances(ALL, time_ns, WHOLE)
        return {row.key: row.balance for row in rows if row.balance}


def random_groups(seed: int, count: int) -> list[PostingGroup]:
    """Groups among few accounts of two assets, a part of them late."""
    chance = random.Random(seed)
    keys = {
        asset: [
            AccountKey(code, VENUE, account, asset)
            for code in AccountCode
            for account in ("main", "other")
        ]
        for asset in ("BTC", "USDT")
    }
    groups = []
    for number in range(count):
        postings = []
        for _ in range(chance.randint(1, 4)):
            debit, credit = chance.sample(keys[chance.choice(("BTC", "USDT"))], 2)
            if debit.asset == credit.asset:
                postings.append(Posting(debit, credit, chance.randint(1, 10**20)))
        time_ns = 1_000 + 10 * number - (chance.randint(0, 500) if chance.random() < 0.3 else 0)
        groups.append(PostingGroup(f"g{number}", PostingKind.TRANSFER, time_ns, tuple(postings)))
    return groups


def balances_of(groups: Sequence[PostingGroup], time_ns: int = END_NS) -> dict[AccountKey, int]:
    """The balances that are not 0, added up independently."""
    found: defaultdict[AccountKey, int] = defaultdict(int)
    for group in groups:
        for posting in group.postings if group.time_ns <= time_ns else ():
            found[posting.debit] += posting.amount
            found[posting.credit] -= posting.amount
    return {key: balance for key, balance in found.items() if balance}


class StoreSuite:
    """The tests."""

    async def test_a_group_is_booked_on_both_sides(self, ledger: Ledger):
        (booked,) = await ledger.book(deposit("a", 5))
        assert (booked.group_number, booked.is_repeated) == (1, False)
        assert await ledger.balances() == {cash(): 5, external(): -5}
        sums, head = await ledger.queries.trial_balance("")
        assert [
            (one.asset, one.debits, one.credits, one.accounts, one.entries) for one in sums
        ] == [("USDT", 5, 5, 2, 2)]
        assert head.group_number == 1
        assert await ledger.queries.trial_balance("kraken") == ([], head)

    async def test_a_group_is_booked_once(self, ledger: Ledger):
        await ledger.book(deposit("a"), deposit("b"))
        again = await ledger.book(deposit("b"), deposit("c"), deposit("c"), now_ns=NOW_NS + 1)
        numbers = [(one.group_number, one.is_repeated) for one in again]
        assert numbers == [(2, True), (3, False), (3, True)]
        assert (await ledger.balances())[cash()] == 3 * UNIT

    @pytest.mark.parametrize(
        "other",
        [
            deposit("a", amount=2),
            deposit("a", time_ns=2),
            deposit("a", asset="BTC"),
            replace(deposit("a"), detail="another"),
            replace(deposit("a"), kind=PostingKind.CORRECTION),
        ],
    )
    async def test_other_content_with_a_used_id_books_nothing(self, ledger: Ledger, other):
        await ledger.book(deposit("a"))
        with pytest.raises(GroupIdReused):
            await ledger.book(deposit("b"), other)
        assert (await ledger.balances())[cash()] == UNIT
        await ledger.book(deposit("b"))
        assert (await ledger.balances())[cash()] == 2 * UNIT

    async def test_totals_have_a_bound(self, ledger: Ledger):
        most = AMOUNT_END - 1
        groups = [deposit(f"g{number}", most) for number in range(101)]
        await ledger.book(*groups[:100])
        before = await ledger.balances()
        with pytest.raises(AmountOutOfBounds):
            await ledger.book(groups[100])
        assert await ledger.balances() == before == {cash(): 100 * most, external(): -100 * most}
        await ledger.book(deposit("less", 7))
        assert (await ledger.balances())[cash()] == 100 * most + 7

    async def test_balances_at_any_time_are_those_of_what_had_happened(self, ledger: Ledger):
        groups = random_groups(seed=1, count=120)
        for start in range(0, len(groups), 7):
            await ledger.book(*groups[start : start + 7])
        for time_ns in (0, 999, *range(1_000, 2_300, 83)):
            assert await ledger.balances(time_ns) == balances_of(groups, time_ns), time_ns
        sums, _ = await ledger.queries.trial_balance("")
        assert all(one.debits == one.credits for one in sums)

    async def test_totals_equal_the_entries(self, ledger: Ledger):
        groups = random_groups(seed=2, count=50)
        await ledger.book(*groups)
        totals, head = await ledger.queries.accounts(ALL, WHOLE)
        assert head.group_number == 50
        for row in totals:
            entries = await ledger.queries.entries(row.key, 0, END_NS, WHOLE)
            assert [one.number for one in entries] == list(range(1, row.entries + 1))
            assert sum(one.amount for one in entries if one.amount > 0) == row.debits
            assert -sum(one.amount for one in entries if one.amount < 0) == row.credits
            assert entries[-1].balance == row.debits - row.credits
            assert max(one.time_ns for one in entries) == row.newest_time_ns

    async def test_a_statement_has_what_happened_in_a_time(self, ledger: Ledger):
        groups = random_groups(seed=3, count=80)
        await ledger.book(*groups)
        start_ns, end_ns = 1_200, 1_500
        expected = [
            (group.group_id, amount)
            for group in groups
            for posting in group.postings
            for key, amount in ((posting.debit, posting.amount), (posting.credit, -posting.amount))
            if key == cash() and start_ns <= group.time_ns < end_ns
        ]
        found, page = [], Page(0, 3)
        while rows := await ledger.queries.entries(cash(), start_ns, end_ns, page):
            found += rows
            page = Page(rows[-1].number, 3)
        assert [(one.group_id, one.amount) for one in found] == expected
        assert expected
        assert await ledger.queries.entries(cash("NONE"), 0, END_NS, WHOLE) == []

    async def test_a_statement_is_read_backwards(self, ledger: Ledger):
        await ledger.book(*random_groups(seed=3, count=80))
        forwards = await ledger.queries.entries(cash(), 1_200, 1_500, WHOLE)
        found, page = [], Page(0, 3)
        while rows := await ledger.queries.entries(cash(), 1_200, 1_500, page, newest_first=True):
            found += rows
            page = Page(rows[-1].number, 3)
        assert found == forwards[::-1]
        assert len(found) > page.limit

    async def test_groups_are_found_by_their_ids(self, ledger: Ledger):
        groups = random_groups(seed=5, count=9)
        await ledger.book(*groups)
        found = await ledger.queries.groups_named(["g7", "g2", "none"])
        assert [(one.group_number, one.group) for one in found] == [(3, groups[2]), (8, groups[7])]

    async def test_equity_over_time_is_that_of_the_balances(self, ledger: Ledger):
        groups = random_groups(seed=4, count=60)
        await ledger.book(*groups)
        contract = AccountKey(AccountCode.POSITION, VENUE, "main", "contract/binance/X", "X")
        other = contract._replace(code=AccountCode.EXTERNAL)
        await ledger.book(
            PostingGroup("contracts", PostingKind.TRANSFER, 1_000, (Posting(contract, other, 7),))
        )
        found, head = await ledger.queries.equity_history("", "", EquityTimes(1_100, 1_700, 7))
        assert head.group_number == len(groups) + 1
        expected = []
        for asset in ("BTC", "USDT"):
            for time_ns in range(1_100, 1_701, 100):
                sums: defaultdict[int, int] = defaultdict(int)
                for key, balance in balances_of(groups, time_ns).items():
                    sums[key.code] += balance if key.asset == asset else 0
                owned = sums[AccountCode.CASH] + sums[AccountCode.POSITION]
                paid = sums[AccountCode.FEES] + sums[AccountCode.REALIZED_PROFIT]
                expected.append(
                    EquityAt(
                        asset,
                        time_ns,
                        owned + sums[AccountCode.MARGIN],
                        -paid - sums[AccountCode.FUNDING_PROFIT],
                    )
                )
        assert found == expected
        assert len({one.profit for one in found}) > len(found) // 2

    async def test_equity_begins_with_the_first_entry(self, ledger: Ledger):
        times = EquityTimes(0, 2_000, 3)
        assert (await ledger.queries.equity_history("", "", times))[0] == []
        await ledger.book(deposit("a", 5, time_ns=1_500), deposit("b", 2, time_ns=1_990))
        found, _ = await ledger.queries.equity_history(VENUE, "main", times)
        assert [(one.time_ns, one.at_cost, one.profit) for one in found] == [
            *((1_500, 5, 0), (1_750, 5, 0), (2_000, 7, 0))
        ]
        assert (await ledger.queries.equity_history("kraken", "", times))[0] == []

    async def test_accounts_are_selected_by_their_parts(self, ledger: Ledger):
        await ledger.book(deposit("a"), deposit("b", asset="BTC"))
        some = AccountSelection(AccountKey(AccountCode.CASH, "", "", ""))
        rows, _ = await ledger.queries.accounts(some, WHOLE)
        assert [row.key for row in rows] == [cash(), cash("BTC")]
        none = AccountSelection(AccountKey(AccountCode.CASH, VENUE, "main", ""), is_exact=True)
        assert (await ledger.queries.accounts(none, WHOLE))[0] == []
        first, _ = await ledger.queries.balances(ALL, END_NS, Page(0, 3))
        rest, _ = await ledger.queries.balances(ALL, END_NS, Page(first[-1].account_id, 3))
        assert [row.key for row in (*first, *rest)] == [
            *(cash(), external(), cash("BTC"), external("BTC"))
        ]

    async def test_what_was_not_committed_is_not_remembered(self, ledger: Ledger):
        await ledger.book(deposit("a", 1))
        await ledger.book_and_roll_back(deposit("b", 10), deposit("c", 10))
        await ledger.book(deposit("b", 100))
        assert await ledger.balances() == {cash(): 101, external(): -101}
        entries = await ledger.queries.entries(cash(), 0, END_NS, WHOLE)
        assert [(one.number, one.balance) for one in entries] == [(1, 1), (2, 101)]
