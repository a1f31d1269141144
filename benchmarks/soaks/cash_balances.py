"""What the ledger says that accounts have, beside what their simulated exchanges say."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

import msgspec
from venuemesh.ledger.v1 import ledger_pb2, ledger_pb2_grpc, postings_pb2

from core.ledger.accounts import contract_asset
from kit.accounting.amounts import plain
from kit.base.paging import whole_list
from kit.simulator.account_states import AccountState, FillState

SHOWN_MAX = 5
"""Fills, and entries of the ledger, of one difference."""
ENTRIES_MAX = 20
CASH, POSITION = postings_pb2.ACCOUNT_CODE_CASH, postings_pb2.ACCOUNT_CODE_POSITION
ZERO = Decimal(0)


class AccountAsset(msgspec.Struct, frozen=True, order=True):
    """An asset of an account; the contracts of a derivative are one."""

    venue: str
    account: str
    asset: str
    symbol: str = ""
    """Of a position in a derivative."""


class Difference(msgspec.Struct, frozen=True):
    """An amount that is not the same."""

    key: AccountAsset
    ledger: Decimal
    exchange: Decimal

    def __str__(self) -> str:
        key = self.key
        texts = (key.venue, key.account, key.symbol or key.asset)
        ledger, exchange = plain(self.ledger), plain(self.exchange)
        more = plain(self.ledger - self.exchange)
        return f"{'/'.join(texts)}: ledger {ledger}, exchange {exchange}, difference {more}"


def of_exchanges(states: Iterable[AccountState]) -> dict[AccountAsset, Decimal]:
    """What the accounts of exchanges have."""
    found: dict[AccountAsset, Decimal] = {}
    for state in states:
        for asset, amount in state.balances.items():
            found[AccountAsset(state.venue, state.account, asset)] = amount
        for symbol, size in state.positions.items():
            asset = contract_asset(state.venue, symbol)
            found[AccountAsset(state.venue, state.account, asset, symbol)] = size
    return found


async def of_ledger(
    ledger: "ledger_pb2_grpc.LedgerAsyncStub", accounts: Iterable[tuple[str, str]], **options: Any
) -> dict[AccountAsset, Decimal]:
    """What the ledger has of these accounts, each with its venue. Raises grpc.aio.AioRpcError."""
    wanted = set(accounts)
    request = ledger_pb2.GetBalancesRequest(page_size=1_000)
    answer = await whole_list(ledger.GetBalances, request, **options)
    found: dict[AccountAsset, Decimal] = {}
    for row in answer.balances:
        account = row.account
        key = _account_asset(account)
        if (account.venue, account.account) in wanted and key is not None:
            found[key] = found.get(key, ZERO) + Decimal(row.balance)
    return found


def differences(
    ledger: Mapping[AccountAsset, Decimal], exchanges: Mapping[AccountAsset, Decimal]
) -> list[Difference]:
    """Where they are not equal. What is not there is 0."""
    pairs = (
        Difference(key, ledger.get(key, ZERO), exchanges.get(key, ZERO))
        for key in sorted(ledger.keys() | exchanges.keys())
    )
    return [one for one in pairs if one.ledger != one.exchange]


def newest_fills(difference: Difference, states: Sequence[AccountState]) -> Iterator[str]:
    """The fills at the exchange before a difference was found."""
    key = difference.key
    for state in states:
        if (state.venue, state.account) == (key.venue, key.account):
            concerned = (one for one in state.newest_fills if _concerns(one, key))
            yield from map(_fill_text, islice(concerned, SHOWN_MAX))


async def newest_entries(
    difference: Difference, ledger: "ledger_pb2_grpc.LedgerAsyncStub", **options: Any
) -> list[str]:
    """The newest entries of the ledger of cash that differs. Raises grpc.aio.AioRpcError."""
    key = difference.key
    account = postings_pb2.LedgerAccount(
        code=CASH, venue=key.venue, account=key.account, asset=key.asset
    )
    request = ledger_pb2.ListEntriesRequest(
        account=account, newest_first=True, page_size=ENTRIES_MAX
    )
    answer = await ledger.ListEntries(request, **options)
    return [" ".join(str(one).split()) for one in answer.entries[:SHOWN_MAX]]


def _account_asset(account: postings_pb2.LedgerAccount) -> AccountAsset | None:
    """What a balance counts; None: neither cash nor contracts."""
    if account.code == CASH:
        return AccountAsset(account.venue, account.account, account.asset)
    if account.code == POSITION and account.asset == contract_asset(account.venue, account.symbol):
        return AccountAsset(account.venue, account.account, account.asset, account.symbol)
    return None


def _concerns(fill: FillState, key: AccountAsset) -> bool:
    # The assets of an instrument are in its symbol, in the form of its venue.
    if key.symbol:
        return fill.symbol == key.symbol
    return key.asset in fill.symbol or key.asset == fill.fee_asset


def _fill_text(fill: FillState) -> str:
    side, price, size = "buy" if fill.is_buy else "sell", plain(fill.price), plain(fill.size)
    fee, profit = plain(fill.fee), plain(fill.profit)
    text = f"{fill.symbol} {fill.trade_id}: {side} {size} at {price}, fee {fee} {fill.fee_asset}"
    return f"{text}, profit {profit}, time {fill.time_ns}"
